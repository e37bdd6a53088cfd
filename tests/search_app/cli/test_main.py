"""The command line: a mistake is one clear line and exit code 2, never a traceback."""

import json
import socket
import sys
from pathlib import Path

import h3
import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from data.simulate import Area, simulate
from search_app.cli import installation
from search_app.cli import main as cli

from ..make_table import CELLS, small_table


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `skyhex WORDS`."""
    monkeypatch.setattr(sys, "argv", ["skyhex", *words])
    try:
        cli.main()
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    out = capsys.readouterr()
    return code, out.out, " ".join(out.err.split())


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated catalog of one small area."""
    area = Area("here", 10.0, 47.0, 1300)
    return simulate(tmp_path_factory.mktemp("imagery"), areas=(area,), s2_dates=2, s1_dates=1)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return small_table(tmp_path / "table").path


def geotiff(path: Path, *, crs: str | None, high: float = 3000, bands: int = 10) -> Path:
    profile = {"driver": "GTiff", "width": 64, "height": 64, "count": bands, "dtype": "float32", "crs": crs}
    with rasterio.open(path, "w", transform=from_origin(500000, 5000000, 10, 10), **profile) as raster:
        raster.write(np.random.default_rng(0).uniform(high / 2, high, (bands, 64, 64)).astype(np.float32))
        raster.descriptions = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")[:bands]
    return path


