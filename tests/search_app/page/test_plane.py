"""Rows in a plane, and what a shape there or on the map holds, against plain loops."""

import json
from pathlib import Path

import h3
import numpy as np
import pytest

from indexer.errors import QueryError
from indexer.table.columns import to_matrix, unit
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import KEY
from search_app.page import plane
from search_app.page.plane import inside, mean_inside, picked_rows, places_of, read_drawn, typical_first

from ..make_table import CELLS, small_table
from .test_map_answers import ask

TRIANGLE = "-0.5 -0.6,0.9 0.1,-0.2 0.8"
CROSSED = "-0.5 -0.5,0.5 0.5,0.5 -0.5,-0.5 0.5"  # an hourglass on its side


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddingTable:
    table = small_table(tmp_path / "t", years=(2021, 2022))
    monkeypatch.setenv("SKYHEX_TABLE", str(table.path))
    return table


def holds(ring: str, x: float, y: float) -> bool:
    """By the angles between the corners seen from a place, which go around it or not."""
    corners = np.array([[float(part) for part in pair.split()] for pair in ring.split(",")])
    seen = np.arctan2(*(corners - (x, y)).T[::-1])
    turns = (np.diff(np.r_[seen, seen[0]]) + np.pi) % (2 * np.pi) - np.pi
    return round(turns.sum() / (2 * np.pi)) % 2 == 1


@pytest.mark.parametrize("ring", [TRIANGLE, CROSSED])
def test_a_shape_on_the_plane_holds_what_lies_in_it(table: EmbeddingTable, ring: str) -> None:
    places = places_of(table, "pca")
    assert np.abs(places).max() == pytest.approx(1)
    expected = [holds(ring, x, y) for x, y in places.tolist()]
    found = inside(table, f"plane:pca:{ring}")
    assert found.tolist() == expected
    assert 0 < sum(expected) < len(expected)
    rows = picked_rows(table, f"plane:pca:{ring}", "pca")
    keys = read_drawn(table).keys.to_pylist()
    wanted = [key for key, there in zip(keys, expected, strict=True) if there]
    assert rows.select(list(KEY)).to_pylist() == wanted
    assert np.stack([rows["x"], rows["y"]], axis=1) == pytest.approx(places[found], abs=1e-6)
    assert rows["lat"].to_pylist() == pytest.approx(
        [h3.cell_to_latlng(h3.int_to_str(key["h3_cell"]))[0] for key in wanted]
    )


def test_a_shape_on_the_map_holds_the_rows_of_its_cells(table: EmbeddingTable) -> None:
    shape = "within:9.99 46.99,10.01 46.99,10.01 47.01,9.99 47.01"
    rows = picked_rows(table, shape, "pca")
    within = [
        cell
        for cell in CELLS
        if all(
            abs(d - m) < 0.01 for d, m in zip(h3.cell_to_latlng(h3.int_to_str(cell)), (47, 10), strict=True)
        )
    ]
    assert rows["h3_cell"].to_pylist() == [cell for cell in within for _ in (2021, 2022)]


def test_what_is_picked_has_a_mean_and_rows_most_like_it(table: EmbeddingTable) -> None:
    shape = f"plane:pca:{TRIANGLE}"
    (batch,) = table.scan([*KEY, "embedding"])
    vectors = unit(to_matrix(batch["embedding"]))[inside(table, shape)]
    assert mean_inside(table, shape) == pytest.approx(vectors.mean(axis=0), abs=1e-5)
    likeness = dict(
        zip(np.flatnonzero(inside(table, shape)).tolist(), vectors @ vectors.mean(axis=0), strict=True)
    )
    order = typical_first(table, shape).tolist()
    assert sorted(order) == sorted(likeness)
    assert np.diff([likeness[row] for row in order]).max() < 1e-6
    with pytest.raises(QueryError, match="holds no row"):
        mean_inside(table, "plane:pca:5 5,6 5,6 6")


def test_the_browser_gets_places_cells_and_periods(table: EmbeddingTable) -> None:
    body = bytes(ask(table, "plane", method="pca").body)
    length = int.from_bytes(body[:4], "little")
    header = json.loads(body[4 : 4 + length])
    assert header["cells"] == len(CELLS)
    assert header["periods"] == ["2021", "2022"]
    arrays = {
        name: np.frombuffer(body, place["type"], place["count"], 4 + length + place["first"])
        for name, place in header["arrays"].items()
    }
    np.testing.assert_array_equal(np.stack([arrays["x"], arrays["y"]], axis=1), places_of(table, "pca"))
    keys = read_drawn(table).keys
    assert np.array(CELLS, np.uint64)[arrays["node"]].tolist() == keys["h3_cell"].to_pylist()
    assert (arrays["period"] + 2021).tolist() == [start.year for start in keys["start_datetime"].to_pylist()]


def test_a_large_table_is_drawn_from(table: EmbeddingTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plane, "draw_rows", lambda table: draw(table, 30))
    from indexer.overview.drawn_rows import draw_rows as draw

    plane.read_drawn.clear()
    assert (len(read_drawn(table).keys), read_drawn(table).of_rows) == (30, 2 * len(CELLS))
    assert len(inside(table, f"plane:pca:{TRIANGLE}")) == 30


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ("somewhere", "no shape: expected plane"),
        ("plane:tsne:0 0,1 0,1 1", "'tsne' is unknown"),
        ("plane:pca:0 0,1 0", "three corners"),
        ("plane:pca:", "no shape"),
    ],
)
def test_a_shape_that_cannot_be_read(table: EmbeddingTable, shape: str, says: str) -> None:
    with pytest.raises(QueryError, match=says):
        inside(table, shape)
    assert ask(table, "plane", method="tsne").status_code == 422
