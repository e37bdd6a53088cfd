"""Plain words against what they mean."""

import re
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

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


CELL = 0x8928308280FFFFF


def at(year: int, month: int = 1, day: int = 1, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("word", "means"),
    [
        ("2021", at(2021)),
        (2021, at(2021)),
        (np.int64(2021), at(2021)),
        ("2021-03", at(2021, 3)),
        (" 2021-03-05 ", at(2021, 3, 5)),
        ("2021-03-05T06:00", at(2021, 3, 5, 6)),
        ("2021-03-05T06:00+02:00", at(2021, 3, 5, 4)),
        (date(2021, 3, 5), at(2021, 3, 5)),
        (datetime(2021, 3, 5, 6), at(2021, 3, 5, 6)),
        (datetime(2021, 3, 5, 6, tzinfo=timezone(timedelta(hours=1))), at(2021, 3, 5, 5)),
        (None, None),
    ],
)
def test_a_day_is_a_moment_of_utc(word: Any, means: datetime | None) -> None:
    assert moment(word) == means


@pytest.mark.parametrize("word", ["soon", "20", "2021-13", "2021-02-30", "202", 3])
def test_what_is_no_day_is_refused(word: Any) -> None:
    with pytest.raises(QueryError, match="is not a date: expected one such as 2021-03-01"):
        moment(word)
    for odd in (True, 1.5, [2021]):
        with pytest.raises(QueryError, match="the date came as"):
            moment(odd)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("word", "start", "end"),
    [
        ("2023", at(2023), at(2024)),
        ("2024", at(2024), at(2025)),
        (2023, at(2023), at(2024)),
        ("2023-01", at(2023, 1), at(2023, 2)),
        ("2023-02", at(2023, 2), at(2023, 3)),
        ("2023-12", at(2023, 12), at(2024, 1)),
        ("2023-12-31", at(2023, 12, 31), at(2024, 1, 1)),
        ("2023-03-01/2023-10-01", at(2023, 3), at(2023, 10)),
        (("2023-03-01", date(2023, 10, 1)), at(2023, 3), at(2023, 10)),
    ],
)
def test_a_period_ends_where_the_next_begins(word: Any, start: datetime, end: datetime) -> None:
    found = period_of(word)
    assert (found.start, found.end) == (start, end)


@pytest.mark.parametrize(
    "word",
    ["", "23", "2023-1", "2023-01-0", "2023/2024", "2023-01-01/2023-02", "2023-01-01/2023-02-01/2023-03-01",
     ("2023-01-01",), "9999", "abcd", 99999],
)  # fmt: skip
def test_what_is_no_period_is_refused(word: Any) -> None:
    with pytest.raises(QueryError, match="is not a period: expected 2023, 2023-06"):
        period_of(word)


def test_cells_then_places_then_vectors_one_or_several() -> None:
    text = f"{CELL:x}"
    found = examples_of(cell=[text, CELL], lonlat=[(1, 2), (3.5, 4)], vector=[[1, 0], [0, 1]])
    assert found[:4] == (Cell(CELL), Cell(CELL), LonLat(1, 2), LonLat(3.5, 4))
    assert [v.values.tolist() for v in found[4:] if isinstance(v, Vector)] == [[1, 0], [0, 1]]
    one = examples_of(cell=text, lonlat=(1, 2), vector=np.array([1.0, 2, 3]))
    assert one[:2] == (Cell(CELL), LonLat(1, 2))
    assert len(one) == 3
    assert examples_of() == ()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"lonlat": (1, 2, 3)}, r"lonlat came as .* expected \(lon, lat\) in degrees, or several"),
        ({"lonlat": "1 2"}, "lonlat came as"),
        ({"lonlat": [[[1, 2]]]}, "lonlat came as"),
        ({"vector": "abc"}, r"vector came as 'abc': expected \(d,\) numbers"),
        ({"vector": b"abc"}, "vector came as"),
        ({"vector": [[1], [2, 3]]}, "vector came as"),
        ({"cell": 1.5}, "cell came as '1.5': expected ids of H3 cells, one or several"),
        ({"cell": True}, "cell came as"),
        ({"cell": [CELL, None]}, "cell came as"),
    ],
)
def test_an_example_of_another_kind_is_refused(words: dict[str, Any], message: str) -> None:
    with pytest.raises(QueryError, match=message):
        examples_of(**words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"months": "June"}, "months came as 'June': expected whole numbers, one or several"),
        ({"months": [6, True]}, "months came as"),
        ({"modalities": 2}, "modalities came as '2': expected text, one or several"),
        ({"where": 7}, "where came as '7': expected SQL as text"),
        ({"footprint": 1}, "footprint came as '1': expected True or False"),
        ({"bbox": (1, 2, 3)}, r"bbox came as .* expected \(west, south, east, north\)"),
        ({"near": (1, 2)}, r"near came as .* expected \(lon, lat, km\)"),
        ({"near": [(1, 2, 3), (4, 5, 6)]}, "near came as"),
        ({"within": 5}, "within came as '5': expected a GeoJSON file or mapping"),
        ({"cells": 1.5}, "cells came as"),
    ],
)
def test_a_condition_of_another_kind_is_refused(words: dict[str, Any], message: str) -> None:
    with pytest.raises(QueryError, match=message):
        filter_of(**words)


