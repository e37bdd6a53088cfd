"""The rows most like a query: filtered in the search, and never fewer than asked for and there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from .cells import centres
from .errors import QueryError
from .faiss_index import Index, open_index
from .filters import Filter
from .mapped import DamagedIndexError
from .planner import EXACT, Plan, choose, run
from .predicate import matching_rows
from .prototypes import assigned
from .query import Query, resolve
from .row_ranges import RowRanges, Rows
from .schema import COUNTS, KEY
from .segment import Segment, read_segments
from .segment_files import SegmentFiles
from .table import EmbeddingTable
from .vectors import Similarities

COLUMNS = (*KEY, *COUNTS, "valid_fraction", "cloud_fraction", "source_items")


@dataclass(frozen=True)
class Hits:
    """The answer, best first."""

    rows: pa.Table  # rank, similarity, the columns of the row but its vectors and shape, lon, lat, prototype
    plan: str  # how it was found
    notes: tuple[str, ...]  # what the reader should know


@dataclass(frozen=True)
class _Best:
    """The best rows so far, and where they are in the table."""

    similarity: Similarities  # (k,) best first
    file_ids: Rows  # (k,) positions in table.files
    rows_in_file: Rows  # (k,)

    def merged(self, other: _Best, k: int) -> _Best:
        similarity = np.concatenate([self.similarity, other.similarity])
        file_ids = np.concatenate([self.file_ids, other.file_ids])
        rows = np.concatenate([self.rows_in_file, other.rows_in_file])
        best = np.lexsort((rows, file_ids, -similarity))[:k]
        return _Best(similarity[best], file_ids[best], rows[best])


@dataclass(frozen=True)
class _Answer:
    """The best rows, and how many were looked at in which way."""

    best: _Best
    looked_at: Mapping[str, tuple[int, int]]  # by plan: rows that match, rows in all

    @property
    def matching(self) -> int:
        return sum(matching for matching, _ in self.looked_at.values())

    def __str__(self) -> str:
        parts = (f"{plan} over {some:,} of {all_:,} rows" for plan, (some, all_) in self.looked_at.items())
        return "; ".join(parts) or "the table is empty"


def search(
    table: EmbeddingTable,
    query: Query,
    k: int = 20,
    filter: Filter = Filter(),  # noqa: B008 - frozen
    include_query: bool = False,
) -> Hits:
    """The k rows most like a query, among those that the filter holds: always min(k, matching rows) of them.

    Args:
        table: one snapshot; its index is used if there is one, whatever snapshot it is of.
        query: what to look like.
        k: how many, at least 1.
        filter: which rows may be returned, looked at in the search and not after it.
        include_query: whether rows that the query was made from may be returned.

    Raises:
        QueryError: k below 1, an unknown cell or column, a vector that does not fit, SQL that cannot be
            answered.
        TableError: a part of the table cannot be read.
    """
    if k < 1:
        raise QueryError(f"k = {k}: expected 1 or more")
    resolved = resolve(table, query, filter)
    more = k if include_query else k + len(resolved.own_rows)
    index, notes = open_index(table)
    try:
        answer = _answer(table, index, query.against, resolved.vectors, filter, more)
    except DamagedIndexError as error:
        notes = (*notes, f"the index is not used ({error}): run `skyhex index`")
        index, answer = None, _answer(table, None, query.against, resolved.vectors, filter, more)
    rows = _fetch(table, answer.best)
    if not include_query:
        other = [
            key not in resolved.own_rows
            for key in zip(*(rows[name].to_pylist() for name in KEY), strict=True)
        ]
        rows = rows.filter(pa.array(other, pa.bool_()))
    rows = _described(table, rows.slice(0, k))
    return Hits(rows, str(answer), (*resolved.notes, *notes, *_notes(table, index, answer, rows)))


def _answer(
    table: EmbeddingTable,
    index: Index | None,
    column: str,
    queries: Similarities,
    conditions: Filter,
    k: int,
) -> _Answer:
    """Search the segments of the index, then Parquet for the parts that it does not hold."""
    file_ids = {file.path: i for i, file in enumerate(table.files)}
    allowed = None if conditions.predicate is None else matching_rows(table, conditions.predicate)
    best = _Best(np.empty(0, np.float32), np.empty(0, np.int64), np.empty(0, np.int64))
    looked_at: dict[str, tuple[int, int]] = {}
    for segment, files in _segments(table, index, column):
        living = segment.living(file_ids)
        may = None if allowed is None else segment.rows_at(allowed)
        rows = segment.matching(column, living, conditions, may)
        plan = EXACT if files is None else choose(files.measured.get(column), rows.count, len(segment), k)
        name = f"{plan} over Parquet" if files is None else str(plan)
        some, all_ = looked_at.get(name, (0, 0))
        looked_at[name] = (some + rows.count, all_ + living.count)
        similarity, found = _nearest(segment, files, column, plan, rows, queries, k)
        paths, rows_in_file = segment.places(found)
        here = _Best(similarity, np.array([file_ids[path] for path in paths], np.int64), rows_in_file)
        best = best.merged(here, k)
    return _Answer(best, looked_at)


def _segments(
    table: EmbeddingTable, index: Index | None, column: str
) -> Iterator[tuple[Segment, SegmentFiles | None]]:
    """Every living row once: from the index where it has it, else from Parquet."""
    known = [files for files in (index.segments if index else ()) if column in files.segment.vectors]
    yield from ((files.segment, files) for files in known)
    held = {part.path for files in known for part in files.segment.parts}
    rest = [file for file in table.files if file.path not in held]
    yield from ((segment, None) for segment in read_segments(table, rest, [column]))


def _nearest(
    segment: Segment,
    files: SegmentFiles | None,
    column: str,
    plan: Plan,
    rows: RowRanges,
    queries: Similarities,
    k: int,
) -> tuple[Similarities, Rows]:
    """A segment's k best rows; of several queries (m, d) a row counts for the one that it is most like."""
    inverted = files.inverted(column) if files is not None and plan.probes else None
    answers = [run(plan, segment.vectors[column], inverted, rows, query, k) for query in queries]
    if len(answers) == 1:
        return answers[0]
    similarity, found = (np.concatenate(values) for values in zip(*answers, strict=True))
    best = np.lexsort((found, -similarity))
    _, first = np.unique(found[best], return_index=True)
    best = best[np.sort(first)][:k]
    return similarity[best], found[best]


