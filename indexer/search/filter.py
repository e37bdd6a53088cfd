"""Which rows a search may return: an area, a time, and any SQL predicate over the table's columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from ..errors import QueryError
from ..geo.row_ranges import Mask
from ..geo.search_area import Region
from ..sql.limits import Limits
from ..table.columns import Microseconds

__all__ = ["Filter", "Region"]

WHERE_LIMITS = Limits(flags="where-")


@dataclass(frozen=True)
class Filter:
    """All conditions must hold; None asks nothing. Raises `QueryError` when made of what cannot hold."""

    region: Region | None = None  # the row's cell has its centre here; or see `footprint`
    start: datetime | None = None  # the row's period [start, end) overlaps this one; without a zone, UTC
    end: datetime | None = None
    where: str | None = None  # a predicate in DuckDB's SQL over the columns of the view `embeddings`
    where_limits: Limits = WHERE_LIMITS  # of answering it
    months: Sequence[int] = ()  # 1-12: the row's period touches one of these months of any year
    modalities: Sequence[str] = ()  # "hr", "s2", "s1": all were there when the row was made
    footprint: bool = False  # a row lies in the area when its footprint meets it, wherever its centre is

    def __post_init__(self) -> None:
        if self.start is not None and self.end is not None and _utc(self.start) >= _utc(self.end):
            raise QueryError(
                f"the period {self.start} to {self.end} is empty: expected the start before the end"
            )
        if not all(1 <= month <= 12 for month in self.months):
            raise QueryError(f"months {list(self.months)}: expected numbers 1 to 12")
        if not set(self.modalities) <= {"hr", "s2", "s1"}:
            raise QueryError(f"modalities {list(self.modalities)}: expected some of hr, s2, s1")

    @property
    def predicate(self) -> str | None:
        """The conditions that are answered by SQL, as one predicate."""
        parts = [f"n_{name} > 0" for name in self.modalities]
        if self.where is not None:
            parts.insert(0, f"({self.where}\n)")  # the line break ends a comment
        return " AND ".join(parts) or None

    @property
    def area_of_centres(self) -> Region | None:
        """The area that must hold the centre of a row's cell."""
        return None if self.footprint else self.region

    @property
    def asks_time(self) -> bool:
        """Whether a row's period matters."""
        return self.start is not None or self.end is not None or bool(self.months)

    def matches_time(self, start_us: Microseconds, end_us: Microseconds) -> Mask:
        """Whether periods [start, end) (n,) overlap the filter's and touch its months."""
        holds = np.ones(len(start_us), bool)
        if self.end is not None:
            holds &= start_us < _microseconds(self.end)
        if self.start is not None:
            start = _microseconds(self.start)
            holds &= (end_us > start) | (start_us >= start)
        if self.months:
            holds &= _touches_months(start_us, end_us, self.months)
        return holds


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _microseconds(moment: datetime) -> int:
    return int(np.datetime64(_utc(moment).replace(tzinfo=None), "us").astype(np.int64))


def _touches_months(start_us: Microseconds, end_us: Microseconds, months: Sequence[int]) -> Mask:
    first = start_us.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)  # months since 1970-01
    last = np.maximum(end_us - 1, start_us).astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    return np.asarray(np.any([(month - 1 - first) % 12 <= last - first for month in months], axis=0))
