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
from ..table.columns import Cosines, Matrix
from ..table.embedding_table import EmbeddingTable
from .filter import Filter
from .matching import Matching


@dataclass(frozen=True)
class Best:
    """Rows with their similarity and where they are in the table, best first."""

    similarity: Cosines  # (k,) rounded, see `columns.cosines`
    cells: Cells  # (k,)
    file_ids: Rows  # (k,) positions in table.files
    rows_in_file: Rows  # (k,)
    vectors: Matrix  # (k, d) as they are stored

    def __len__(self) -> int:
        return len(self.similarity)

    def at(self, positions: Rows) -> Best:
        """Some of them, in the order given."""
        return Best(*(column[positions] for column in self._columns()))

    def merged(self, other: Best, k: int) -> Best:
        """The k best of both; of equal ones the first in the table."""
        pairs = zip(self._columns(), other._columns(), strict=True)
        both = Best(*(np.concatenate(pair) for pair in pairs))
        return both.at(np.lexsort((both.rows_in_file, both.file_ids, -both.similarity))[:k])

    def _columns(self) -> tuple[Any, ...]:
        return self.similarity, self.cells, self.file_ids, self.rows_in_file, self.vectors


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
) -> list[Answer]:
    """For each query, the k rows most like any of its vectors (m, d), among those that match the filter.

    Raises:
        DamagedIndexError: search again without the index.
        QueryError, TableError: the filter cannot be answered, a part cannot be read.
    """
    file_ids = {file.path: i for i, file in enumerate(table.files)}
    matching = Matching.of(table, filter)
    best, looked_at = [_nothing(query.shape[1]) for query in queries], dict[str, tuple[int, int]]()
    for segment, mapped in _segments(table, index, column):
        living = segment.living(file_ids)
        rows = matching.in_segment(segment, living, mapped.folder if mapped else None)
        rows = segment.having(column, rows)
        plan = EXACT if mapped is None else choose(mapped.measured.get(column), rows, len(segment), k)
        name = f"{plan} over Parquet" if mapped is None else str(plan)
        some, all_ = looked_at.get(name, (0, 0))
        looked_at[name] = (some + rows.count, all_ + living.count)
        inverted = mapped.inverted(column) if mapped is not None and plan.probes else None
        answers = run(plan, segment.vectors[column], inverted, rows, np.concatenate(queries), k)
        for i, answer in enumerate(_by_query(answers, queries, k)):
            best[i] = best[i].merged(_placed(segment, column, file_ids, *answer), k)
    return [Answer(some, looked_at) for some in best]


def _placed(
    segment: Segment, column: str, file_ids: Mapping[str, int], similarity: Cosines, rows: Rows
) -> Best:
    """Rows of a segment, as rows of the table."""
    segment.keys.cells.check(rows, rows + 1)
    paths, rows_in_file = segment.places(rows)
    in_table = np.array([file_ids[path] for path in paths], np.int64)
    cells, vectors = segment.keys.cells.unchecked[rows], segment.vectors[column].matrix.unchecked[rows]
    return Best(similarity, cells, in_table, rows_in_file, vectors)


def _nothing(dimension: int) -> Best:
    none = np.empty(0, np.int64)
    return Best(np.empty(0), none.astype(np.uint64), none, none, np.empty((0, dimension), np.float16))


def _segments(
    table: EmbeddingTable, index: Index | None, column: str
) -> Iterator[tuple[Segment, SegmentFiles | None]]:
    """Every living row once: from the index where it has it, else from Parquet."""
    known = [mapped for mapped in (index.segments if index else ()) if column in mapped.segment.vectors]
    yield from ((mapped.segment, mapped) for mapped in known)
    indexed = known_parts(known)
    rest = [file for file in table.files if file.path not in indexed]
    yield from ((segment, None) for segment in read_segments(table, rest, [column]))


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
