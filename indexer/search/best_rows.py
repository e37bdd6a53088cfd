"""The best rows of a whole table: of the index's segments, and of Parquet for the parts that they lack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ..geo.cells import Cells
from ..geo.row_ranges import Rows
from ..index.faiss_index import Index, known_parts
from ..index.planner import EXACT, choose, run
from ..index.segment import Segment, read_segments
from ..index.segment_files import SegmentFiles
from ..table.columns import Cosines
from ..table.embedding_table import EmbeddingTable
from ..table.manifest import PartFile
from .filter import Filter
from .matching import Matching

PARQUET = -1  # in place of a segment's number


@dataclass(frozen=True)
class Best:
    """Rows with their similarity and where they are, best first."""

    similarity: Cosines  # (k,) rounded, see `columns.cosines`
    cells: Cells  # (k,)
    file_ids: Rows  # (k,) positions in table.files
    rows_in_file: Rows  # (k,)
    segments: Rows  # (k,) positions in the index's segments, PARQUET where none holds the row
    rows_in_segment: Rows  # (k,)

    def __len__(self) -> int:
        return len(self.similarity)

    def at(self, positions: Rows | slice) -> Best:
        """Some of them, in the order given."""
        return Best(*(column[positions] for column in self._columns()))

    @staticmethod
    def joined(some: Sequence[Best]) -> Best:
        """One after the other."""
        if len(some) == 1:
            return some[0]
        return Best(*map(np.concatenate, zip(*(one._columns() for one in some), strict=True)))

    @staticmethod
    def merged(some: Sequence[Best], k: int) -> Best:
        """The k best of all; of equal ones the first in the table."""
        both = Best.joined(some)
        if len(some) == 1:
            return both.at(slice(k))
        return both.at(np.lexsort((both.rows_in_file, both.file_ids, -both.similarity))[:k])

    def _columns(self) -> tuple[Any, ...]:
        return (
            self.similarity,
            self.cells,
            self.file_ids,
            self.rows_in_file,
            self.segments,
            self.rows_in_segment,
        )


@dataclass(frozen=True)
class Answer:
    """The best rows, and how many were looked at in which way."""

    best: Best
    looked_at: Mapping[str, tuple[int, int]]  # by plan: rows that match, rows in all

    @property
    def matching(self) -> int:
        """Rows that match the filter."""
        return sum(matching for matching, _ in self.looked_at.values())

    def __str__(self) -> str:
        parts = (f"{plan} over {some:,} of {all_:,} rows" for plan, (some, all_) in self.looked_at.items())
        return "; ".join(parts) or "the table is empty"


def best_rows(
    table: EmbeddingTable,
    index: Index | None,
    column: str,
    queries: Sequence[Cosines],
    filter: Filter,
    k: int,
    all_of: bool = False,
) -> list[Answer]:
    """For each query, the k rows most like any of its vectors (m, d), among those that match the filter.

    With `all_of` a row counts for the vector that it is least like, and every row that matches is compared.

    Raises:
        DamagedIndexError: search again without the index.
        QueryError, TableError: the filter cannot be answered, a part cannot be read.
    """
    matching = Matching.of(table, filter)
    found: list[list[Best]] = [[] for _ in queries]
    looked_at, wanted = dict[str, tuple[int, int]](), np.concatenate(queries)
    for number, segment, mapped in _segments(table, index, column):
        indexed = index if mapped is not None else None
        living = segment.living(table.file_ids) if indexed is None else indexed.living[number]
        rows = matching.in_segment(segment, living, mapped.folder if mapped else None)
        rows = segment.having(column, rows)
        plan = (
            EXACT if mapped is None or all_of else choose(mapped.measured.get(column), rows, len(segment), k)
        )
        name = f"{plan} over Parquet" if mapped is None else str(plan)
        some, all_ = looked_at.get(name, (0, 0))
        looked_at[name] = (some + rows.count, all_ + living.count)
        inverted = mapped.inverted(column) if mapped is not None and plan.probes else None
        vectors = segment.vectors[column]
        if all_of:
            answers = [vectors.nearest_to_all(rows, query, k) for query in queries]
        else:
            answers = list(_by_query(run(plan, vectors, inverted, rows, wanted, k), queries, k))
        part_ids = segment.part_ids(table.file_ids) if indexed is None else indexed.part_ids[number]
        placed = _placed(segment, number, part_ids, answers)
        for mine, best in zip(found, placed, strict=True):
            mine.append(best)
            if mapped is None:  # there are many such pieces
                mine[:] = [Best.merged(mine, k)]
    return [Answer(Best.merged(mine or [_NOTHING], k), looked_at) for mine in found]


def _placed(
    segment: Segment, number: int, part_ids: Rows, found: Sequence[tuple[Cosines, Rows]]
) -> Iterator[Best]:
    """What each query finds in a segment, as rows of the table; looked up for all queries at once."""
    similarity, rows = found[0] if len(found) == 1 else map(np.concatenate, zip(*found, strict=True))
    segment.keys.cells.check(rows, rows + 1)
    part, rows_in_file = segment.places(rows)
    cells, numbers = segment.keys.cells.unchecked[rows], np.full(len(rows), number)
    every = Best(similarity, cells, part_ids[part], rows_in_file, numbers, rows)
    start = 0
    for mine, _ in found:
        yield every.at(slice(start, start + len(mine)))
        start += len(mine)


_none = np.empty(0, np.int64)
_NOTHING = Best(np.empty(0), _none.astype(np.uint64), _none, _none, _none, _none)


def _segments(
    table: EmbeddingTable, index: Index | None, column: str
) -> Iterator[tuple[int, Segment, SegmentFiles | None]]:
    """Every living row once: from the index where it has it, else from Parquet; with the segment's number."""
    numbered = enumerate(index.segments if index else ())
    known = [(number, mapped) for number, mapped in numbered if column in mapped.segment.vectors]
    yield from ((number, mapped.segment, mapped) for number, mapped in known)
    rest: Sequence[PartFile] = table.files
    if index is not None and len(known) == len(index.segments):
        rest = index.missing
    elif known:
        indexed = known_parts(mapped for _, mapped in known)
        rest = [file for file in table.files if file.path not in indexed]
    yield from ((PARQUET, segment, None) for segment in read_segments(table, rest, [column]))


def _by_query(
    answers: Sequence[tuple[Cosines, Rows]], queries: Sequence[Cosines], k: int
) -> Iterator[tuple[Cosines, Rows]]:
    """The k best of a query's vectors (m, d): a row counts for the one that it is most like."""
    ends = np.cumsum([0, *map(len, queries)]).tolist()
    for start, stop in pairwise(ends):
        if stop - start == 1:
            yield answers[start]
            continue
        similarity, found = (np.concatenate(values) for values in zip(*answers[start:stop], strict=True))
        best = np.lexsort((found, -similarity))
        _, first = np.unique(found[best], return_index=True)
        best = best[np.sort(first)][:k]
        yield similarity[best], found[best]
