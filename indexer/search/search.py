"""The rows most like a query: filtered in the search, and never fewer than asked for and there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from ..errors import NoRowError
from ..geo.row_ranges import Rows
from ..index.crew import Searcher
from ..index.faiss_index import Index, open_index, without_damage
from ..index.mapped import DamagedIndexError
from ..index.sample import Compared, top_shares
from ..prototypes.assignments import assigned
from ..prototypes.regional import outdated
from ..table.columns import Matrix, Microseconds, to_array, to_numbers, unit
from ..table.embedding_table import EmbeddingTable
from ..table.ranked import check_k, ranked
from ..table.schema import COUNTS, KEY
from .best_rows import Answer, Best, best_rows
from .diversity import Diversity, marginal_relevance, spread
from .filter import Filter
from .hit_rows import read_rows, read_vectors
from .narrow import narrow
from .notebook import as_html, as_text, geo_frame, with_hex
from .query import Query, Resolved, keys_of, resolve, sensors_of

COLUMNS = (*KEY, *COUNTS, "valid_fraction", "cloud_fraction", "source_items")
OTHER_SENSORS = "share no sensor with the question"  # of a note that warns
POOL = 10  # candidates looked at for each diverse hit

Answered = tuple[Sequence[Resolved], Sequence[Answer]]  # of each query


@dataclass(frozen=True)
class Hits:
    """The answer, best first."""

    # rank, similarity, top_share, the columns of the row but its vectors and shape, lon, lat, prototype
    rows: pa.Table
    plan: str  # how it was found
    notes: tuple[str, ...]  # what the reader should know
    query: Resolved | None = None  # what was compared; None where many queries share one table

    def __repr__(self) -> str:
        return f"<Hits: {len(self.rows):,} rows, {self.plan}>\n{as_text(self.rows)}"

    def _repr_html_(self) -> str:
        return as_html(self.rows, " ".join((f"{self.plan}.", *(f"{note}." for note in self.notes))))

    def to_pandas(self) -> Any:
        """A data frame of the rows, cells as hex."""
        return with_hex(self.rows).to_pandas()

    def to_geopandas(self) -> Any:
        """The same with each row's hexagon as its geometry, in lon/lat. Raises `ImportError`."""
        return geo_frame(self.rows)


def search(
    table: EmbeddingTable,
    query: Query,
    k: int = 20,
    filter: Filter = Filter(),  # noqa: B008 - frozen
    include_query: bool = False,
    diversity: Diversity | None = None,
    columns: Sequence[str] = COLUMNS,
    crew: Searcher | None = None,
) -> Hits:
    """The k rows most like a query, among those that the filter holds: always min(k, matching rows) of them.

    Args:
        table: one snapshot; its index is used if there is one, whatever snapshot it is of.
        query: what to look like.
        k: how many, at least 1.
        filter: which rows may be returned, looked at in the search and not after it.
        include_query: whether rows that the query was made from may be returned.
        diversity: how the results must differ from each other; fewer than k may then remain.
        columns: what to read of the rows found, the key among it.
        crew: searches the shards of a sharded index; a note tells of those that do not answer in time. Or a
            device, which compares every row that matches (`indexer/index/on_device.py`).

    Raises:
        QueryError: k below 1, an unknown cell or column, a vector that does not fit, SQL that cannot be
            answered.
        TableError: a part of the table cannot be read.
    """
    check_k(k)

    def ask(index: Index | None) -> Answered:
        return _answer(table, index, query, k, filter, include_query, diversity, crew)

    (hits,) = _asked(table, ask, columns)
    return hits


def search_many(
    table: EmbeddingTable,
    queries: Sequence[Query],
    k: int = 20,
    filter: Filter = Filter(),  # noqa: B008 - frozen
    include_query: bool = False,
    crew: Searcher | None = None,
) -> list[Hits]:
    """`search` for each query; the filter is evaluated once, and vectors are compared together.

    Raises:
        QueryError, TableError: as `search`, for the first query that is wrong.
    """
    each = search_each(table, queries, k, filter, include_query, crew)
    for hits in each:
        if isinstance(hits, NoRowError):
            raise hits
    return [hits for hits in each if isinstance(hits, Hits)]