def test_a_condition_that_nobody_knows_is_named() -> None:
    with pytest.raises(TypeError, match=r"no condition colour: expected some of bbox, within"):
        filter_of(colour="red")  # type: ignore[call-arg]


def test_without_conditions_every_row_passes() -> None:
    every = filter_of()
    assert every.region is None
    assert (every.start, every.end, every.months, every.modalities) == (None, None, (), ())
    assert (every.where, every.footprint) == (None, False)


def test_conditions_come_one_or_several() -> None:
    one = filter_of(
        months=6, modalities="s2", start="2021", end=date(2022, 1, 1), where="n > 1", footprint=True
    )
    assert (one.months, one.modalities, one.where, one.footprint) == ((6,), ("s2",), "n > 1", True)
    assert (one.start, one.end) == (at(2021), at(2022))
    several = filter_of(months=[6, np.int64(7)], modalities=("s2", "s1"))
    assert (several.months, several.modalities) == ((6, 7), ("s2", "s1"))


def test_areas_narrow_each_other_and_near_is_in_kilometres() -> None:
    square = shapely.box(0, 0, 10, 10)
    area = filter_of(bbox=(0, 0, 1, 1), within=square, cells=f"{CELL:x}", near=(0.5, 0.5, 20)).region
    assert area is not None
    assert len(area.shapes) == 4
    (disc,) = filter_of(near=(0.5, 0.5, 20)).region.shapes  # type: ignore[union-attr]
    assert (disc.lon_deg, disc.lat_deg, disc.radius_km) == (0.5, 0.5, 20)  # type: ignore[attr-defined]


def test_vectors_go_by_a_short_name_or_by_their_column() -> None:
    names = {"fused": "embedding", "geo": "embedding_geo", "hr": "embedding_hr", "s2": "embedding_s2",
             "s1": "embedding_s1"}  # fmt: skip
    for word, column in names.items():
        assert column_of(word) == column_of(column) == column
    with pytest.raises(QueryError, match="vectors 'x': expected one of fused, geo, hr, s2, s1"):
        column_of("x")


def test_a_query_is_by_default_of_the_fused_vectors_and_their_mean() -> None:
    example = Cell(CELL)
    assert query_of([example]) == Query((example,), (), "embedding", "embedding", "mean", 0.5, True, False)
    other = query_of([example], [example], using="s1", against="s2", match="all", negative_weight=2,
                     align=False, invert=True)  # fmt: skip
    assert other == Query((example,), (example,), "embedding_s1", "embedding_s2", "all", 2, False, True)


@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf"), "1"])
def test_a_negative_weight_is_a_number_of_0_or_more(weight: Any) -> None:
    assert query_of([Cell(CELL)], negative_weight=0).negative_weight == 0
    with pytest.raises(QueryError, match="negative weight"):
        query_of([Cell(CELL)], negative_weight=weight)


def test_results_differ_only_where_that_is_asked_for() -> None:
    assert diversity_of() is None
    by_parent = diversity_of(per_parent=2)
    assert by_parent is not None
    assert (by_parent.per_parent, by_parent.relevance) == (2, None)
    finer = diversity_of(per_parent=2, parent_res=6)
    assert finer is not None
    assert (finer.parent_resolution, by_parent.parent_resolution) == (6, 5)
    weighed = diversity_of(relevance=0.5)
    assert weighed is not None
    assert (weighed.per_parent, weighed.relevance) == (None, 0.5)
    with pytest.raises(QueryError, match="a parent resolution came without how many rows"):
        diversity_of(parent_res=6)