def _fetch(table: EmbeddingTable, best: _Best) -> pa.Table:
    """The rows themselves, with their similarity."""
    rows = table.take(best.file_ids, best.rows_in_file, COLUMNS)
    similarity = np.clip(best.similarity, -1, 1)  # rounding to float16 may go a little beyond
    return rows.add_column(0, "similarity", pa.array(similarity))


def _described(table: EmbeddingTable, rows: pa.Table) -> pa.Table:
    """With rank, place, and prototype where the row has one."""
    lon_deg, lat_deg = centres(rows["h3_cell"].to_numpy())
    rows = rows.add_column(0, "rank", pa.array(np.arange(1, len(rows) + 1)))
    after_key = rows.schema.get_field_index("end_datetime") + 1
    rows = rows.add_column(after_key, "lon", pa.array(lon_deg)).add_column(
        after_key + 1, "lat", pa.array(lat_deg)
    )
    return assigned(table, rows)


def _notes(table: EmbeddingTable, index: Index | None, answer: _Answer, rows: pa.Table) -> Iterator[str]:
    if answer.matching == 0:
        yield "no row matches the filter"
    periods = len(set(zip(rows["start_datetime"].to_pylist(), rows["end_datetime"].to_pylist(), strict=True)))
    if periods > 1:
        yield f"the results mix {periods} periods: narrow the dates to compare like with like"
    if index is None:
        yield "there is no index, so Parquet was read: run `skyhex index`"
    elif index.missing:
        behind = table.manifest.rows_snapshot - index.snapshot
        newer = sum(file.rows for file in index.missing)
        old = f"{behind} snapshot{'s' * (behind > 1)} old" if behind > 0 else "of another snapshot"
        yield f"the index is {old}, so {newer:,} rows were read from Parquet: run `skyhex index`"
