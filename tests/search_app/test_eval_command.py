"""`skyhex eval` from the command line, on a file never seen before."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from search_app.eval_command import eval_app

from ..experiments.make_series import write_series


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
    assert "skyhex/nano-1" in text
    assert "UNTRAINED" not in text
    found = json.loads((tmp_path / "a.json").read_text())
    rows = {row["name"]: row["scores"]["mAP@20"]["mean"] for row in found["sheets"][0]["rows"]}
    assert set(rows) == {
        "ours", "untrained encoder (5 seeds)", "statistics over time", "raw series", "RCF, Gaussian",
        "RCF, whitened patches", "lon/lat alone", "chance", "majority",
    }  # fmt: skip
    assert rows["statistics over time"] > 0.9 > rows["chance"]
    assert (tmp_path / "r" / "never-seen-hits.png").stat().st_size > 10_000


def test_every_command_explains_itself(run) -> None:  # type: ignore[no-untyped-def]
    for command in ("series", "chips", "images", "vectors", "prototypes"):
        assert "--json" in run(command, "--help")
