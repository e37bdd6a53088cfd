"""Words that people type, and the query and filter they mean."""

from datetime import UTC, date, datetime
from pathlib import Path

import h3
import numpy as np
import pytest
import shapely

from indexer.errors import QueryError
from indexer.geo.cells import cell_to_text, centres
from indexer.prototypes.regional import fit_prototypes, read_prototypes
from indexer.search.diversity import Diversity
from indexer.search.filter import Region
from indexer.search.query import Cell, LonLat, Query, Vector
from indexer.table.embedding_table import EmbeddingTable
from search_app.page.agreed import HeldError, agree
from search_app.page.brought import Brought, bring
from search_app.page.question import (
    Lookup,
    conditions_of,
    part_of,
    place_label,
    to_diversity,
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
    lookup = Lookup(prototypes, no_shape, no_words, no_words)
    query = to_query(view, lookup)
    assert query is not None
    assert query.positives[0] == Cell(CELLS[0])
    assert query.positives[1] == LonLat(10.0, 47.0)
    assert isinstance(query.positives[2], Vector)
    assert np.array_equal(query.positives[2].values, prototypes.vectors[1])
    assert list(query.negatives) == [Cell(CELLS[1])]
    with pytest.raises(QueryError, match="expected 0 to"):
        part_of(name.replace("/1", "/99"), lookup)
    with pytest.raises(QueryError, match="fused vectors"):
        part_of(name, lookup, "s2")


def test_a_prototype_of_a_table_without_any_is_refused_with_the_command_to_run() -> None:
    with pytest.raises(QueryError, match="skyhex prototypes fit"):
        part_of("prototype:841f1d4ffffffff/0", NOWHERE)


def no_shape(region: Region, using: str) -> np.ndarray:
    raise AssertionError("no shape was asked for")


def no_words(words: str) -> np.ndarray:
    raise AssertionError("no words were asked for")


NOWHERE = Lookup(None, no_shape, no_words, no_words)


def test_words_become_a_vector() -> None:
    lookup = Lookup(None, no_shape, lambda words: np.full(2, len(words)), no_words)
    part = part_of("words:a lake, at dusk", lookup)
    assert isinstance(part, Vector)
    assert part.values.tolist() == [15, 15]
    assert place_label("words:a lake, at dusk") == "“a lake, at dusk”"


def test_looking_for_nothing_is_no_query() -> None:
    assert to_query(View(k=3), NOWHERE) is None


def test_a_question_has_all_that_the_engine_has() -> None:
    a, b = (cell_to_text(cell) for cell in CELLS[:2])
    view = View(
        like=("1,2", a, b, a),
        match="all",
        invert=True,
        negative_weight=0.7,
        using="s2",
        against="s1",
        per_parent=2,
        relevance=0.6,
    )
    first, second = (Cell(cell) for cell in CELLS[:2])
    assert to_query(view, NOWHERE) == Query(
        (first, second, first, LonLat(1.0, 2.0)),  # one that stands there twice counts twice
        (),
        using="embedding_s2",
        against="embedding_s1",
        match="all",
        negative_weight=0.7,
        invert=True,
    )
    assert to_query(View(unlike=(a,)), NOWHERE) == Query((), (first,))
    assert to_diversity(view) == Diversity(per_parent=2, relevance=0.6)
    assert to_diversity(View()) is None


def test_a_shape_is_the_mean_of_what_lies_in_it_and_is_looked_for_elsewhere() -> None:
    cells = np.array(CELLS, np.uint64)
    ring = f"{WITHIN}9.99 46.99,10.01 46.99,10 47.01"

    def counted(region: Region, using: str) -> np.ndarray:
        assert using == "fused"
        return np.array([1.0, region.rows(cells).count])

    query = to_query(View(like=(ring,)), Lookup(None, counted, no_words, no_words))
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
    inside_all = to_filter(View(within="9.9 46.9,10.1 46.9,10 47.1")).region
    assert inside_all is not None
    assert narrowed.region.rows(cells).count == inside_all.rows(cells).count - inside
    with pytest.raises(QueryError, match="fill the whole area"):
        to_search_filter(View(like=(ring,), within=ring.removeprefix(WITHIN)))


def test_a_shape_over_the_antimeridian_and_a_wide_one_are_read_as_they_are() -> None:
    h3_cells = np.sort([h3.str_to_int(h3.latlng_to_cell(0.5, lon, 5)) for lon in (-179.5, 179.5, 0, 90, -90)])
    for shape, held in (
        ("179 0,181 0,181 1,179 1", 2),
        ("-181 0,-179 0,-179 1,-181 1", 2),
        ("-170 0,170 0,170 1,-170 1", 3),
    ):
        region = to_filter(View(within=shape)).region
        assert region is not None
        assert region.rows(h3_cells.astype(np.uint64)).count == held


def test_an_area_that_was_brought_limits_the_question() -> None:
    cells = np.array(CELLS, np.uint64)
    hole = shapely.box(9.9, 46.9, 10.1, 47.1) - shapely.box(9.995, 46.995, 10.005, 47.005)
    region = to_filter(View(within=bring(Brought("area.geojson", area=hole)))).region
    assert region is not None
    lon, lat = centres(cells)
    in_hole = (abs(lon - 10) < 0.005) & (abs(lat - 47) < 0.005)
    assert 0 < in_hole.sum() == len(cells) - region.rows(cells).count
    with pytest.raises(QueryError, match="upload it again"):
        to_filter(View(within="upload:0123456789abcdef/my area.geojson"))


def test_sql_is_answered_once_a_person_agreed() -> None:
    view = View(where="cloud_fraction < 0.15 -- clear", cloud=0.2, valid=0.5)
    for ask in (to_filter, to_search_filter):
        with pytest.raises(HeldError):
            ask(view)
    agree(view.where)
    both = "cloud_fraction <= 0.2 AND valid_fraction >= 0.5 AND (cloud_fraction < 0.15 -- clear\n)"
    assert to_filter(view).where == both
    with pytest.raises(HeldError):
        to_filter(View(where="cloud_fraction < 0.15 -- Clear"))
    assert to_filter(View(cloud=0.2)).where == "cloud_fraction <= 0.2"  # a number is no SQL


def test_conditions_are_the_words_of_a_search() -> None:
    view = View(
        near=(10.0, 47.0, 2.0),
        cells=("841f8d7ffffffff",),
        footprint=True,
        start=date(2021, 3, 1),
        months=(6, 7),
        modalities=("s2",),
    )
    assert conditions_of(view) == {
        "near": (10.0, 47.0, 2.0),
        "cells": ["841f8d7ffffffff"],
        "footprint": True,
        "start": "2021-03-01",
        "months": [6, 7],
        "modalities": ["s2"],
    }
    assert conditions_of(View()) == {}


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
    assert place_label("upload:0123456789abcdef/a field.tif") == "a field.tif"


def test_rows_in_a_shape_on_the_plane_are_an_example_of_fused_vectors() -> None:
    place = "plane:pca:0 0,1 0,1 1"
    lookup = Lookup(None, no_shape, no_words, lambda shape: np.full(2, len(shape)))
    query = to_query(View(like=(place,)), lookup)
    assert query is not None
    assert query.positives[0].values.tolist() == [len(place)] * 2  # type: ignore[union-attr]
    assert place_label(place) == "rows in a shape on the plane"
    with pytest.raises(QueryError, match="fused"):
        to_query(View(like=(place,), using="s2"), lookup)
