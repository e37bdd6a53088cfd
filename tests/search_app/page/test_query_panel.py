"""Words that people type, and the query and filter they mean."""

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from indexer.errors import QueryError
from indexer.geo.cells import cell_to_text
from indexer.prototypes.regional import fit_prototypes, read_prototypes
from indexer.search.filter import Region
from indexer.search.query import Cell, LonLat, Vector
from indexer.table.embedding_table import EmbeddingTable
from search_app.page.query_panel import (
    part_of,
    place_label,
    to_filter,
    to_query,
    to_search_filter,
)
from search_app.page.shapes import WITHIN
from search_app.page.url_state import View

from ..make_table import CELLS, small_table


def test_places_become_parts_of_a_query(tmp_path: Path) -> None:
    small_table(tmp_path / "t")
    fit_prototypes(EmbeddingTable.open(tmp_path / "t"), region_resolution=4)
    prototypes = read_prototypes(EmbeddingTable.open(tmp_path / "t"))
    name = f"prototype:{cell_to_text(int(prototypes.region_cell[0]))}/1"
    view = View(like=(cell_to_text(CELLS[0]), "10,47", name), unlike=(cell_to_text(CELLS[1]),))
    query = to_query(view, prototypes, no_shape, no_words)
    assert query is not None
    assert query.positives[0] == Cell(CELLS[0])
    assert query.positives[1] == LonLat(10.0, 47.0)
    assert isinstance(query.positives[2], Vector)
    assert np.array_equal(query.positives[2].values, prototypes.vectors[1])
    assert list(query.negatives) == [Cell(CELLS[1])]
    with pytest.raises(QueryError, match="expected 0 to"):
        part_of(name.replace("/1", "/99"), prototypes, no_shape, no_words)


def test_a_prototype_of_a_table_without_any_is_refused_with_the_command_to_run() -> None:
    with pytest.raises(QueryError, match="skyhex prototypes fit"):
        part_of("prototype:841f1d4ffffffff/0", None, no_shape, no_words)


def no_shape(region: Region) -> np.ndarray:
    raise AssertionError("no shape was asked for")


def no_words(words: str) -> np.ndarray:
    raise AssertionError("no words were asked for")


def test_words_become_a_vector() -> None:
    part = part_of("words:a lake, at dusk", None, no_shape, lambda words: np.full(2, len(words)))
    assert isinstance(part, Vector)
    assert part.values.tolist() == [15, 15]
    assert place_label("words:a lake, at dusk") == "“a lake, at dusk”"


def test_looking_for_nothing_is_no_query() -> None:
    assert to_query(View(k=3), None, no_shape, no_words) is None


def test_what_is_kept_away_from_alone_is_read_as_an_example() -> None:
    query = to_query(View(unlike=(cell_to_text(CELLS[0]),)), None, no_shape, no_words)
    assert query is not None
    assert list(query.positives) == [Cell(CELLS[0])]


def test_a_shape_is_the_mean_of_what_lies_in_it_and_is_looked_for_elsewhere() -> None:
    cells = np.array(CELLS, np.uint64)
    ring = f"{WITHIN}9.99 46.99,10.01 46.99,10 47.01"

    def counted(region: Region) -> np.ndarray:
        return np.array([1.0, region.rows(cells).count])

    query = to_query(View(like=(ring,)), None, counted, no_words)
    assert query is not None
    inside = query.positives[0].values[1]  # type: ignore[union-attr]
    assert 0 < inside < len(cells)
    elsewhere = to_search_filter(View(like=(ring,))).region
    assert elsewhere is not None
    assert elsewhere.rows(cells).count == len(cells) - inside
    assert to_filter(View(like=(ring,))).region is None
    narrowed = to_search_filter(
        View(like=(ring,), bbox=(9.9, 46.9, 10.1, 47.1), within="9.9 46.9,10.1 46.9,10 47.1")
    )
    assert narrowed.region is not None
    assert len(narrowed.region.shapes) == 3


def test_the_filter_of_a_view() -> None:
    conditions = to_filter(View(bbox=(9.9, 46.9, 10.1, 47.1), start=date(2021, 3, 1), end=date(2021, 4, 1)))
    assert (conditions.start, conditions.end) == (
        datetime(2021, 3, 1, tzinfo=UTC),
        datetime(2021, 4, 1, tzinfo=UTC),
    )
    assert conditions.region is not None
    assert conditions.region.rows(np.array(CELLS, np.uint64)).count == len(CELLS)
    assert to_filter(View()).region is None


def test_dates_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(QueryError, match="start before the end"):
        to_filter(View(start=date(2021, 5, 1), end=date(2021, 4, 1)))


def test_labels_are_short() -> None:
    assert place_label("prototype:841f1d4ffffffff/12") == "prototype 12 of 841f1d4"
    assert place_label("9.5,47") == "9.5, 47"
    assert place_label("within:1 2,3 4,5 6") == "cells in a shape"
