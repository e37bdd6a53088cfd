"""A search in plain words, as the facade and the command line take it, turned into a query and a filter.

Wherever one value is taken, so is a sequence of them. Dates are text (`2024-06-01`), a year or a month (its
first day), `date` or `datetime`. A word of another type is refused by the name that it was given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import QueryError
from ..sql.limits import DEFAULT_MEMORY, DEFAULT_TIMEOUT_S, Limits
from .diversity import Diversity
from .filter import Filter, Region
from .query import Cell, Example, LonLat, Match, Query, Vector

COLUMNS = {
    "fused": "embedding",
    "geo": "embedding_geo",
    "hr": "embedding_hr",
    "s2": "embedding_s2",
    "s1": "embedding_s1",
}

CellWord = str | int
LonLatWord = tuple[float, float]
DayWord = str | int | date
PeriodWord = str | int | tuple[DayWord, DayWord]
PolygonWord = str | Path | Mapping[str, Any]


def examples_of(
    *,
    cell: CellWord | Sequence[CellWord] | None = None,
    lonlat: LonLatWord | Sequence[LonLatWord] | None = None,
    vector: ArrayLike | None = None,  # (d,) or (m, d)
) -> tuple[Example, ...]:
    """Cells, then places, then vectors. Raises `QueryError`."""
    places = np.empty((0, 2)) if lonlat is None else _numbers_of("lonlat", lonlat, _LONLAT)
    if places.shape[1:] != (2,):
        raise _not_expected("lonlat", lonlat, _LONLAT)
    vectors = np.empty((0, 1)) if vector is None else _numbers_of("vector", vector, "(d,) numbers, or (m, d)")
    return (
        *(Cell.parse(one) for one in _several("cell", cell, (str, int, np.integer))),
        *(LonLat(lon, lat) for lon, lat in places.tolist()),
        *(Vector(values) for values in vectors),
    )


def query_of(
    like: Sequence[Example],
    unlike: Sequence[Example] = (),
    *,
    using: str = "fused",
    against: str = "fused",
    match: Match = "mean",
    negative_weight: float = 0.5,
    align: bool = True,
    invert: bool = False,
) -> Query:
    """A query whose vectors have the names of COLUMNS, or of the table's columns. Raises `QueryError`."""
    return Query(
        positives=tuple(like),
        negatives=tuple(unlike),
        using=column_of(using),
        against=column_of(against),
        match=match,
        negative_weight=negative_weight,
        align=align,
        invert=invert,
    )


def column_of(word: str) -> str:
    """`embedding_s2` of `s2`. Raises `QueryError`."""
    if word not in COLUMNS and word not in COLUMNS.values():
        raise QueryError(f"vectors {word!r}: expected one of {', '.join(COLUMNS)}")
    return COLUMNS.get(word, word)


class Conditions(TypedDict, total=False):
    """Where, when and which rows: all that are given must hold, as in `Filter`."""

    bbox: tuple[float, float, float, float] | None  # W, S, E, N in degrees; W > E crosses 180
    within: PolygonWord | None  # a GeoJSON file or mapping, or whatever has a `__geo_interface__`
    cells: CellWord | Sequence[CellWord] | None  # a coarse one stands for its descendants
    near: tuple[float, float, float] | None  # lon, lat in degrees, and kilometres
    footprint: bool  # a row lies where its footprint reaches, not where its cell's centre is
    start: DayWord | None  # the row's period overlaps [start, end)
    end: DayWord | None
    months: int | Sequence[int]  # 1 to 12, of any year: the row's period touches one of them
    modalities: str | Sequence[str]  # "hr", "s2", "s1": all were there when the row was made
    where: str | None  # SQL over the columns of the view `embeddings`, and `prototype`, `region_cell`
    where_timeout_s: float  # of answering it, at most; 0: as long as it takes
    where_memory: str  # of answering it, at most, such as "2GB"


def filter_of(**words: Unpack[Conditions]) -> Filter:
    """The filter that conditions mean. Raises `QueryError`, and `TypeError` for a word it does not know."""
    unknown = ", ".join(set(words) - Conditions.__annotations__.keys())
    if unknown:
        raise TypeError(f"no condition {unknown}: expected some of {', '.join(Conditions.__annotations__)}")
    where, footprint = words.get("where"), words.get("footprint", False)
    if not isinstance(where, str | None):
        raise _not_expected("where", where, "SQL as text")
    if not isinstance(footprint, bool):
        raise _not_expected("footprint", footprint, "True or False")
    return Filter(
        region=_area_of(words),
        footprint=footprint,
        start=moment(words.get("start")),
        end=moment(words.get("end")),
        months=tuple(int(month) for month in _several("months", words.get("months"), (int, np.integer))),
        modalities=tuple(_several("modalities", words.get("modalities"), (str,))),
        where=where,
        where_limits=Limits.of(
            words.get("where_timeout_s", DEFAULT_TIMEOUT_S),
            words.get("where_memory", DEFAULT_MEMORY),
            flags="where-",
        ),
    )


