"""The best rows of a whole table: of the index's segments, and of Parquet for the parts that they lack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from ..geo.cells import Cells
from ..geo.row_ranges import Rows
from ..index.answers import Nearest
from ..index.answers import answers as answers_of
from ..index.crew import Scan, Searcher
from ..index.faiss_index import Index, missing_of
from ..index.planner import EXACT, Plan, choose, phrase
from ..index.segment import Part, Segment, read_segments
from ..table.columns import Cosines
from ..table.embedding_table import EmbeddingTable
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

    def first(self, k: int) -> Best:
        """The k best."""
        return self if len(self) <= k else self.at(slice(k))

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
            return both.first(k)
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
class Shards:
    """Which shards of an index were searched."""

    searched: int
    count: int  # of all
    late: Mapping[int, int]  # rows that match in those that did not answer in time, by number

    def __str__(self) -> str:
        return f"{self.searched} of {self.count} shards"


@dataclass(frozen=True)
class Answer:
    """The best rows, and how many were looked at in which way."""

    best: Best
    looked_at: Mapping[Plan | None, tuple[int, int]]  # by plan, None over Parquet: rows that match, and all
    shards: Shards | None = None

    @property
    def matching(self) -> int:
        """Rows that match the filter."""
        return sum(matching for matching, _ in self.looked_at.values())

    def __str__(self) -> str:
        by_codes = [plan for plan in self.looked_at if plan is not None and plan.probes]
        exact = [plan for plan in self.looked_at if plan is not None and not plan.probes]
        ways: list[tuple[str, Sequence[Plan | None]]] = [
            *((str(plan), [plan]) for plan in exact),
            (f"{EXACT} over Parquet", [None]),
        ]
        if by_codes:
            ways.insert(0, (phrase(by_codes), by_codes))
        known = self.looked_at
        parts = [_over(way, [known[plan] for plan in plans if plan in known]) for way, plans in ways]
        parts += [] if self.shards is None else [str(self.shards)]
        return "; ".join(filter(None, parts)) or "the table is empty"


def best_rows(
    table: EmbeddingTable,
    index: Index | None,
    column: str,
    queries: Sequence[Cosines],
    filter: Filter,
    k: int,
    all_of: bool = False,
    crew: Searcher | None = None,
) -> list[Answer]:
    """For each query, the k rows most like any of its vectors (m, d), among those that match the filter.

    With `all_of` a row counts for the vector that it is least like, and every row that matches is compared.
    Shards without a row that matches are not searched. A crew searches the others, and one that does not
    answer in time is left out; `Answer.shards` says so. A device compares every row that matches.

    Raises:
        DamagedIndexError: search again without the index, or without the shard that it names.
        QueryError, TableError: the filter cannot be answered, a part cannot be read.
    """
    matching = Matching.of(table, filter)
    known, looked_at, shards = _known(index, column), _LookedAt(), None
    best_of: list[list[Best]] = [[] for _ in queries]
    if index is not None:
        exact = EXACT if all_of else None
        plan = crew.plan if crew is not None and crew.plan is not None else exact
        scans = {number: _scan(matching, index, number, column, k, all_of, plan) for number in known}
        answers = _answers(index, scans, queries, k, crew)
        late = {number: scans[number].rows.count for number, answer in answers.items() if answer is None}
        for number, scan in scans.items():
            count = 0 if number in late else scan.rows.count
            looked_at.add(scan.plan, count, index.living[number].count)
            for mine, best in zip(best_of, _in_table(index, number, answers.get(number)), strict=False):
                mine.append(best)
        if index.shards:
            shards = Shards(len(answers) - len(late), len(index.segments) + index.lost, late)
    for segment in read_segments(table, _rest(table, index, known), [column]):
        rows = segment.having(column, matching.in_segment(segment, segment.living(table.file_ids)))
        looked_at.add(None, rows.count, len(segment))
        answer = answers_of(EXACT, segment.vectors[column], None, rows, queries, k, all_of)
        placed = _placed(segment, PARQUET, segment.part_ids(table.file_ids), answer)
        for mine, best in zip(best_of, placed, strict=True):
            mine[:] = [Best.merged([*mine, best], k)]  # there are many such pieces
    return [Answer(Best.merged(mine or [_NOTHING], k), looked_at, shards) for mine in best_of]


def _answers(
    index: Index, scans: Mapping[int, Scan], queries: Sequence[Cosines], k: int, crew: Searcher | None
) -> dict[int, Nearest | None]:
    """What is found in the segments that have rows which match, by number; None where one is late."""
    asked = {number: scan for number, scan in scans.items() if scan.rows.count}
    if crew is None or (crew.plan is None and not index.shards):
        return {number: scan.answer(queries, k) for number, scan in asked.items()}
    return dict(zip(asked, crew.answers([*asked.values()], queries, k), strict=True))


def _in_table(index: Index, number: int, answer: Nearest | None) -> list[Best]:
    """What each query finds in a segment of the index, as rows of the table; nothing where none answered."""
    if answer is None:
        return []
    files = index.segments[number]
    with files.blamed():
        return list(_placed(files.segment, number, index.part_ids[number], answer))


def _over(way: str, counts: Sequence[tuple[int, int]]) -> str:
    """How so many rows were looked at; nothing where there are none."""
    some, all_ = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0)
    return f"{way} over {some:,} of {all_:,} rows" if counts else ""


class _LookedAt(dict[Plan | None, tuple[int, int]]):
    def add(self, plan: Plan | None, matching: int, rows: int) -> None:
        some, all_ = self.get(plan, (0, 0))
        self[plan] = some + matching, all_ + rows


def _scan(
    matching: Matching, index: Index, number: int, column: str, k: int, all_of: bool, plan: Plan | None
) -> Scan:
    """What is to be done in a segment of the index; without a plan what was measured there decides."""
    mapped = index.segments[number]
    with mapped.blamed():
        rows = matching.in_segment(mapped.segment, index.living[number], mapped.folder)
        rows = mapped.segment.having(column, rows)
        plan = plan or choose(mapped.measured.get(column), rows, len(mapped.segment), k)
        return Scan(mapped.folder, column, rows, plan, all_of)


def _placed(
    segment: Segment, number: int, part_ids: Rows, nearest: Sequence[tuple[Cosines, Rows]]
) -> Iterator[Best]:
    """What each query finds in a segment, as rows of the table; looked up for all queries at once."""
    similarity, rows = nearest[0] if len(nearest) == 1 else map(np.concatenate, zip(*nearest, strict=True))
    segment.keys.cells.check(rows, rows + 1)
    part, rows_in_file = segment.places(rows)
    cells, numbers = segment.keys.cells.unchecked.take(rows), np.full(len(rows), number)
    every = Best(similarity, cells, part_ids[part], rows_in_file, numbers, rows)
    if len(nearest) == 1:
        yield every
        return
    for start, stop in pairwise(accumulate((len(mine) for mine, _ in nearest), initial=0)):
        yield every.at(slice(start, stop))


_none = np.empty(0, np.int64)
_NOTHING = Best(np.empty(0), _none.astype(np.uint64), _none, _none, _none, _none)


def _known(index: Index | None, column: str) -> list[int]:
    """The index's segments that have a column."""
    segments = index.segments if index is not None else ()
    return [number for number, mapped in enumerate(segments) if column in mapped.segment.vectors]


def _rest(table: EmbeddingTable, index: Index | None, known: Sequence[int]) -> Sequence[Part]:
    """What some of the index's segments lack of the table."""
    if index is not None and len(known) == len(index.segments):
        return index.missing
    return missing_of(table, [index.segments[number] for number in known] if index is not None else ())
