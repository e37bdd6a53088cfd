"""`skyhex import` of rasters and `skyhex heat`, from a tile to a search and a map."""

import csv
import http.server
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import rasterio

from indexer.table.embedding_table import EmbeddingTable
from search_app.cli import main as cli

from ...data.products.layouts import (
    BAVARIA,
    Place,
    noise_codes,
    noise_scaled,
    write_alphaearth,
    write_arrays,
    write_cog,
    write_store,
)

CODES = noise_codes(48, 64)
SIZE = ("--bbox", "10", "47.5", "11", "48.5")


def run(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> int:
    """Exit code of `skyhex WORDS`."""
    monkeypatch.setattr(sys, "argv", ["skyhex", *map(str, words)])
    try:
        cli.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def write_index(folder: Path, *paths: Path | str) -> Path:
    with (folder / "index.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["WKT", "path", "year"])
        box = "POLYGON ((10 47, 11 47, 11 48.5, 10 48.5, 10 47))"
        writer.writerows([box, str(path), 2024] for path in paths)
    return folder / "index.csv"


def test_from_a_list_of_tiles_to_a_search_and_a_map(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tile = write_alphaearth(tmp_path, CODES)
    index, table = write_index(tmp_path, tile.relative_to(tmp_path), "gone.tiff"), tmp_path / "table"
    asked = ("import", "--from", "alphaearth", "--index", index, *SIZE, "--year", "2024", "-t", table)
    assert run(monkeypatch, *asked, "--dry-run") == 0
    told = capsys.readouterr().err
    assert "1 tiles, 3,072 pixels in 1 pieces" in told
    assert "of resolution 11" in told
    assert "nothing was written" in told
    assert not table.exists()
    assert run(monkeypatch, *asked) == 0
    told = capsys.readouterr().err
    assert "produced by Google and Google DeepMind." in told
    assert "gone.tiff: no such raster" in " ".join(told.split())
    opened = EmbeddingTable.open(table)
    assert opened.h3_resolution == 11
    cell = opened.lookup(columns=["sample_id"])["sample_id"][7].as_py()
    assert run(monkeypatch, *asked) == 0
    assert "1 of 1 pieces were there already" in capsys.readouterr().err

    hits = tmp_path / "hits.csv"
    assert run(monkeypatch, "search", "-t", table, "--cell", cell, "-k", "2", "--where", "pixels > 5",
               "--format", "csv", "-o", hits) == 0  # fmt: skip
    assert len(hits.read_text().splitlines()) == 3
    assert run(monkeypatch, "info", "-t", table) == 0
    assert "Google DeepMind" in capsys.readouterr().out
    for query in (("--cell", cell), ("--hits", hits)):
        assert (
            run(monkeypatch, "heat", "-t", table, *query, "--raster", tile, "-o", tmp_path / "sim.tif") == 0
        )
        with rasterio.open(tmp_path / "sim.tif") as file:
            values = file.read(1)
            assert values.shape == (48, 64)
            assert file.transform.e == -10
            assert 0.1 < np.nanmax(values) <= 1
    assert run(monkeypatch, "changes", "-t", table, "--before", "2023", "--after", "2024") == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "the publisher of alphaearth-foundations-v1 says that years may be compared" in said


def test_tessera_of_two_datasets_never_shares_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    codes, scales = noise_scaled(24, 24)
    store = write_store(tmp_path / "s.zarr", {"utm32": (BAVARIA, codes[None], scales[None])}, [2024])
    table = tmp_path / "table"
    first = ("import", store, "--from", "tessera", "-t", table, "--dataset", "1.1/cambridge", "--no-index")
    assert run(monkeypatch, *first) == 0
    assert EmbeddingTable.open(table).model.name == "tessera-1.1/cambridge"
    folder = write_arrays(tmp_path / "npy", "grid_10.35_47.85", codes, scales, BAVARIA).parents[2]
    second = ("import", folder, "--from", "tessera", "-t", table)
    assert run(monkeypatch, *second, "--dataset", "1.1/dclimate") == 2
    assert "made by tessera-1.1/dclimate" in " ".join(capsys.readouterr().err.split())
    assert run(monkeypatch, *second) == 2  # not said: a dataset of its own
    assert "the version or variant of TESSERA is not said" in " ".join(capsys.readouterr().err.split())
    assert run(monkeypatch, "heat", "-t", table, "--lonlat", "1", "2", "--raster", store, "-o", "x.tif") == 2


def test_any_raster_says_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tile = write_cog(
        tmp_path / "mine.tif", CODES, Place("EPSG:32632", 600_000.0, 5_300_000.0, 30.0), names=False
    )
    table = tmp_path / "table"
    asked = ("import", tile, "--from", "raster", "-t", table, "--no-index")
    assert run(monkeypatch, *asked) == 2
    assert "give them with --model and --licence" in " ".join(capsys.readouterr().err.split())
    named = (
        *asked,
        "--model",
        "mine",
        "--licence",
        "CC0-1.0",
        "--nodata",
        "-128",
        "--dequantise",
        "signed-square",
    )
    assert run(monkeypatch, *named) == 2
    assert "give it with --year" in " ".join(capsys.readouterr().err.split())
    assert run(monkeypatch, *named, "--start", "2024-03-01", "--end", "2024-06-01") == 0
    opened = EmbeddingTable.open(table)
    assert opened.h3_resolution == 10  # of 30 m pixels 16 fill it
    assert str(opened.lookup(columns=["end_datetime"])["end_datetime"][0].as_py())[:10] == "2024-06-01"


def test_lists_need_an_area_and_files_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("import", "--from", "alphaearth", "-t", tmp_path / "table")
    assert run(monkeypatch, *asked) == 2
    assert "Give files, or a list of tiles with --index" in " ".join(capsys.readouterr().err.split())
    assert run(monkeypatch, *asked, "--index", write_index(tmp_path, "x.tiff")) == 2
    assert "A list of tiles needs an area" in " ".join(capsys.readouterr().err.split())


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A server on loopback that serves the folder."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_lists_and_tiles_over_the_network(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("data.web.FIRST_PAUSE_S", 0.01)
    tile = write_alphaearth(tmp_path, CODES)
    unreachable = "http://127.0.0.1:9/2024/far.tiff"
    write_index(tmp_path, tile.relative_to(tmp_path), unreachable)
    table = tmp_path / "table"
    asked = ("import", "--from", "alphaearth", "--index", f"{address}/index.csv", *SIZE, "--year", "2024")
    assert run(monkeypatch, *asked, "-t", table, "--no-index") == 0
    assert "far.tiff cannot be read now" in " ".join(capsys.readouterr().err.split())
    assert EmbeddingTable.open(table).row_count > 100
