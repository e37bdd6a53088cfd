"""Plain words against what they mean."""

import re
from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pytest
import shapely

from indexer.errors import QueryError
from indexer.geo import cells
from indexer.search.diversity import Diversity
from indexer.search.filter import Filter, Region
from indexer.search.query import Cell, LonLat, Query, Vector
from indexer.search.words import column_of, diversity_of, examples_of, filter_of, moment, period_of, query_of
from indexer.table.ranked import check_k

A, B = "891f9c46523ffff", "891f9c0092bffff"
AREA = shapely.Polygon([(5, 45), (8, 45), (8, 48)])


def test_one_example_or_several() -> None:
    a, b = Cell.parse(A), Cell.parse(B)
    assert examples_of() == ()
    assert examples_of(cell=A) == (a,)
    assert examples_of(cell=np.uint64(a.cell)) == (a,)
    assert examples_of(cell=[A, b.cell], lonlat=(7, 46)) == (a, b, LonLat(7.0, 46.0))
    assert examples_of(lonlat=[(7, 46), (8, 47)]) == (LonLat(7.0, 46.0), LonLat(8.0, 47.0))
    (one,) = examples_of(vector=[1, 2, 3])
    assert isinstance(one, Vector)
    np.testing.assert_array_equal(one.values, [1, 2, 3])
    assert len(examples_of(vector=np.eye(3))) == 3
    with pytest.raises(QueryError, match="lonlat"):
        examples_of(lonlat=(7, 46, 400))  # type: ignore[arg-type]
    with pytest.raises(QueryError, match="H3 cell"):
        examples_of(cell="here")


def test_vectors_by_their_short_names() -> None:
    like = (Cell.parse(A),)
    assert query_of(like) == Query(like)
    asked = query_of(like, using="s2", against="embedding_s1", match="any", negative_weight=0)
    assert asked == Query(like, using="embedding_s2", against="embedding_s1", match="any", negative_weight=0)
    assert column_of("fused") == "embedding"
    with pytest.raises(QueryError, match="one of fused, geo, hr, s2, s1"):
        column_of("radar")
    with pytest.raises(QueryError, match="mean, any"):
        query_of(like, match="each")  # type: ignore[arg-type]
    with pytest.raises(QueryError, match="0 or more"):
        query_of(like, negative_weight=float("nan"))


def test_regions_combine() -> None:
    box, disc = (5.0, 45.0, 8.0, 48.0), (6.5, 46.5, 80.0)
    assert filter_of() == Filter()
    assert filter_of(bbox=box).region == Region.from_bbox(*box)
    assert filter_of(near=disc).region == Region.from_point(6.5, 46.5, 80_000)
    assert filter_of(cells=A).region is not None
    both = filter_of(
        bbox=box, near=disc, within=AREA, cells=[cells.parent(cells.parse_cell(A), 3)], footprint=True
    )
    assert both.region is not None
    assert len(both.region.shapes) == 4
    assert both.footprint
    with pytest.raises(QueryError, match="distance above zero"):
        filter_of(near=(6.5, 46.5, -1))
    with pytest.raises(TypeError, match="no condition bboxes: expected some of bbox, within"):
        filter_of(bboxes=box)  # type: ignore[call-arg]


def test_one_or_several_months_and_modalities() -> None:
    assert filter_of(months=7, modalities="s1") == Filter(months=(7,), modalities=("s1",))
    assert filter_of(months=[6, 7], modalities=["s1", "hr"]) == Filter(months=(6, 7), modalities=("s1", "hr"))


def test_days_as_text_date_or_moment() -> None:
    day = datetime(2024, 6, 1, tzinfo=UTC)
    assert moment("2024-06-01") == moment(date(2024, 6, 1)) == moment(datetime(2024, 6, 1)) == day
    abroad = datetime(2024, 6, 1, tzinfo=timezone(timedelta(hours=2)))
    assert moment(abroad) == moment("2024-06-01T00:00:00+02:00") == abroad
    assert moment(None) is None
    assert moment(2024) == moment("2024") == moment("2024-01") == datetime(2024, 1, 1, tzinfo=UTC)
    with pytest.raises(QueryError, match="'June' is not a date"):
        moment("June")


