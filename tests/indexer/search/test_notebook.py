"""Answers as people read them, and as data frames."""

import re
from dataclasses import replace
from pathlib import Path

import h3
import numpy as np
import pytest
import shapely

from indexer.index.faiss_index import build_index
from indexer.search.notebook import small_map
from indexer.search.query import Query, Vector
from indexer.search.search import Hits, search

from ..random_rows import MODEL, random_rows
from ..small_tables import EmbeddingTable


@pytest.fixture(scope="module")
def hits(tmp_path_factory: pytest.TempPathFactory) -> Hits:
    names = ["<img src=x>", *(f"s{i}" for i in range(1, 30))]
    path = tmp_path_factory.mktemp("shown") / "t"
    table = EmbeddingTable.create(path, MODEL, h3_resolution=9).upsert(random_rows(30, sample_id=names))
    build_index(table)
    return search(table, Query((Vector(np.ones(MODEL.dimension)),)), 25)


def test_a_compact_text_with_cells_as_hex(hits: Hits) -> None:
    head, names, *lines, more = repr(hits).splitlines()
    assert head == "<Hits: 25 rows, exact over 30 of 30 rows>"
    assert names.split() == [
        "rank", "similarity", "top_share", "h3_cell", "sample_id", "start_datetime", "end_datetime",
    ]  # fmt: skip
    assert len(lines) == 10
    assert lines[0].split()[3] == f"{hits.rows['h3_cell'][0].as_py():x}"
    assert more == "... 15 more"


def test_html_escapes_names_and_draws_each_row(hits: Hits) -> None:
    shown = Hits(hits.rows.take(np.argsort(hits.rows["sample_id"].to_numpy())), "exact", ("<note>",))
    page = shown._repr_html_()
    assert "&lt;img src=x&gt;" in page
    assert "<img" not in page
    assert "&lt;note&gt;" in page
    assert page.count("<circle") == 25
    assert page.count("<tr>") == 11
    assert small_map([], [], []) == ""
    assert small_map([8.0], [47.0], [0.5]).count("<circle") == 1


def test_frames_hold_hex_and_hexagons(hits: Hits) -> None:
    pytest.importorskip("geopandas")
    frame = hits.to_geopandas()
    cells = [h3.int_to_str(cell) for cell in hits.rows["h3_cell"].to_pylist()]
    assert frame["h3_cell"].tolist() == cells == hits.to_pandas()["h3_cell"].tolist()
    assert frame.crs.to_epsg() == 4326
    corners = [(lon, lat) for lat, lon in h3.cell_to_boundary(cells[3])]
    assert frame.geometry[3].equals(shapely.Polygon(corners))
    assert frame["similarity"].tolist() == hits.rows["similarity"].to_pylist()


def test_the_map_has_west_at_the_left_north_above_and_the_best_darkest_and_last() -> None:
    """Four corners about 60 degrees north, where a degree of longitude is half of one of latitude."""
    drawn = small_map([10.0, 14.0, 10.0, 14.0], [61.0, 61.0, 59.0, 59.0], [0.1, 0.3, 0.2, 0.6])
    dots = re.findall(r'cx="(.*?)" cy="(.*?)" r="3" fill="hsl\(210,80%,(\d+)%', drawn)
    assert dots == [
        ("6.0", "6.0", "80"),
        ("6.0", "144.0", "69"),
        ("144.0", "6.0", "58"),
        ("144.0", "144.0", "25"),
    ]


def test_a_table_says_what_it_is(tmp_path: Path) -> None:
    model = replace(MODEL, name="<b>m</b>", trained=False)
    table = EmbeddingTable.create(tmp_path / "t", model, h3_resolution=9, simulated=True)
    assert repr(table) == f"<EmbeddingTable {table.storage.root} snapshot 1: 0 rows>"
    page = table._repr_html_()
    assert f"<td>{table.storage.root}, snapshot 1, simulated</td>" in page
    assert "<td>&lt;b&gt;m&lt;/b&gt; (" in page
    assert "dimensions), untrained</td>" in page
    assert "<td>0 in cells of H3 resolution 9</td>" in page
    assert "<td>h3_cell, sample_id, start_datetime" in page
    plain = EmbeddingTable.create(tmp_path / "u", replace(MODEL, trained=True), h3_resolution=9)._repr_html_()
    assert "dimensions)</td>" in plain
    assert "snapshot 1</td>" in plain
