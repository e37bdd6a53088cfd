"""The best rows of a whole table: of the index's segments, and of Parquet for the parts that they lack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..geo.cells import Cells
from ..geo.row_ranges import RowRanges, Rows
from ..index.faiss_index import Index
from ..index.planner import EXACT, choose, run
from ..index.segment import Segment, read_segments
from ..index.segment_files import SegmentFiles, open_segment
from ..table.columns import Matrix, Similarities
from ..table.embedding_table import EmbeddingTable
from .allowed import allowed_rows
from .filter import Filter
from .predicate import Places


@dataclass(frozen=True)
class Best:
    """Rows with their similarity and where they are in the table, best first."""

    similarity: Similarities  # (k,)
    cells: Cells  # (k,)
    file_ids: Rows  # (k,) positions in table.files
    rows_in_file: Rows  # (k,)
    vectors: Matrix  # (k, d) float16

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
        """Rows that the filter holds."""
        return sum(matching for matching, _ in self.looked_at.values())

    def __str__(self) -> str:
        parts = (f"{plan} over {some:,} of {all_:,} rows" for plan, (some, all_) in self.looked_at.items())
        return "; ".join(parts) or "the table is empty"


def best_rows(
    table: EmbeddingTable,
    index: Index | None,
    column: str,
    queries: Sequence[Similarities],
    conditions: Filter,
    k: int,
) -> list[Answer]:
    """For each query, the k rows most like any of its vectors (m, d), among those that the filter holds.

    Raises:
        DamagedIndexError: search again without the index.
        QueryError, TableError: the filter cannot be answered, a part cannot be read.
    """
    file_ids = {file.path: i for i, file in enumerate(table.files)}
    allowed = allowed_rows(table, conditions)
    best, looked_at = [_nothing(query.shape[1]) for query in queries], dict[str, tuple[int, int]]()
    for segment, files in _segments(table, index, column):
        living = segment.living(file_ids)
        may = None if allowed is None else _allowed(segment, files, allowed)
        rows = segment.matching(column, living, conditions, may)
        plan = EXACT if files is None else choose(files.measured.get(column), rows, len(segment), k)
        name = f"{plan} over Parquet" if files is None else str(plan)
        some, all_ = looked_at.get(name, (0, 0))
        looked_at[name] = (some + rows.count, all_ + living.count)
        inverted = files.inverted(column) if files is not None and plan.probes else None
        answers = run(plan, segment.vectors[column], inverted, rows, np.concatenate(queries), k)
        for i, found in enumerate(_by_query(answers, queries, k)):
            best[i] = best[i].merged(_placed(segment, column, file_ids, *found), k)
    return [Answer(some, looked_at) for some in best]


def _allowed(segment: Segment, files: SegmentFiles | None, places: Places) -> RowRanges:
    return segment.rows_at(places.rows) if files is None else _allowed_of_index(files.folder, places)


@lru_cache(maxsize=8)
def _allowed_of_index(folder: Path, places: Places) -> RowRanges:
    """Kept, for the same predicate is often asked again."""
    return open_segment(folder).segment.rows_at(places.rows)


def _placed(
    segment: Segment, column: str, file_ids: Mapping[str, int], similarity: Similarities, rows: Rows
) -> Best:
    """Rows of a segment, as rows of the table."""
    segment.keys.cells.check(rows, rows + 1)
    paths, rows_in_file = segment.places(rows)
    in_table = np.array([file_ids[path] for path in paths], np.int64)
    cells, vectors = segment.keys.cells.unchecked[rows], segment.vectors[column].matrix.unchecked[rows]
    return Best(similarity, cells, in_table, rows_in_file, vectors)


def _nothing(dimension: int) -> Best:
    none = np.empty(0, np.int64)
    return Best(
        np.empty(0, np.float32), none.astype(np.uint64), none, none, np.empty((0, dimension), np.float16)
    )


def _segments(
    table: EmbeddingTable, index: Index | None, column: str
) -> Iterator[tuple[Segment, SegmentFiles | None]]:
    """Every living row once: from the index where it has it, else from Parquet."""
    known = [files for files in (index.segments if index else ()) if column in files.segment.vectors]
    yield from ((files.segment, files) for files in known)
    held = frozenset().union(*(files.segment.paths for files in known))
    rest = [file for file in table.files if file.path not in held]
    yield from ((segment, None) for segment in read_segments(table, rest, [column]))


def _by_query(
    answers: Sequence[tuple[Similarities, Rows]], queries: Sequence[Similarities], k: int
) -> Iterator[tuple[Similarities, Rows]]:
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
