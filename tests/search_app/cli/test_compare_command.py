"""`skyhex compare` and `skyhex export` from the command line."""

import json
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from search_app.cli import main as cli

from ..make_table import CELLS, small_table


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `skyhex WORDS`."""
    monkeypatch.setattr(sys, "argv", ["skyhex", *words])
    code = 0
    try:
        cli.main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    out = capsys.readouterr()
    return code, out.out, " ".join(out.err.split())


def test_compare_prints_the_table_and_writes_the_maps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small_table(tmp_path / "ours")
    small_table(tmp_path / "same")
    maps = [str(tmp_path / "map.geojson"), str(tmp_path / "map.png")]
    words = ["compare", str(tmp_path / "ours"), str(tmp_path / "same"), "--beyond", "1"]
    words += ["--map", maps[0], "--map", maps[1], "--json", str(tmp_path / "all.json")]
    code, text, _ = run(monkeypatch, capsys, *words)
    assert code == 0
    assert "| all | 61 | 1.000 [" in text
    assert "| beyond 1 km | 61 | 1.000 [" in text
    assert f"{len(CELLS)} cells in common of {len(CELLS)} and {len(CELLS)}" in text
    features = json.loads(Path(maps[0]).read_text())["features"]
    assert len(features) == len(CELLS)
    assert {feature["properties"]["recall_at_10"] for feature in features} == {1.0}
    assert Path(maps[1]).read_bytes()[:4] == b"\x89PNG"
    assert json.loads((tmp_path / "all.json").read_text())["settings"]["beyond_km"] == 1.0
    code, _, said = run(monkeypatch, capsys, *words[:3], "--map", "map.tif")
    assert code == 2
    assert ".geojson or a .png" in said


def test_export_writes_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small_table(tmp_path / "t")
    out = tmp_path / "all.parquet"
    words = ["export", "-t", str(tmp_path / "t"), "--to", "geoparquet", "-o", str(out)]
    code, _, said = run(monkeypatch, capsys, *words)
    assert code == 0
    assert pq.read_metadata(out).num_rows == len(CELLS)
    assert f"{len(CELLS)} rows, geoparquet" in said