def _area_of(words: Conditions) -> Region | None:
    """What all areas that are named have in common."""
    areas: list[Region] = []
    if (bbox := words.get("bbox")) is not None:
        areas.append(Region.from_bbox(*_count_of("bbox", bbox, _BBOX, 4)))
    if (within := words.get("within")) is not None:
        polygons = getattr(within, "__geo_interface__", within)
        if not isinstance(polygons, str | Path | Mapping):
            raise _not_expected(
                "within", within, "a GeoJSON file or mapping, or what has a __geo_interface__"
            )
        areas.append(Region.from_geojson(polygons))
    if (cells := words.get("cells")) is not None:
        areas.append(Region.from_cells(_several("cells", cells, (str, int, np.integer))))
    if (near := words.get("near")) is not None:
        lon_deg, lat_deg, radius_km = _count_of("near", near, _NEAR, 3)
        areas.append(Region.from_point(lon_deg, lat_deg, 1000 * radius_km))
    return Region(tuple(shape for area in areas for shape in area.shapes)) if areas else None


def diversity_of(
    *, per_parent: int | None = None, parent_res: int | None = None, relevance: float | None = None
) -> Diversity | None:
    """None where the results need not differ. Raises `QueryError`."""
    if parent_res is not None and per_parent is None:
        raise QueryError("a parent resolution came without how many rows a parent may have")
    if per_parent is None and relevance is None:
        return None
    resolution = Diversity.parent_resolution if parent_res is None else parent_res
    return Diversity(per_parent=per_parent, parent_resolution=resolution, relevance=relevance)


def moment(day: DayWord | None) -> datetime | None:
    """The beginning of a day, a month or a year, or a moment; UTC without a zone. Raises `QueryError`."""
    if day is None:
        return None
    if isinstance(day, bool) or not isinstance(day, str | int | np.integer | date):
        raise _not_expected("the date", day, _DAY)
    if isinstance(day, str | int | np.integer):
        text = str(day).strip()
        try:
            day = datetime.fromisoformat(text + _FIRST_DAY.get(len(text), ""))
        except ValueError:
            raise QueryError(f"{day!r} is not a date: expected {_DAY}") from None
    if not isinstance(day, datetime):
        day = datetime(day.year, day.month, day.day)
    return day if day.tzinfo else day.replace(tzinfo=UTC)


def period_of(word: PeriodWord) -> Filter:
    """Rows of `2023`, `2023-06`, `2023-06-15`, or of `2023-03-01/2023-10-01` (first day, day after the last).

    Raises:
        QueryError: none of these.
    """
    ends = word.split("/") if isinstance(word, str) and "/" in word else word
    wrong = QueryError(f"{str(word)[:60]!r} is not a period: expected {_PERIOD}")
    if isinstance(ends, tuple | list):
        if len(ends) != 2 or any(len(str(end)) < 10 for end in ends):
            raise wrong  # of two years it would not be known whether the second is meant, too
        return Filter(start=moment(ends[0]), end=moment(ends[1]))
    text = str(word)
    if len(text) not in _DAYS:
        raise wrong
    try:
        first_day = moment(text)
        assert first_day is not None
        later = first_day + timedelta(days=_DAYS[len(text)])
    except (QueryError, OverflowError):
        raise wrong from None
    ends_at = {4: later.replace(month=1, day=1), 7: later.replace(day=1), 10: later}
    return Filter(start=first_day, end=ends_at[len(text)])


_LONLAT = "(lon, lat) in degrees, or several of them"
_BBOX = "(west, south, east, north) in degrees"
_NEAR = "(lon, lat, km)"
_DAY = "one such as 2021-03-01, 2021-03 or 2021, a date or a datetime"
_PERIOD = "2023, 2023-06, 2023-06-15, 2023-03-01/2023-10-01 or a pair of days"
_FIRST_DAY = {4: "-01-01", 7: "-01"}  # by the length of a year and of a month
_DAYS = {4: 366, 7: 31, 10: 1}  # by the length of a period: at least so many to the next one


def _not_expected(name: str, came: object, expected: str) -> QueryError:
    return QueryError(f"{name} came as {str(came)[:60]!r}: expected {expected}")


def _several(name: str, came: Any, kinds: tuple[type, ...]) -> list[Any]:
    """One value of some kinds or a sequence of them, as a list; none of None. Raises `QueryError`."""
    values = [came] if isinstance(came, kinds) else came if came is not None else []
    try:
        values = list(values)
    except TypeError:
        values = [came]
    if not all(isinstance(value, kinds) and not isinstance(value, bool) for value in values):
        kind = "text" if kinds == (str,) else "whole numbers" if str not in kinds else "ids of H3 cells"
        raise _not_expected(name, came, f"{kind}, one or several")
    return values


def _numbers_of(name: str, came: Any, expected: str) -> NDArray[np.float64]:
    """Numbers as (m, n), a line of them as (1, n). Raises `QueryError`."""
    if not isinstance(came, str | bytes):
        try:
            numbers = np.atleast_2d(np.asarray(came, np.float64))
        except (TypeError, ValueError):
            numbers = np.empty(0)
        if numbers.ndim == 2:
            return numbers
    raise _not_expected(name, came, expected)


def _count_of(name: str, came: Any, expected: str, count: int) -> list[float]:
    """So many numbers. Raises `QueryError`."""
    numbers = _numbers_of(name, came, expected)
    if numbers.shape != (1, count):
        raise _not_expected(name, came, expected)
    return [float(number) for number in numbers[0]]