def search_each(
    table: EmbeddingTable,
    queries: Sequence[Query],
    k: int = 20,
    filter: Filter = Filter(),  # noqa: B008 - frozen
    include_query: bool = False,
    crew: Searcher | None = None,
) -> list[Hits | NoRowError]:
    """`search_many`, but in the place of a query whose example has no row stands the reason.

    Raises:
        QueryError, TableError: as `search`, for the first query that is wrong.
    """
    check_k(k)
    missing: dict[int, NoRowError] = {}

    def ask(index: Index | None) -> Answered:
        missing.clear()
        resolved: dict[int, Resolved] = {}
        for i, query in enumerate(queries):
            try:
                resolved[i] = _resolved(table, index, query, filter, include_query)
            except NoRowError as error:
                missing[i] = error
        return _answers(table, index, [*resolved.values()], k, filter, crew)

    hits = iter(_asked(table, ask) if queries else ())
    return [missing[i] if i in missing else next(hits) for i in range(len(queries))]


def _asked(
    table: EmbeddingTable, ask: Callable[[Index | None], Answered], columns: Sequence[str] = COLUMNS
) -> list[Hits]:
    """What is found with the index, or without what of it turns out to be damaged."""
    index, notes = open_index(table)
    while True:
        try:
            return _hits(table, index, *ask(index), notes, columns)
        except DamagedIndexError as error:
            assert index is not None
            index, notes = without_damage(table, index, error), (*notes, error.note)


def _answer(
    table: EmbeddingTable,
    index: Index | None,
    query: Query,
    k: int,
    filter: Filter,
    include_query: bool,
    diversity: Diversity | None,
    crew: Searcher | None,
) -> Answered:
    resolved = _resolved(table, index, query, filter, include_query)

    def find(k: int) -> Answer:
        (answer,) = _find(table, index, [resolved], filter, k, crew)
        return answer

    def vectors_of(best: Best) -> Matrix:
        return read_vectors(table, index, best, query.against)

    return [resolved], [find(k) if diversity is None else _find_diverse(find, k, diversity, vectors_of)]


def _answers(
    table: EmbeddingTable,
    index: Index | None,
    resolved: Sequence[Resolved],
    k: int,
    filter: Filter,
    crew: Searcher | None,
) -> Answered:
    """The answers in the order of the queries; those found in one way in one column are found together."""
    answers: dict[int, Answer] = {}
    ways = [(query.column, query.all_of) for query in resolved]
    for way in dict.fromkeys(ways):
        mine = [i for i, other in enumerate(ways) if other == way]
        nearest = _find(table, index, [resolved[i] for i in mine], filter, k, crew)
        answers |= zip(mine, nearest, strict=True)
    return resolved, [answers[i] for i in range(len(resolved))]


def _resolved(
    table: EmbeddingTable, index: Index | None, query: Query, filter: Filter, include_query: bool
) -> Resolved:
    resolved = resolve(table, query, filter, index)
    return replace(resolved, own_rows=frozenset()) if include_query else resolved


def _find(
    table: EmbeddingTable,
    index: Index | None,
    resolved: Sequence[Resolved],
    filter: Filter,
    k: int,
    crew: Searcher | None,
) -> list[Answer]:
    """For each of some queries that are found in one way in one column, the k best rows but its own."""
    most, way = k + max(len(query.own_rows) for query in resolved), resolved[0]
    vectors = [query.vectors for query in resolved]
    answers = best_rows(table, index, way.column, vectors, filter, most, way.all_of, crew)
    return [
        replace(answer, best=_without(table, index, answer.best, query.own_rows, k))
        for answer, query in zip(answers, resolved, strict=True)
    ]


def _without(
    table: EmbeddingTable, index: Index | None, best: Best, own_rows: frozenset[tuple[object, ...]], k: int
) -> Best:
    """The k best rows, those with certain keys left out."""
    if not own_rows:
        return best.first(k)
    own_cells = np.array([key[0] for key in own_rows], np.uint64)
    suspects = np.flatnonzero(np.isin(best.cells, own_cells))
    keys = keys_of(read_rows(table, index, best.at(suspects), KEY))
    own = suspects[np.array([key in own_rows for key in keys], bool)]
    return best.at(np.delete(np.arange(len(best)), own)[:k])


def _find_diverse(
    find: Callable[[int], Answer], k: int, diversity: Diversity, vectors_of: Callable[[Best], Matrix]
) -> Answer:
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
        chosen = marginal_relevance(unit(vectors_of(best)), best.similarity, diversity.relevance, k)
        best = best.at(chosen)
    return replace(answer, best=best.at(slice(k)))


