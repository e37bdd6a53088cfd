"""Sets of rows as ranges: in order of H3 cell an area is a few hundred, however many rows it holds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

SHORTEST_SCAN = 256  # rows: shorter ranges are gathered before they are scanned
SHORTEST_FILL = 64  # rows: shorter ranges are marked row by row

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]


def positions(starts: Rows, lengths: Rows) -> Rows:
    """Of all elements of runs, one run after the other."""
    before = np.cumsum(lengths) - lengths
    return np.asarray(np.arange(lengths.sum()) + np.repeat(starts - before, lengths))


@dataclass(frozen=True, eq=False)
class RowRanges:
    """Sorted, disjoint, non-empty half-open ranges [start, stop) of row numbers."""

    starts: Rows  # (m,)
    stops: Rows  # (m,)

    @staticmethod
    def all_of(row_count: int) -> RowRanges:
        """Every row of a matrix."""
        return RowRanges.merged(np.array([0]), np.array([row_count]))

    @staticmethod
    def merged(starts: Rows, stops: Rows) -> RowRanges:
        """From ranges in any order, overlapping, touching or empty."""
        some = stops > starts
        starts, stops = starts[some].astype(np.int64), stops[some].astype(np.int64)
        if len(starts) <= 1:
            return RowRanges(starts, stops)
        order = np.argsort(starts, kind="stable")
        starts, stops = starts[order], stops[order]
        reach = np.maximum.accumulate(stops)
        opens = np.r_[True, starts[1:] > reach[:-1]]
        return RowRanges(starts[opens], reach[np.r_[opens[1:], True]])

    @staticmethod
    def of_rows(rows: Rows) -> RowRanges:
        """From ascending, distinct row numbers."""
        rows = np.asarray(rows, np.int64)
        opens = np.flatnonzero(np.diff(rows, prepend=-2) != 1)
        closes = np.r_[opens[1:], len(rows)] - 1 if len(rows) else opens
        return RowRanges(rows[opens], rows[closes] + 1)

    @cached_property
    def count(self) -> int:
        """How many rows."""
        if len(self.starts) == 1:
            return int(self.stops[0]) - int(self.starts[0])
        return int((self.stops - self.starts).sum())

    def rows(self) -> Rows:
        """The row numbers, ascending: (count,)."""
        if len(self.starts) == 1:
            return np.arange(self.starts[0], self.stops[0])
        return positions(self.starts, self.stops - self.starts)

    @cached_property
    def pieces(self) -> tuple[RowRanges, Rows]:
        """The ranges to scan where they lie, and the rows of the others."""
        long, short = self.split(SHORTEST_SCAN)
        return long, short.rows()

    def mask(self, row_count: int) -> Mask:
        """Which of so many rows are in the set: (row_count,)."""
        mask = np.zeros(row_count, bool)
        long, short = self.split(SHORTEST_FILL)
        for start, stop in zip(long.starts.tolist(), long.stops.tolist(), strict=True):
            mask[start:stop] = True
        mask[short.rows()] = True
        return mask

    @cached_property
    def bits(self) -> NDArray[np.uint8]:
        """A bit a row, the first in the lowest bit of a byte; rows beyond are not in the set."""
        bits = np.zeros(int(self.stops[-1]) // 8 + 1 if len(self.stops) else 1, np.uint8)
        long, short = self.split(SHORTEST_FILL)
        first, last = -(-long.starts // 8), long.stops // 8  # whole bytes
        for start, stop in zip(first.tolist(), last.tolist(), strict=True):
            bits[start:stop] = 255
        edges = np.r_[long.starts, 8 * last], np.r_[8 * first, long.stops]
        rows = RowRanges(np.r_[short.starts, edges[0]], np.r_[short.stops, edges[1]]).rows()
        np.add.at(bits, rows >> 3, np.left_shift(1, rows & 7, dtype=np.uint8, casting="unsafe"))
        return bits

    def keep(self, mask: Mask) -> RowRanges:
        """Those rows where `mask` (count,), in the order of `rows()`, holds."""
        return self if mask.all() else RowRanges.of_rows(self.rows()[mask])

    def __and__(self, other: RowRanges) -> RowRanges:
        if self._spans(other):
            return other
        if other._spans(self):
            return self
        first = np.searchsorted(other.stops, self.starts, side="right")
        last = np.searchsorted(other.starts, self.stops, side="left")
        mine = np.repeat(np.arange(len(self.starts)), last - first)
        theirs = RowRanges(first, last).rows()
        return RowRanges(
            np.maximum(self.starts[mine], other.starts[theirs]),
            np.minimum(self.stops[mine], other.stops[theirs]),
        )

    def _spans(self, other: RowRanges) -> bool:
        """Whether it is one range that holds all of another set."""
        if len(self.starts) != 1 or len(other.starts) == 0:
            return False
        return bool(self.starts[0] <= other.starts[0] and other.stops[-1] <= self.stops[0])

    def split(self, shortest_long: int) -> tuple[RowRanges, RowRanges]:
        """The ranges of at least so many rows, and the others."""
        long = self.stops - self.starts >= shortest_long
        return RowRanges(self.starts[long], self.stops[long]), RowRanges(
            self.starts[~long], self.stops[~long]
        )
