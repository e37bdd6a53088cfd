"""docs/search.md cannot rot: its commands, Python and SQL run, and those of one line find the same rows."""

import json
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

import skyhex
from indexer.geo import cells
from indexer.prototypes.regional import fit_prototypes
from indexer.search.search import Hits
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import ModelInfo, make_rows
from pipeline.rows import model_info
from search_app.cli import main as cli
from search_app.output import records

from ..indexer.random_rows import columns_for, random_cells

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "search.md").read_text(encoding="utf-8")
A, B = "89194921593ffff", "891f8980413ffff"  # of `skyhex demo`
BASE = f"skyhex search --cell {A}"
POLYGON = {"type": "Polygon", "coordinates": [[[2.69, 49.7], [2.8, 49.7], [2.75, 49.79], [2.69, 49.7]]]}
DEMO_BOXES = ((2.705, 49.714, 2.813, 49.784), (12.389, 47.956, 12.494, 48.026))
WHICH = ("query", "h3_cell", "start_datetime", "region_cell", "prototype")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def lines_of(heading: str) -> list[list[str]]:
    """The cells of a section's table, without its head."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip().strip("`") for cell in row] for row in rows[1:]]


CONDITIONS = lines_of("Where, when and which rows")
QUESTIONS = [
    *lines_of("What to look like"),
    *lines_of("Results that differ"),
    *lines_of("Many queries at once"),
    *lines_of("On a GPU"),
    *lines_of("More questions"),
]
FORMS = lines_of("Answers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with the files that the page names: a table of the shipped weights, an image, a vector."""
    folder, encoder = tmp_path_factory.mktemp("page"), skyhex.Encoder("nano")
    fill(folder / "skyhex-data", model_info(encoder))
    rng = np.random.default_rng(1)
    np.save(folder / "v.npy", rng.normal(size=encoder.info.dimension))
    (folder / "area.geojson").write_text(json.dumps(POLYGON))
    (folder / "places.csv").write_text(f"id,cell\nhome,{A}\naway,{B}\n")
    image(folder / "field.tif", rng)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("SKYHEX_TABLE", raising=False)
        yield folder


def fill(path: Path, model: ModelInfo) -> None:
    """300 cells of the demo, the page's own among them, of 2023 and 2024, some of one month; two fits."""
    own = np.array([cells.parse_cell(A), cells.parse_cell(B)], np.uint64)
    areas = [random_cells(150, box=box) for box in DEMO_BOXES]
    h3_cell = np.unique(np.concatenate([own, *areas]))
    table = EmbeddingTable.create(path, model, h3_resolution=9)
    chunks = np.array_split(h3_cell, 6)  # as many commits as the demo makes: the page names two of them
    for number, (year, month) in enumerate(((2023, 1), (2024, 6))):
        whole = (datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC))
        part = (datetime(year, month, 1, tzinfo=UTC), datetime(year, month + 1, 1, tzinfo=UTC))
        for some in chunks:
            columns = columns_for(some, 100 * number + table.snapshot, model.dimension)
            starts, ends = zip(*(part if i % 3 == 0 else whole for i in range(len(some))), strict=True)
            of_sensors = {"embedding_s1": columns["embedding"][::-1], "embedding_s2": columns["embedding"]}
            about = {"model": model, "start": starts, "end": ends}
            table = table.upsert(make_rows(**columns | of_sensors | about))
    for seed in range(2):
        fit_prototypes(EmbeddingTable.open(path), per_region=3, seed=seed)


def image(path: Path, rng: np.random.Generator) -> None:
    """A Sentinel-2 chip of noise."""
    profile = {"driver": "GTiff", "width": 64, "height": 64, "count": 10, "dtype": "uint16"}
    place = {"crs": "EPSG:32632", "transform": from_origin(5e5, 5e6, 10, 10)}
    with rasterio.open(path, "w", **profile, **place) as raster:
        raster.write(rng.integers(1000, 3000, (10, 64, 64)).astype(np.uint16))
        raster.descriptions = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")


@pytest.fixture
def command(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], str]:
    """Runs a command; what it prints."""

    def run(line: str) -> str:
        monkeypatch.setattr(sys, "argv", shlex.split(line))
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert not stop.value.code
        return capsys.readouterr().out

    return run


def python(code: str) -> list[dict[str, Any]]:
    names = {"skyhex": skyhex, "np": np, "table": skyhex.open_table(), "a": A, "b": B}
    found = eval(code, names)
    return records(found.rows if isinstance(found, Hits) else found)


def sql(query: str) -> list[dict[str, Any]]:
    return records(skyhex.sql("skyhex-data", query))


def places(rows: list[dict[str, Any]], *columns: str) -> list[tuple[object, ...]]:
    """Of each row the columns that say which it is."""
    return [tuple(row.get(name) for name in columns or WHICH) for row in rows]


@pytest.mark.parametrize("line", QUESTIONS, ids=[line[0] for line in QUESTIONS])
def test_a_question_has_one_answer(command: Callable[[str], str], line: list[str]) -> None:
    _, words, code, *query = line
    found = json.loads(command(f"{words} --format json"))
    assert found
    if code:
        assert places(python(code)) == places(found)
    if any(query):
        assert places(sql(query[0]), "h3_cell") == places(found, "h3_cell")


@pytest.mark.parametrize("line", CONDITIONS, ids=[line[0] for line in CONDITIONS])
def test_a_condition_holds_the_same_rows_everywhere(command: Callable[[str], str], line: list[str]) -> None:
    _, words, code, predicate = line
    found = json.loads(command(f"{BASE} {words} -k 10000 --format json"))
    assert 0 < len(found) < skyhex.open_table().row_count - 1
    assert places(python(f"skyhex.search(table, cell=a, k=10000, {code})")) == places(found)
    if predicate:
        by_sql = sql(f"SELECT h3_cell, start_datetime FROM similar_to('{A}') WHERE {predicate}")
        others = [row for row in found if row["h3_cell"] != A]
        key = ("h3_cell", "start_datetime")
        assert sorted(places(by_sql, *key)) == sorted(places(others, *key))


@pytest.mark.parametrize("line", FORMS, ids=[line[1] for line in FORMS])
def test_a_form_is_written(folder: Path, command: Callable[[str], str], line: list[str]) -> None:
    out = command(line[1]).encode()
    words = line[1].split()
    written = (folder / words[-1]).read_bytes() if "-o" in words else out
    assert len(written) > 500


def test_the_blocks_of_code_run_in_order(command: Callable[[str], str]) -> None:
    assert len(blocks("python")) >= 3
    names: dict[str, Any] = {}
    for code in blocks("python"):
        exec(compile(code, "docs/search.md", "exec"), names)
    assert names["hits"].rows.num_rows == 20
    (query,), (line,) = blocks("sql"), blocks("sh")
    for found in (sql(query), json.loads(command(f"{line} --format json"))):
        assert places(found, "h3_cell") == places(records(names["hits"].rows), "h3_cell")
