"""A search in plain words, as the facade and the command line take it, turned into a query and a filter.

Wherever one value is taken, so is a sequence of them. Dates are text (`2024-06-01`), `date` or `datetime`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

import numpy as np
from numpy.typing import ArrayLike

from ..errors import QueryError
from .diversity import Diversity
from .filter import Filter, Region
from .query import Cell, Example, LonLat, Query, Vector

COLUMNS = {
    "fused": "embedding",
    "geo": "embedding_geo",
    "hr": "embedding_hr",
    "s2": "embedding_s2",
    "s1": "embedding_s1",
}

CellWord = str | int
LonLatWord = tuple[float, float]
DayWord = str | date
PeriodWord = str | int | tuple[DayWord, DayWord]
PolygonWord = str | Path | Mapping[str, Any]


def examples_of(
    *,
    cell: CellWord | Sequence[CellWord] | None = None,
    lonlat: LonLatWord | Sequence[LonLatWord] | None = None,
    vector: ArrayLike | None = None,  # (d,) or (m, d)
) -> tuple[Example, ...]:
    """Cells, then places, then vectors. Raises `QueryError`."""
    cells = [] if cell is None else [cell] if isinstance(cell, str | int | np.integer) else cell
    places = np.atleast_2d(np.empty((0, 2)) if lonlat is None else np.asarray(lonlat, np.float64))
    if places.shape[1:] != (2,):
        raise QueryError(f"lonlat came as {lonlat!r}: expected (lon, lat) in degrees, or several of them")
    vectors = np.atleast_2d(np.empty((0, 1)) if vector is None else np.asarray(vector, np.float64))
    return (
        *(Cell.parse(one) for one in cells),
        *(LonLat(lon, lat) for lon, lat in places.tolist()),
        *(Vector(values) for values in vectors),
    )


def query_of(
    like: Sequence[Example],
    unlike: Sequence[Example] = (),
    *,
    using: str = "fused",
    against: str = "fused",
    match: Literal["mean", "any"] = "mean",
    negative_weight: float = 0.5,
) -> Query:
    """A query whose vectors have the names of COLUMNS, or of the table's columns. Raises `QueryError`."""
    return Query(
        positives=tuple(like),
        negatives=tuple(unlike),
        using=column_of(using),
        against=column_of(against),
        match=match,
        negative_weight=negative_weight,
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


def filter_of(**words: Unpack[Conditions]) -> Filter:
    """The filter that conditions mean. Raises `QueryError`, and `TypeError` for a word it does not know."""
    unknown = ", ".join(set(words) - Conditions.__annotations__.keys())
    if unknown:
        raise TypeError(f"no condition {unknown}: expected some of {', '.join(Conditions.__annotations__)}")
    months, modalities = words.get("months", ()), words.get("modalities", ())
    return Filter(
        region=_area_of(words),
        footprint=words.get("footprint", False),
        start=moment(words.get("start")),
        end=moment(words.get("end")),
        months=(months,) if isinstance(months, int) else tuple(months),
        modalities=(modalities,) if isinstance(modalities, str) else tuple(modalities),
        where=words.get("where"),
    )


def _area_of(words: Conditions) -> Region | None:
    """What all areas that are named have in common."""
    areas: list[Region] = []
    if (bbox := words.get("bbox")) is not None:
        areas.append(Region.from_bbox(*bbox))
    if (within := words.get("within")) is not None:
        areas.append(Region.from_geojson(getattr(within, "__geo_interface__", within)))
    if (cells := words.get("cells")) is not None:
        areas.append(Region.from_cells([cells] if isinstance(cells, str | int) else cells))
    if (near := words.get("near")) is not None:
        areas.append(Region.from_point(near[0], near[1], 1000 * near[2]))
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
    """The beginning of a day, or a moment; UTC where no zone is given. Raises `QueryError`."""
    if day is None:
        return None
    if isinstance(day, str):
        try:
            day = datetime.fromisoformat(day)
        except ValueError:
            raise QueryError(f"{day!r} is not a date: expected one such as 2021-03-01") from None
    if not isinstance(day, datetime):
        day = datetime(day.year, day.month, day.day)
    return day if day.tzinfo else day.replace(tzinfo=UTC)


def period_of(word: PeriodWord) -> Filter:
    """Rows of `2023`, `2023-06`, `2023-06-15`, or of `2023-03-01/2023-10-01` (first day, day after the last).

    Raises:
        QueryError: none of these.
    """
    if isinstance(word, str) and "/" in word:
        first, _, last = word.partition("/")
        return Filter(start=moment(first), end=moment(last))
    if isinstance(word, tuple):
        return Filter(start=moment(word[0]), end=moment(word[1]))
    text = str(word)
    try:
        if len(text) == 4:
            first_day = datetime(int(text), 1, 1, tzinfo=UTC)
            return Filter(start=first_day, end=first_day.replace(year=first_day.year + 1))
        if len(text) == 7:
            first_day = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
            return Filter(start=first_day, end=(first_day + timedelta(days=31)).replace(day=1))
        first_day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise QueryError(
            f"{text!r} is not a period: expected 2023, 2023-06, 2023-06-15 or 2023-03-01/2023-10-01"
        ) from None
    return Filter(start=first_day, end=first_day + timedelta(days=1))
