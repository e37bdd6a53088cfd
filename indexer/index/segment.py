"""Rows that are searched together: keys and vectors of some parts of a table, in order of cell.

A segment is read from Parquet, or mapped from the files of an index. It is made of whole parts, and parts
are named by their content: the rows of a part that is no longer in the table are masked, and a part that no
segment has is read from Parquet. So an index never hides a row and never shows one that was replaced.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..geo.cells import Cells
from ..geo.row_ranges import RowRanges, Rows
from ..table.columns import KEY_NUMBERS, Microseconds, key_numbers, to_matrix
from ..table.embedding_table import EmbeddingTable
from ..table.manifest import PartFile
from .mapped import CheckedArray, DamagedIndexError
from .shown import Shown
from .vectors import Vectors

SEGMENT_ROWS = 65_536  # of a piece of a part that is searched straight from Parquet


@dataclass(frozen=True)
class Part:
    """A part file's place in a segment."""

    path: str  # relative to the table
    rows: int
    first_row: int = 0  # of the part, where a segment holds a piece of it

    @staticmethod
    def whole(file: PartFile) -> Part:
        """All of a part."""
        return Part(file.path, file.rows)

    def with_rows(self, start: int, stop: int) -> Part:
        """Some rows of it, numbered from its first."""
        return Part(self.path, stop - start, self.first_row + start)


@dataclass(frozen=True)
class Keys:
    """The keys that filters look at, in order of cell."""

    cells: CheckedArray  # (n,) uint64
    start_us: CheckedArray  # (n,) int64, microseconds since 1970-01-01, UTC
    end_us: CheckedArray  # (n,) int64

    @staticmethod
    def of(cells: Cells, start_us: Microseconds, end_us: Microseconds) -> Keys:
        """Keys in memory."""
        return Keys(*map(CheckedArray, (cells, start_us, end_us)))


@dataclass(frozen=True)
class Segment:
    """Keys and vectors of parts that follow each other in order of cell."""

    parts: tuple[Part, ...]
    keys: Keys
    vectors: Mapping[str, Vectors]  # by column
    shown: Shown | None = None  # what hits show of its rows, where that is at hand

    def __len__(self) -> int:
        return len(self.keys.cells)

    @cached_property
    def part_starts(self) -> Rows:
        """First row of each part, and the row count: (parts + 1,)."""
        return np.cumsum([0, *(part.rows for part in self.parts)], dtype=np.int64)

    @cached_property
    def paths(self) -> frozenset[str]:
        """Of its parts."""
        return frozenset(part.path for part in self.parts)

    def living(self, paths: Collection[str]) -> RowRanges:
        """The rows whose part is among these."""
        starts = self.part_starts
        alive = np.array([part.path in paths for part in self.parts], bool)
        return RowRanges.merged(starts[:-1][alive], starts[1:][alive])

    def having(self, column: str, rows: RowRanges) -> RowRanges:
        """Of some rows those with a vector in a column."""
        valid = self.vectors[column].valid
        return rows if valid is None else rows.keep(at(valid, rows))

    def part_ids(self, file_ids: Mapping[str, int]) -> Rows:
        """Positions of its parts (parts,) in a table, by path; -1 where it has them no more."""
        return np.array([file_ids.get(part.path, -1) for part in self.parts], np.int64)

    def places(self, rows: Rows) -> tuple[Rows, Rows]:
        """Where rows (k,) are: numbers of its parts, and rows in these."""
        part = np.searchsorted(self.part_starts, rows, side="right") - 1
        return part, rows - self._before_part[part]

    @cached_property
    def _before_part(self) -> Rows:
        """What a row's number is more than its number in its part, by part."""
        return self.part_starts[:-1] - np.array([part.first_row for part in self.parts], np.int64)

    def rows_at(self, places: Mapping[str, Rows]) -> RowRanges:
        """The rows at places: by path of a part, ascending rows in it."""
        rows = [np.empty(0, np.int64)]
        for part, start in zip(self.parts, self.part_starts.tolist(), strict=False):
            inside = places.get(part.path, rows[0])
            if part.first_row > 0 or (len(inside) and inside[-1] >= part.rows):  # a piece of a part
                inside = inside - part.first_row
                inside = inside[(inside >= 0) & (inside < part.rows)]
            rows.append(inside + start)
        return RowRanges.of_rows(np.concatenate(rows))


def read_segments(table: EmbeddingTable, parts: Sequence[Part], columns: Sequence[str]) -> Iterator[Segment]:
    """Parts straight from Parquet, in pieces of bounded memory."""
    for part in parts:
        row = 0
        for batch in scan_part(table, part, columns):
            vectors = {name: Vectors.of(to_matrix(batch[name])) for name in columns}
            keys = Keys.of(*key_numbers(batch))
            yield Segment((part.with_rows(row, row + len(batch)),), keys, vectors)
            row += len(batch)


def scan_part(table: EmbeddingTable, part: Part, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Keys and columns of one part or a piece of it, in order."""
    file = table.files[table.file_ids[part.path]]
    only_this = np.array([[file.min_h3, file.max_h3]], np.uint64)  # parts never overlap
    row, stop = 0, part.first_row + part.rows
    for batch in table.scan([*KEY_NUMBERS, *columns], ranges=only_this, batch_rows=SEGMENT_ROWS):
        first, last = max(part.first_row - row, 0), min(stop - row, len(batch))
        if last > first:
            yield batch.slice(first, last - first)
        row += len(batch)
        if row >= stop:
            return


def missing_parts(table: EmbeddingTable, segments: Iterable[Segment]) -> tuple[Part, ...]:
    """What no segment holds of the table, in order. Raises `DamagedIndexError` for what two of them hold."""
    held: dict[str, list[tuple[int, int]]] = {}
    for part in (part for segment in segments for part in segment.parts):
        held.setdefault(part.path, []).append((part.first_row, part.first_row + part.rows))
    for path, pieces in held.items():
        if any(stop > start for (_, stop), (start, _) in pairwise(sorted(pieces))):
            raise DamagedIndexError(f"two segments hold the same rows of {path}")
    missing = []
    for file in table.files:
        row = 0
        for start, stop in [*sorted(held.get(file.path, ())), (file.rows, file.rows)]:
            if start > row:
                missing.append(Part(file.path, start - row, row))
            row = stop
    return tuple(missing)


def at(values: NDArray[Any], rows: RowRanges) -> NDArray[Any]:
    """Values (n,) at a range set, without a copy where it is one range."""
    if len(rows.starts) == 1:
        return values[rows.starts[0] : rows.stops[0]]
    return values[rows.rows()]