@pytest.mark.parametrize(
    ("word", "start", "end"),
    [
        (2023, "2023-01-01", "2024-01-01"),
        ("2023", "2023-01-01", "2024-01-01"),
        ("2023-02", "2023-02-01", "2023-03-01"),
        ("2023-12", "2023-12-01", "2024-01-01"),
        ("2024-02-29", "2024-02-29", "2024-03-01"),
        ("2023-03-01/2023-10-01", "2023-03-01", "2023-10-01"),
        (("2023-03-01", date(2023, 10, 1)), "2023-03-01", "2023-10-01"),
    ],
)
def test_periods(word: str | int | tuple[str, date], start: str, end: str) -> None:
    assert period_of(word) == Filter(start=moment(start), end=moment(end))


@pytest.mark.parametrize(
    "word",
    ["", "last year", "2023-13", "2023-02-30", "23", "0000", "9999", "2023/2024", "2024-01-01/2023-01-01"],
)
def test_what_is_no_period(word: str) -> None:
    with pytest.raises(QueryError, match=r"period|date"):
        period_of(word)


def test_diversity() -> None:
    assert diversity_of() is None
    assert diversity_of(per_parent=2) == Diversity(per_parent=2, parent_resolution=5)
    assert diversity_of(per_parent=1, parent_res=3, relevance=0.5) == Diversity(1, 3, 0.5)
    with pytest.raises(QueryError, match="how many rows"):
        diversity_of(parent_res=3)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"bbox": (1, 2)}, "bbox came as '(1, 2)': expected (west"),
        ({"bbox": "1,2,3,4"}, "bbox came as '1,2,3,4'"),
        ({"near": (7.0, 46.0)}, "near came as '(7.0, 46.0)': expected (lon, lat, km)"),
        ({"near": "here"}, "near came as 'here'"),
        ({"within": 7}, "within came as '7': expected a GeoJSON"),
        ({"cells": 1.5}, "cells came as '1.5': expected ids of H3 cells"),
        ({"cells": [A, None]}, "cells came as"),
        ({"months": "6,7"}, "months came as '6,7': expected whole numbers"),
        ({"months": [True]}, "months came as"),
        ({"modalities": 2}, "modalities came as '2': expected text"),
        ({"start": 3.5}, "the date came as '3.5': expected one such as 2021-03-01"),
        ({"start": ["2024"]}, "the date came as"),
        ({"where": 3}, "where came as '3': expected SQL"),
        ({"footprint": "yes"}, "footprint came as 'yes': expected True or False"),
    ],
)
def test_a_condition_of_another_type_is_refused_by_its_name(words: dict[str, object], said: str) -> None:
    with pytest.raises(QueryError, match=re.escape(said)):
        filter_of(**words)  # type: ignore[arg-type]


def test_an_example_of_another_type_is_refused_by_its_name() -> None:
    for words in ({"lonlat": "2,3"}, {"lonlat": ["a", "b"]}, {"vector": "v.npy"}, {"cell": 3.5}):
        (name,) = words
        with pytest.raises(QueryError, match=f"{name} came as"):
            examples_of(**words)  # type: ignore[arg-type]
    with pytest.raises(QueryError, match="k = 'ten': expected a whole number"):
        check_k("ten")  # type: ignore[arg-type]
    for diversity in ({"per_parent": "a"}, {"per_parent": 1, "parent_res": 16}, {"relevance": "a"}):
        with pytest.raises(QueryError, match="expected"):
            diversity_of(**diversity)  # type: ignore[arg-type]
    with pytest.raises(QueryError, match="negative weight 'a'"):
        query_of((Cell.parse(A),), negative_weight="a")  # type: ignore[arg-type]
