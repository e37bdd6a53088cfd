"""`skyhex import`, from a file to a search."""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from indexer.table.embedding_table import EmbeddingTable
from search_app.cli import main as cli


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Exit code of `skyhex WORDS`."""
    monkeypatch.setattr(sys, "argv", ["skyhex", *words])
    try:
        cli.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    vectors = np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32)
    places = [shapely.Point(10 + i / 10, 47).wkb for i in range(4)]
    path = tmp_path / "tiles.parquet"
    pq.write_table(pa.table({"name": list("abcd"), "embedding": list(vectors), "geometry": places}), path)
    return path


def test_import_then_search(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = str(tmp_path / "table")
    words = ("import", str(file), "--from", "earth-index", "-t", table, "--id-column", "name")
    said = ("--model", "SoftCon", "--licence", "CC-BY-4.0", "--start", "2024-01-01", "--end", "2025-01-01")
    assert run(monkeypatch, *words, *said) == 0
    assert "4 rows imported" in capsys.readouterr().err
    opened = EmbeddingTable.open(table)
    assert (opened.row_count, opened.model.name, opened.h3_resolution) == (4, "SoftCon", 10)
    assert run(monkeypatch, *words, *said) == 0
    assert "0 rows imported, 4 were there already" in capsys.readouterr().err
    assert (
        run(monkeypatch, "search", "--lonlat", "10.1", "47", "-t", table, "--format", "csv", "-k", "3") == 0
    )
    found = capsys.readouterr().out
    assert len(found.splitlines()) == 4
    assert ",b," not in found  # the query's own row


def test_what_is_missing_is_asked_for(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("import", str(file), "--from", "earth-index", "-t", str(tmp_path / "table"))
    assert run(monkeypatch, *words) == 2
    assert "no column id" in capsys.readouterr().err
    assert run(monkeypatch, *words, "--start", "2024-01-01") == 2
    assert "--start and --end come together" in " ".join(capsys.readouterr().err.split())
