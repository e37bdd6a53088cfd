"""One command makes every number, once: parts that are there for the same question are kept."""

import json
from pathlib import Path
from typing import Any

import pytest

from data.sample import InputError
from data.simulate import HILLS, PLAIN, Area, simulate
from experiments.datasets.catalog import SETS
from experiments.retrieval import everything, report
from experiments.retrieval.everything import answered, evaluate_all, fingerprint, not_run, parts_of
from experiments.retrieval.options import Encoders, Options
from experiments.tasks import run as tasks

from .make_series import write_series

AREAS = (Area("hills", 10.0, 47.0, 640, HILLS), Area("plain", 12.0, 48.0, 640, PLAIN))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in the form of the data at hand: series never seen, and the simulated landscape."""
    made = tmp_path_factory.mktemp("shared")
    for name in ("eval", "series"):
        (made / name).mkdir()
    write_series(made / "eval" / "tiny.parquet", n=96)
    write_series(made / "series" / "large.parquet", n=160)
    catalog = simulate(made / "samples", areas=AREAS, s2_dates=2, s1_dates=1)
    tree = json.loads(catalog.read_text())
    tree["links"] = [link for link in tree["links"] if "aerial" not in link["href"]]  # slow, and not needed
    catalog.write_text(json.dumps(tree))
    return made


@pytest.fixture(scope="module")
def encoders() -> Encoders:
    return Encoders.load(Options(device="cpu", untrained_seeds=(1,)))


def run(folder: Path, out: Path, encoders: Encoders, **choices: Any) -> list[str]:
    said: list[str] = []
    options = Options("skyhex eval all", untrained_seeds=(1,), **choices)
    evaluate_all(folder, out, encoders, options, lambda items, work: [work(i) for i in items], said.append)
    return said


def test_every_part_is_made_once_and_told_on_one_page(
    folder: Path, encoders: Encoders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "draw_sheet", lambda sheet, into: into / "bars.png")  # slow, tested elsewhere
    monkeypatch.setattr(report, "draw_exhibit", lambda exhibit, into: [])
    monkeypatch.setattr(everything, "SIMULATED_AREAS", 3)
    monkeypatch.setattr(tasks, "AREA_M", 640.0)
    assert run(folder, tmp_path, encoders) == [
        *(f"{part} inputs" for part in ("series: 2", "chips: 1", "tasks: 1", "prototypes: 1")),
        "simulated: drawn",
    ]
    page = (tmp_path / "README.md").read_text()
    parts = ["`skyhex eval all`", "skyhex/nano-3", "## Verdict", "| probes, kNN-20 | RCF, Gaussian |"]
    parts += ["cross-modal S1 -> S2, recall@10", "## Leakage", "patches-samples", "## Prototypes of large"]
    parts += ["multi-modal segmentation mIoU, mIoU", "places-samples", "places-simulated"]
    parts += ["## Not run, for want of data", "| crop segmentation | datasets/pastis-mm/ |"]
    for part in parts:
        assert part in page, part
    assert page.count("\n# ") + page.startswith("# ") == 1
    assert "| zero-shot, mAP@20 | statistics | " in page
    assert "of 3 |" in page  # two series and the patches
    assert "by region" not in page
    found = json.loads((tmp_path / "series" / "report.json").read_text())
    zero_shot = next(c for c in found["contests"] if c["family"] == "zero-shot")
    assert set(zero_shot["ours"]) == {"tiny", "large"}
    assert f"{zero_shot['ours']['tiny']['mean']:.3f}" in page
    (tmp_path / "README.md").unlink()
    (tmp_path / "chips" / "asked.json").unlink()  # as if stopped in the middle of this part
    again = run(folder, tmp_path, encoders)
    assert [line.split(":")[1].split(",")[0] for line in again] == [
        *(" kept", " 1 inputs"), *(" kept",) * 3
    ]  # fmt: skip
    assert (tmp_path / "README.md").read_text() == page


def test_another_question_is_another_answer(tmp_path: Path) -> None:
    asked = {"weights": "a", "settings": {"seed": 0}}
    (tmp_path / "report.json").write_text("{}")
    assert not answered(tmp_path, asked)
    (tmp_path / "asked.json").write_text(json.dumps(asked))
    assert answered(tmp_path, asked)
    assert not answered(tmp_path, asked | {"weights": "b"})
    (tmp_path / "report.json").unlink()
    assert not answered(tmp_path, asked)


def test_a_fingerprint_tells_changed_input(folder: Path, tmp_path: Path) -> None:
    path = write_series(tmp_path / "a.parquet", n=8)
    before = fingerprint(path)
    write_series(path, n=10)
    assert fingerprint(path) != before
    catalog = tmp_path / "catalog.json"
    catalog.write_text("{}")
    with_series = fingerprint(catalog)
    path.unlink()
    assert fingerprint(catalog) != with_series


def test_parts_without_input_are_left_out(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds none of eval"):
        parts_of(tmp_path, Options())
    (tmp_path / "eval").mkdir()
    write_series(tmp_path / "eval" / "tiny.parquet", n=8)
    assert [part.name for part in parts_of(tmp_path, Options())] == ["series", "simulated"]


def test_published_sets_at_hand_are_asked_and_the_others_named(tmp_path: Path) -> None:
    for name in ("aid", "isaid"):
        (tmp_path / "datasets" / name).mkdir(parents=True)
    options = Options(split="test")
    parts = parts_of(tmp_path, options)
    assert [part.name for part in parts] == ["published", "simulated"]
    assert [path.name for path in parts[0].paths] == [n for n in ("aid", "isaid") if "test" in SETS[n].splits]
    lines = {title: expected for title, _, expected in not_run(tmp_path, options, parts)}
    assert lines["labelled series"] == "eval/*.parquet, series/*.parquet"
    assert lines[SETS["pastis-mm"].title] == "datasets/pastis-mm/"
    assert ("none published" in lines.get(SETS["isaid"].title, "")) == ("test" not in SETS["isaid"].splits)
