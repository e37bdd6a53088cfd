"""What is wrong with rows is told, each fault by itself, and nothing is said of sound ones."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shapely

from indexer.geo import cells, footprints
from indexer.table import parts, validate
from indexer.table.embedding_table import EmbeddingTable

from ..small_tables import place_table


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingTable:
    return place_table(tmp_path_factory.mktemp("validated") / "t", n=30)


@pytest.fixture(scope="module")
def rows(table: EmbeddingTable) -> pa.Table:
    return parts.read_part(table.storage, table.files[0])


def changed(rows: pa.Table, name: str, values: Any) -> pa.Table:
    place = rows.schema.get_field_index(name)
    return rows.set_column(place, rows.schema.field(name), pa.array(values, rows.schema.field(name).type))


def key_problems(table: EmbeddingTable, rows: pa.Table) -> list[str]:
    return [*validate._key_problems(table.manifest, table.files[0], rows)]


def test_sound_rows_have_no_problem(table: EmbeddingTable, rows: pa.Table) -> None:
    assert key_problems(table, rows) == []
    assert [*validate._vector_problems(table.manifest, rows)] == []
    assert [*validate._geometry_problems(rows)] == []
    assert [*validate._metadata_problems(table.manifest, rows)] == []
    assert [*validate._order_problems(table.manifest)] == []


def swapped(cell: np.ndarray) -> np.ndarray:
    inner = np.flatnonzero((cell[1:-2] != cell[2:-1]) & (cell[1:-2] != cell[0]))[0] + 1
    made = cell.copy()
    made[[inner, inner + 1]] = cell[[inner + 1, inner]]
    return made


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda cell: cell[[*range(2, len(cell)), -1, -1]],
            "rows or cells are not those that the manifest says",
        ),
        (
            lambda cell: cell[[0, 0, *range(len(cell) - 2)]],
            "rows or cells are not those that the manifest says",
        ),
        (lambda cell: np.where(np.arange(len(cell)) == 3, 7, cell), "cells that are not H3 cells of"),
        (
            lambda cell: np.where(np.arange(len(cell)) == 3, cells.parents(cell, 8), cell),
            "cells that are not",
        ),
        (swapped, "rows are not in order of cell"),
    ],
)
def test_what_is_wrong_with_keys(
    table: EmbeddingTable, rows: pa.Table, change: Callable[[np.ndarray], np.ndarray], said: str
) -> None:
    cell = rows["h3_cell"].to_numpy()
    assert any(said in problem for problem in key_problems(table, changed(rows, "h3_cell", change(cell))))


def test_fewer_rows_and_repeated_ones_are_told(table: EmbeddingTable, rows: pa.Table) -> None:
    assert "rows or cells are not those" in key_problems(table, rows.slice(0, len(rows) - 1))[0]
    twice = pa.concat_tables([rows.slice(0, 1), rows]).combine_chunks()
    assert "1 rows repeat the key of another" in key_problems(table, twice)


@pytest.mark.parametrize(("factor", "sound"), [(1.0009, True), (1.003, False), (0.997, False)])
def test_norms_are_one_to_the_rounding_of_their_numbers(
    table: EmbeddingTable, rows: pa.Table, factor: float, sound: bool
) -> None:
    matrix = np.array(rows["embedding"].to_pylist(), np.float64)
    matrix /= np.linalg.norm(matrix, axis=1)[:, None]
    matrix[2] *= factor if not sound else 1
    made = changed(rows, "embedding", list(matrix.astype(np.float16)))
    problems = [*validate._vector_problems(table.manifest, made)]
    assert (problems == []) is sound
    if not sound:
        assert problems[0].startswith("embedding: a norm is off by 0.00")
    matrix[2, 0] = np.inf
    made = changed(rows, "embedding", list(matrix.astype(np.float16)))
    assert [*validate._vector_problems(table.manifest, made)] == ["embedding: 1 vectors are not finite"]


def test_what_is_wrong_with_footprints(rows: pa.Table) -> None:
    crossed = shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])
    wkb = rows["geometry"].to_pylist()
    made = changed(rows, "geometry", [crossed.wkb, *wkb[1:]])
    assert [*validate._geometry_problems(made)] == ["geometry: 1 footprints are not valid"]
    far = shapely.box(100, 10, 100.01, 10.01)
    problems = [*validate._geometry_problems(changed(rows, "geometry", [*wkb[:-1], far.wkb]))]
    assert problems[0] == "bbox: not the bounds of the geometry"
    assert problems[1].startswith("h3_cell: 1 rows lie in another cell than their footprint's centre, first ")


@pytest.mark.parametrize(("share", "off"), [(0.5, False), (3.0, True)])
def test_a_centre_may_lie_a_little_beside_its_cell(share: float, off: bool) -> None:
    cell = cells.cells_at([10.0], [47.0], 9)
    lon, lat = cells.centres(cell)
    ring = np.array(cells.boundary(int(cell[0])))
    beyond = ring[0] + (ring[0] - (lon[0], lat[0])) * 0.02
    half = np.abs(beyond - ring[0]) / (2 * validate.CENTRE_TOLERANCE) / share
    shape = footprints.polygons([shapely.box(*(beyond - half), *(beyond + half)).exterior.coords])
    assert cells.cells_at([beyond[0]], [beyond[1]], 9)[0] != cell[0]
    assert validate.misplaced(cell, shape).tolist() == [off]


def test_parts_that_overlap_are_told(table: EmbeddingTable, tmp_path: Path) -> None:
    turned = replace(table.manifest, files=table.manifest.files[::-1])
    assert len(table.files) > 1
    assert [*validate._order_problems(turned)] == ["manifest: files overlap or are not in order of cell"]