POLYGON_IN_METRES = {"type": "Polygon", "coordinates": [[[5e5, 5e6], [6e5, 5e6], [6e5, 6e6], [5e5, 5e6]]]}
BOW_TIE = {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("embed", "no-such/catalog.json", "--chips"), "no-such/catalog.json"),
        (("embed", "CATALOG", "--chips", "--bbox", "0", "0", "1", "1"), "Exactly one of"),
        (("embed", "CATALOG", "--bbox", "0", "2", "1", "1"), "south"),
        (("embed", "CATALOG", "--bbox", "0", "0", "0.1", "0.1"), "no"),
        (("embed", "CATALOG", "--chips", "--start", "2022-01-01", "--end", "2021-01-01"), "2021-01-01"),
        (("embed", "CATALOG", "--chips", "--start", "tomorrow"), "2021-03-01"),
        (("embed", "CATALOG", "--chips", "--period", "week"), "week"),
        (("embed", "CATALOG", "--aoi", "METRES"), "lon"),
        (("embed", "CATALOG", "--aoi", "BOWTIE"), "valid"),
        (("search", "-t", "TABLE"), "--cell"),
        (("search", "-t", "TABLE", "--cell", "xyz"), "H3 cell"),
        (("search", "-t", "TABLE", "--cell", h3.latlng_to_cell(-33.0, 151.0, 9)), "cell"),
        (("search", "-t", "TABLE", "--cell", "CELL", "-k", "0"), "k"),
        (("search", "-t", "TABLE", "--cell", "CELL", "--within", "BOWTIE"), "valid"),
        (("search", "-t", "TABLE", "--cell", "CELL", "--start", "2022-01-01", "--end", "2021-01-01"), "2021"),
        (("search", "-t", "TABLE", "--chip", "NOCRS"), "CRS"),
        (("search", "-t", "TABLE", "--chip", "UNITS"), "reflectance"),
        (("search", "-t", "TABLE", "--chip", "TRUNCATED"), "truncated.tif"),
        (("search", "-t", "nowhere", "--cell", "CELL"), "nowhere"),
        (("sql", "-t", "TABLE", "DELETE FROM embeddings"), "SELECT"),
        (("sql", "-t", "TABLE", "COPY embeddings TO 'x.csv'"), "SELECT"),
        (("sql", "-t", "TABLE", "SELECT * FROM read_csv('/etc/passwd')"), "embeddings"),
        (("prototypes", "show", "-t", "TABLE", "--region", "??"), "H3 cell"),
    ],
)
def test_a_mistake_is_one_clear_line(
    words: tuple[str, ...],
    says: str,
    table: Path,
    catalog: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    places = prepare(words, table, catalog, tmp_path)
    code, _, err = run(monkeypatch, capsys, *(places.get(word, word) for word in words), "--quiet")
    assert code == 2
    assert says in err
    assert "Traceback" not in err


def prepare(words: tuple[str, ...], table: Path, catalog: Path, folder: Path) -> dict[str, str]:
    """What the words of a test stand for; bad files are made only where they are named."""
    (folder / "metres.geojson").write_text(json.dumps(POLYGON_IN_METRES))
    (folder / "bowtie.geojson").write_text(json.dumps(BOW_TIE))
    if "UNITS" in words:
        geotiff(folder / "units.tif", crs="EPSG:32632", high=0.3)
    if "NOCRS" in words:
        geotiff(folder / "nocrs.tif", crs=None)
    if "TRUNCATED" in words:
        whole = geotiff(folder / "whole.tif", crs="EPSG:32632").read_bytes()
        (folder / "truncated.tif").write_bytes(whole[: len(whole) // 2])
    return {
        "TABLE": str(table),
        "CELL": h3.int_to_str(CELLS[0]),
        "CATALOG": str(catalog),
        "METRES": "metres.geojson",
        "BOWTIE": "bowtie.geojson",
        "UNITS": "units.tif",
        "NOCRS": "nocrs.tif",
        "TRUNCATED": "truncated.tif",
    }


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["skyhex", "info", "-t", "nowhere", "--debug"])
    with pytest.raises(ValueError, match="nowhere"):
        cli.main()


def test_a_taken_port_is_named(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, _, err = run(monkeypatch, capsys, "app", "-t", str(table), "--port", port, "--headless")
    assert code == 2
    assert f"Port {port} is taken" in err


def test_both_faiss_packages_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(installation, "version", lambda name: "1.15.1")
    code, _, err = run(monkeypatch, capsys, "info")
    assert code == 2
    assert "faiss-cpu and faiss-gpu are both installed" in err
    assert "pip uninstall" in err


def test_results_go_to_stdout_as_json(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = h3.int_to_str(CELLS[0])
    code, out, _ = run(
        monkeypatch, capsys, "search", "-t", str(table), "--cell", cell, "-k", "3", "--format", "json"
    )
    hits = json.loads(out)
    assert code == 0
    assert [hit["rank"] for hit in hits] == [1, 2, 3]
    assert cell not in {hit["h3_cell"] for hit in hits}


def test_a_result_says_what_its_vectors_are_worth(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(monkeypatch, capsys, "search", "-t", str(table), "--cell", h3.int_to_str(CELLS[0]))
    assert code == 0
    assert "made by untrained weights (skyhex/test)" in err


def test_sql_as_csv(table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(
        monkeypatch,
        capsys,
        "sql",
        "-t",
        str(table),
        "SELECT count(*) AS n FROM embeddings",
        "--format",
        "csv",
    )
    assert code == 0
    assert out == f"n\n{len(CELLS)}\n"


def test_validate_and_info_of_a_sound_table(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(monkeypatch, capsys, "validate", "-t", str(table))
    assert (code, "all sound" in err) == (0, True)
    code, out, _ = run(monkeypatch, capsys, "info", "-t", str(table))
    assert code == 0
    assert f"{len(CELLS):,} of" in out


def test_validate_of_a_damaged_table_exits_with_1(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    part = next(table.rglob("part-*.parquet"))
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 0xFF
    part.write_bytes(content)
    code, _, err = run(monkeypatch, capsys, "validate", "-t", str(table))
    assert code == 1
    assert part.name in err


def test_prototypes_are_fitted_listed_and_shown(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ("-t", str(table))
    assert run(monkeypatch, capsys, "prototypes", "fit", *at, "--per-region", "3")[0] == 0
    _, out, _ = run(monkeypatch, capsys, "prototypes", "list", *at, "--format", "json")
    region = json.loads(out)[0]["region_cell"]
    assert region == h3.cell_to_parent(h3.int_to_str(CELLS[0]), 4)
    _, out, _ = run(monkeypatch, capsys, "prototypes", "show", *at, "--region", region, "--format", "json")
    shown = json.loads(out)
    assert sum(prototype["n_rows"] for prototype in shown) == len(CELLS)
    assert sum(prototype["share"] for prototype in shown) == pytest.approx(1)


def test_a_table_is_logged_compacted_and_vacuumed(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ("-t", str(table))
    _, out, _ = run(monkeypatch, capsys, "log", *at, "--format", "json")
    assert [entry["operation"] for entry in json.loads(out)] == ["create", "upsert"]
    assert run(monkeypatch, capsys, "compact", *at)[0] == 0
    assert "0 files deleted" in run(monkeypatch, capsys, "vacuum", *at)[2]  # all are of the last hour
    assert run(monkeypatch, capsys, "validate", *at)[0] == 0


def test_weights_say_what_they_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(monkeypatch, capsys, "weights", "info")
    assert code == 0
    assert "skyhex/nano-3" in out
    assert "Apache-2.0" in out


def test_a_dry_run_counts_and_writes_nothing(
    catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("embed", str(catalog), "--bbox", "9.98", "46.98", "10.02", "47.02", "-t", str(tmp_path / "t"))
    code, _, err = run(monkeypatch, capsys, *words, "--dry-run")
    assert code == 0
    assert "samples in" in err
    assert "nothing was written" in err
    assert not (tmp_path / "t").exists()


def test_pairs_may_be_repeated() -> None:
    joined = cli._pairs_joined(["search", "--lonlat", "-1.5", "2", "--lonlat", "3", "-4", "-k", "5"])
    assert joined == ["search", "--lonlat", "-1.5,2", "--lonlat", "3,-4", "-k", "5"]
    joined = cli._pairs_joined(["search", "--not-lonlat", "-.5", "-2", "--lonlat", "3", "-k", "5"])
    assert joined == ["search", "--not-lonlat", "-.5,-2", "--lonlat", "3", "-k", "5"]
