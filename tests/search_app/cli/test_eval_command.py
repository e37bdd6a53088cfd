"""`skyhex eval` from the command line, on a file never seen before."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from data.sample import InputError
from search_app.cli.eval_command import eval_app

from ...experiments.make_series import write_series
from ...experiments.test_image_sets import write_big_earth_patch
from ...experiments.test_vector_case import write as write_vectors


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    def invoke(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["skyhex", "eval", *words])
        done = CliRunner().invoke(eval_app, list(words), catch_exceptions=False)
        assert done.exit_code == 0
        return done.stdout

    return invoke


def test_series_end_to_end(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = write_series(tmp_path / "never_seen.parquet", n=96)
    words = ("series", str(path), "--json", str(tmp_path / "a.json"), "--report", str(tmp_path / "r"))
    text = run(*words, "--protocol", "zero-shot")
    assert f"`skyhex eval {' '.join(words)} --protocol zero-shot`" in text
    assert "skyhex/nano-3" in text
    assert "UNTRAINED" not in text
    found = json.loads((tmp_path / "a.json").read_text())
    rows = {row["name"]: row["scores"]["mAP@20"]["mean"] for row in found["sheets"][0]["rows"]}
    assert set(rows) == {
        "ours", "untrained encoder (5 seeds)", "statistics over time", "raw series", "RCF, Gaussian",
        "RCF, whitened patches", "lon/lat alone", "chance", "majority",
        "raw series, half whitened", "raw S1, half whitened", "raw S2, half whitened",
        "season, whitened", "season S1, whitened", "season S2, whitened",
    }  # fmt: skip
    assert rows["statistics over time"] > 0.9 > rows["chance"]
    assert (tmp_path / "r" / "never-seen-hits.png").stat().st_size > 10_000


def test_big_earth_patches_with_a_band_missing(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    for number in range(40):
        write_big_earth_patch(tmp_path / "ben", number)
        (tmp_path / "ben" / f"S2A_{number}" / f"S2A_{number}_B8A.tif").unlink()
    words = ("images", str(tmp_path / "ben"), "--fill-band", "B8A=B08", "--json", str(tmp_path / "a.json"))
    text = run(*words, "--seed", "1")
    assert "B8A filled with B08" in text
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["settings"]["fill_band"] == {"B8A": "B08"}
    assert found["settings"]["seed"] == 1
    sheets = [sheet["family"] + sheet["title"] for sheet in found["sheets"]]
    assert sheets == ["zero-shot", "probes", "cross-modalS1 -> S2", "cross-modalS2 -> S1"]
    for sheet in found["sheets"]:
        assert {"ours", "untrained encoder (5 seeds)", "chance"} <= {row["name"] for row in sheet["rows"]}
    assert found["sheets"][-1]["rows"][2]["name"] == "CCA of raw images"
    assert [table["title"] for table in found["tables"]] == ["Verdict", "Sensors", "Compression"]


def test_a_folder_of_photographs_per_class(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(0)
    for kind, colour in (("Beach", (220, 200, 150)), ("Forest", (20, 80, 30))):
        (tmp_path / "aid" / kind).mkdir(parents=True)
        for number in range(8):
            pixels = np.clip(np.array(colour) + rng.normal(0, 10, (64, 64, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "aid" / kind / f"{number}.jpg")
    words = ("images", str(tmp_path / "aid"), "--protocol", "zero-shot", "--json", str(tmp_path / "a.json"))
    assert "scores are higher than across places" in run(*words)
    (sheet,) = json.loads((tmp_path / "a.json").read_text())["sheets"]
    rows = {row["name"]: row["scores"]["mAP@20"]["mean"] for row in sheet["rows"]}
    assert rows["statistics of pixels"] > 0.9 > rows["chance"]
    assert rows["ours"] > rows["chance"]


def test_vectors_of_two_models(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    paths = [write_vectors(tmp_path / f"{name}.parquet", noise) for name, noise in (("a", 0.1), ("b", 9.0))]
    text = run("vectors", *map(str, paths), "--protocol", "zero-shot")
    assert "minus b" in text
    assert "no split given" in text


def test_the_scorecard_of_prototypes(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = write_series(tmp_path / "large.parquet", n=300)
    words = ("prototypes", str(path), "--region-res", "0", "--protocol", "agreement", "--seed", "2")
    text = run(*words, "--json", str(tmp_path / "a.json"))
    assert "k-means on lon/lat" in text
    assert "gain over z" not in text
    found = json.loads((tmp_path / "a.json").read_text())["settings"]
    assert (found["region_res"], found["protocol"], found["seed"]) == (0, "agreement", 2)


@pytest.mark.parametrize("command", ["series", "chips", "images", "prototypes", "vectors"])
def test_every_command_takes_the_same_options(run, command: str) -> None:  # type: ignore[no-untyped-def]
    shown = run(command, "--help")
    common = ["--json", "--report", "--protocol", "--seed"]
    of_encoders = ["--weights", "--fill-band", "--allow-l1c"] if command != "vectors" else []
    assert [option for option in (*common, *of_encoders) if option not in shown] == []


def test_all_needs_something_to_evaluate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["skyhex", "eval", "all", str(tmp_path)])
    with pytest.raises(InputError, match="holds none of eval"):
        CliRunner().invoke(
            eval_app, ["all", str(tmp_path), "--report", str(tmp_path / "r")], catch_exceptions=False
        )
