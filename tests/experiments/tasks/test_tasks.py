"""Each task end to end on a set in its published layout: a planted signal is found, permuted truth is not."""

from pathlib import Path

import pytest

from data.sample import SampleSpec
from experiments.datasets.catalog import SETS
from experiments.retrieval.options import Encoders, Options, untrained_model
from experiments.retrieval.report import Report, to_markdown
from experiments.tasks import run as run_module
from experiments.tasks.features import sources_of
from experiments.tasks.question import TaskOptions
from experiments.tasks.run import evaluate_task
from tests.encoder.tiny import MODEL
from tests.experiments.datasets.make_sets import MAKERS

STEPS = 60  # of the detection head
# a set of each kind of truth
KINDS = ("aid", "ben-s2", "isaid", "dior", "levir-cd", "dyna-s2-cd", "pastis-mm")
FOUND, NOTHING = 0.25, 0.2  # over the better of chance and majority


@pytest.fixture(scope="module")
def encoders() -> Encoders:
    """An encoder of seeded weights: planted signals are loud enough for any."""
    info = {"name": "tiny", "digest": "0" * 64, "trained": False, "dimension": MODEL.fusion.width}
    spec = SampleSpec(MODEL.cell_m, MODEL.window_cells, MODEL.px_per_cell, {"hr": 1, "s2": 8, "s1": 4})
    return Encoders(untrained_model(MODEL, 3), (), info, spec)


@pytest.fixture
def two_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours and statistics alone: the others are tested on one set."""
    monkeypatch.setattr(run_module, "sources_of", lambda *args: sources_of(*args)[:2])


def scores_of(name: str, folder: Path, encoders: Encoders, *, permuted: bool = False) -> dict[str, float]:
    """The headline of the first table, by row; `floor` is the better of chance and majority."""
    report = report_of(name, folder, encoders, permuted)
    sheet = report.sheets[0]
    scores = {row.name: row.scores[sheet.headline].mean for row in sheet.rows}
    return scores | {"floor": max(scores.get(row, 0) for row in ("chance", "majority", "change everywhere"))}


def report_of(name: str, folder: Path, encoders: Encoders, permuted: bool) -> Report:
    MAKERS[name](folder, permuted)
    split = "test" if "test" in SETS[name].splits else "validation"
    task = TaskOptions(steps=STEPS, share=0.6)
    return evaluate_task([(SETS[name], folder)], encoders, Options(split=split), task)


def test_every_published_set_has_a_generator() -> None:
    assert list(MAKERS) == list(SETS) or set(MAKERS) == set(SETS)
    assert len(SETS) == 17


@pytest.mark.usefixtures("two_sources")
@pytest.mark.parametrize("name", list(MAKERS))
def test_a_planted_signal_is_found(name: str, tmp_path: Path, encoders: Encoders) -> None:
    scores = scores_of(name, tmp_path, encoders)
    assert max(scores["ours"], scores["statistics of pixels"]) > scores["floor"] + FOUND, scores
    assert scores["ours"] > scores["floor"], scores
    if name == "pastis-mm":  # crops differ by season alone, which statistics over the year cannot see
        assert scores["statistics of pixels"] < scores["floor"], scores


@pytest.mark.usefixtures("two_sources")
@pytest.mark.parametrize("name", KINDS)
def test_permuted_truth_is_not_found(name: str, tmp_path: Path, encoders: Encoders) -> None:
    scores = scores_of(name, tmp_path, encoders, permuted=True)
    assert scores["statistics of pixels"] < scores["floor"] + NOTHING, scores
    assert scores["ours"] < scores["floor"] + NOTHING, scores


def test_a_report_holds_every_candidate_its_verdict_and_the_convention(
    tmp_path: Path, encoders: Encoders
) -> None:
    report = report_of("isaid", tmp_path, encoders, False)
    (sheet,) = report.sheets
    assert [row.name for row in sheet.rows] == [
        "ours", "statistics of pixels", "raw pixels", "RCF, Gaussian", "RCF, whitened patches", "chance",
        "majority",
    ]  # fmt: skip
    assert sheet.contested == ("mIoU of 15",)
    assert {"mIoU of 15", "mIoU", "mF1", "OA"} <= set(sheet.rows[0].scores)
    text = to_markdown(report)
    assert "averaged over the 15 object classes" in text
    assert "## Verdict" in text
    assert (
        sum(row.mean for row in report.contests[0].ours.values()) == sheet.rows[0].scores["mIoU of 15"].mean
    )