def _hits(
    table: EmbeddingTable,
    index: Index | None,
    resolved: Sequence[Resolved],
    answers: Sequence[Answer],
    notes: Sequence[str],
    columns: Sequence[str],
) -> list[Hits]:
    """The answers with their rows, all read at once."""
    if not answers:
        return []
    every = Best.joined([answer.best for answer in answers])
    ends = accumulate((len(answer.best) for answer in answers), initial=0)
    ranks = np.concatenate([np.arange(1, len(answer.best) + 1) for answer in answers])
    compared = {"similarity": every.similarity, "top_share": _top_shares(index, resolved, answers)}
    rows = assigned(table, ranked(read_rows(table, index, every, columns), ranks, compared))
    periods = [to_numbers(rows[name]) for name in KEY[2:]]
    of_table = tuple(_notes_on(table, index))
    hits = []
    for query, answer, (start, stop) in zip(resolved, answers, pairwise(ends), strict=True):
        mine = rows.slice(start, stop - start)
        few, apart = narrow(table, index, query.column), _other_sensors(query, mine)
        own = _notes(answer, *(moments[start:stop] for moments in periods))
        said = (*filter(None, [apart]), *query.notes, *notes, *own, *of_table, *filter(None, [few]))
        plan = f"{answer}, {query.aligned}" if query.aligned else str(answer)
        hits.append(Hits(mine, plan, said, query))
    return hits


def _other_sensors(query: Resolved, rows: pa.Table) -> str | None:
    """A warning where rows that were found share no sensor with what was asked."""
    if not (query.sensors and set(COUNTS) <= set(rows.column_names)):
        return None
    theirs = [sensors for sensors in sensors_of(rows, query.column) if sensors]
    apart = [sensors for sensors in theirs if not sensors & query.sensors]
    if not apart:
        return None
    asked, shown = (_names(sensors) for sensors in (query.sensors, frozenset().union(*apart)))
    return (
        f"{len(apart)} of {len(rows)} results {OTHER_SENSORS}: it was made from {asked}, "
        f"they from {shown}. Such similarities may be high whatever is shown: compare pictures and ranks"
    )


def _names(sensors: frozenset[str]) -> str:
    return " and ".join(sorted(name.upper() for name in sensors))


def _top_shares(index: Index | None, resolved: Sequence[Resolved], answers: Sequence[Answer]) -> pa.Array:
    """Of each hit the share of the table's rows that are at least as like, null where no sample is kept.

    Rows of the examples' own places are left out of the sample: they are alike in every period.
    """
    asked = [
        Compared(answer.best.similarity, query.vectors, np.array([*query.cells], np.uint64), query.all_of)
        for query, answer in zip(resolved, answers, strict=True)
    ]
    counted: list[list[tuple[Rows, int, int]]] = [[] for _ in asked]
    for files, living in () if index is None else zip(index.segments, index.living, strict=True):
        for column in dict.fromkeys(query.column for query in resolved):
            sample = files.sample(column)
            if sample is None:
                continue
            mine = [i for i, query in enumerate(resolved) if query.column == column]
            with files.blamed():
                counts = sample.at_least([asked[i] for i in mine])
            for i, (above, of) in zip(mine, counts, strict=True):
                counted[i].append((above, of, living.count))
    shares = [top_shares(some, len(one.similarity)) for some, one in zip(counted, asked, strict=True)]
    shares_of_all = np.concatenate(shares)
    return to_array(shares_of_all, null=np.isnan(shares_of_all))


def _notes(answer: Answer, start_us: Microseconds, end_us: Microseconds) -> Iterator[str]:
    shards = answer.shards
    if shards is not None and shards.late:
        yield (
            f"{len(shards.late)} of {shards.count} shards did not answer in time, so "
            f"{sum(shards.late.values()):,} rows that match were not compared: better ones may be among them"
        )
    elif answer.matching == 0:
        yield "no row matches the filter"
    periods = len(set(zip(start_us.tolist(), end_us.tolist(), strict=True)))
    if periods > 1:
        yield f"the results mix {periods} periods: narrow the dates to compare like with like"


def _notes_on(table: EmbeddingTable, index: Index | None) -> Iterator[str]:
    """What does not depend on the query."""
    stale = outdated(table)
    if stale is not None:
        yield stale
    if index is None:
        yield "there is no index, so Parquet was read: run `skyhex index`"
    elif index.lost:
        unread = sum(part.rows for part in index.missing)
        yield f"{unread:,} rows were read from Parquet, {index.lost} of the index's shards being damaged"
    elif index.missing:
        behind = table.manifest.rows_snapshot - index.snapshot
        newer = sum(file.rows for file in index.missing)
        old = f"{behind} snapshot{'s' * (behind > 1)} old" if behind > 0 else "of another snapshot"
        yield f"the index is {old}, so {newer:,} rows were read from Parquet: run `skyhex index`"
