"""The rows most like a query: filtered in the search, and never fewer than asked for and there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa

from .best_rows import Answer, Best, best_rows
from .cells import centres
from .diversity import Diversity, marginal_relevance, spread
from .errors import QueryError
from .faiss_index import Index, open_index
from .filters import Filter
from .mapped import DamagedIndexError
from .prototypes import KIND, assigned
from .query import Query, Resolved, keys_of, resolve
from .schema import COUNTS, KEY
from .table import EmbeddingTable

COLUMNS = (*KEY, *COUNTS, "valid_fraction", "cloud_fraction", "source_items")
POOL = 10  # candidates looked at for each diverse hit


@dataclass(frozen=True)
class Hits:
    """The answer, best first."""

    rows: pa.Table  # rank, similarity, the columns of the row but its vectors and shape, lon, lat, prototype
    plan: str  # how it was found
    notes: tuple[str, ...]  # what the reader should know


def search(
    table: EmbeddingTable,
    query: Query,
    k: int = 20,
    filter: Filter = Filter(),  # noqa: B008 - frozen
    include_query: bool = False,
    diversity: Diversity | None = None,
) -> Hits:
    """The k rows most like a query, among those that the filter holds: always min(k, matching rows) of them.

    Args:
        table: one snapshot; its index is used if there is one, whatever snapshot it is of.
        query: what to look like.
        k: how many, at least 1.
        filter: which rows may be returned, looked at in the search and not after it.
        include_query: whether rows that the query was made from may be returned.
        diversity: how the results must differ from each other; fewer than k may then remain.

    Raises:
        QueryError: k below 1, an unknown cell or column, a vector that does not fit, SQL that cannot be
            answered.
        TableError: a part of the table cannot be read.
    """
    if k < 1:
        raise QueryError(f"k = {k}: expected 1 or more")
    index, notes = open_index(table)
    try:
        resolved, answer = _answer(table, index, query, k, filter, include_query, diversity)
    except DamagedIndexError as error:
        notes = (*notes, f"the index is not used ({error}): run `skyhex index`")
        index = None
        resolved, answer = _answer(table, index, query, k, filter, include_query, diversity)
    rows = _fetch(table, answer.best)
    return Hits(rows, str(answer), (*resolved.notes, *notes, *_notes(table, index, answer, rows)))


def search_many(
    table: EmbeddingTable,
    queries: Sequence[Query],
    k: int = 20,
    filter: Filter = Filter(),  # noqa: B008 - frozen
    include_query: bool = False,
) -> list[Hits]:
    """`search` for each of several queries."""
    return [search(table, query, k, filter, include_query) for query in queries]


def _answer(
    table: EmbeddingTable,
    index: Index | None,
    query: Query,
    k: int,
    conditions: Filter,
    include_query: bool,
    diversity: Diversity | None,
) -> tuple[Resolved, Answer]:
    resolved = resolve(table, query, conditions, index)
    if include_query:
        resolved = replace(resolved, own_rows=frozenset())
    find = partial(_find, table, index, query.against, resolved, conditions)
    return resolved, find(k) if diversity is None else _find_diverse(find, k, diversity)


def _find(
    table: EmbeddingTable, index: Index | None, column: str, resolved: Resolved, conditions: Filter, k: int
) -> Answer:
    """The k best rows but the query's own."""
    own_rows = resolved.own_rows
    answer = best_rows(table, index, column, resolved.vectors, conditions, k + len(own_rows))
    best = answer.best
    own_cells = np.array([key[0] for key in own_rows], np.uint64)
    suspects = np.flatnonzero(np.isin(best.cells, own_cells))
    keys = keys_of(table.take(best.file_ids[suspects], best.rows_in_file[suspects], KEY))
    own = suspects[np.array([key in own_rows for key in keys], bool)]
    return replace(answer, best=best.at(np.delete(np.arange(len(best)), own)[:k]))


def _find_diverse(find: Callable[[int], Answer], k: int, diversity: Diversity) -> Answer:
    """The best of a pool that differ; the pool grows until they are enough or it holds all that match."""
    pool = POOL * k
    while True:
        answer = find(pool)
        best = answer.best
        if diversity.per_parent is not None:
            best = best.at(spread(best.cells, diversity.per_parent, diversity.parent_resolution))
        if len(best) >= k or pool >= answer.matching:
            break
        pool *= POOL
    if diversity.relevance is not None:
        vectors = best.vectors.astype(np.float32)
        best = best.at(marginal_relevance(vectors, best.similarity, diversity.relevance, k))
    return replace(answer, best=best.at(np.arange(min(k, len(best)))))


def _fetch(table: EmbeddingTable, best: Best) -> pa.Table:
    """The rows themselves, with rank, similarity, place, and prototype where the row has one."""
    rows = table.take(best.file_ids, best.rows_in_file, COLUMNS)
    lon_deg, lat_deg = centres(best.cells)
    after_key = rows.schema.get_field_index(KEY[-1]) + 1
    rows = rows.add_column(after_key, "lon", pa.array(lon_deg))
    rows = rows.add_column(after_key + 1, "lat", pa.array(lat_deg))
    similarity = np.clip(best.similarity, -1, 1)  # rounding to float16 may go a little beyond
    rows = rows.add_column(0, "rank", pa.array(np.arange(1, len(best) + 1)))
    return assigned(table, rows.add_column(1, "similarity", pa.array(similarity)))


def _notes(table: EmbeddingTable, index: Index | None, answer: Answer, rows: pa.Table) -> Iterator[str]:
    if answer.matching == 0:
        yield "no row matches the filter"
    starts_us, ends_us = (rows[name].cast(pa.int64()).to_numpy() for name in KEY[2:])
    periods = len(set(zip(starts_us.tolist(), ends_us.tolist(), strict=True)))
    if periods > 1:
        yield f"the results mix {periods} periods: narrow the dates to compare like with like"
    sidecar = table.sidecar(KIND)
    if sidecar is not None and not table.is_current(sidecar):
        yield "rows changed since the prototypes were fitted: run `skyhex prototypes fit`"
    if index is None:
        yield "there is no index, so Parquet was read: run `skyhex index`"
    elif index.missing:
        behind = table.manifest.rows_snapshot - index.snapshot
        newer = sum(file.rows for file in index.missing)
        old = f"{behind} snapshot{'s' * (behind > 1)} old" if behind > 0 else "of another snapshot"
        yield f"the index is {old}, so {newer:,} rows were read from Parquet: run `skyhex index`"
