"""Teaching a search by marks: results that are right or wrong make the next question, round by round.

A linear head on the vectors ranks rows as its weights' direction does, so a taught search is a query of one
vector, which every search of the table answers: with its index, its filters, its map. Marks are labels of two
classes, kept as any others; those put in one go are a round.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ..errors import QueryError
from ..geo.cells import Cells, cells_to_text, centres
from ..geo.great_circle import distance_km
from ..geo.search_area import Region
from ..index.faiss_index import Index, open_index
from ..index.mapped import DamagedIndexError
from ..index.segment import Keys
from ..search.diversity import Diversity
from ..search.filter import Filter
from ..search.matching import Matching
from ..search.query import Cell, Query, Resolved, Vector, resolve
from ..search.search import COLUMNS, Hits, search
from ..table.columns import Cosines, key_numbers, unit
from ..table.embedding_table import EmbeddingTable
from ..table.ranked import check_k
from ..table.schema import KEY

RIGHT, WRONG = "right", "wrong"
RULES = ("linear", "rocchio")
WRONG_WEIGHT = 0.5  # Rocchio's, as a query's own
PULL = 0.1  # of the linear head towards no weights, as a share of the marks' own spread
POOL = 20  # candidates looked at for each that is asked about
DRAWN = 0.5  # of what is asked about, at random: what is uncertain lies near what was found already
Rule = Literal["linear", "rocchio"]


@dataclass(frozen=True)
class Taught:
    """What marks make of a question."""

    vector: Cosines  # (d,) norm 1: rows are ranked by their cosine to it
    border: float | None  # the cosine where right and wrong part; None before anything was wrong
    question: Resolved  # what the marks are about

    @property
    def query(self) -> Query:
        """The same as a query."""
        column = self.question.column
        return Query((Vector(self.vector),), using=column, against=column)


@dataclass(frozen=True)
class Round:
    """How many of the rows that were marked in one go were right."""

    right: int
    marked: int


@dataclass(frozen=True)
class Feedback:
    """The answer to a taught question, and what to mark next."""

    hits: Hits  # best first, cells of examples and marks and those near them left out
    ask: pa.Table  # rows to mark next: of the best those nearest to the border, then some drawn from all
    taught: Taught


def taught_by(wanted: Cosines, right: Cosines, wrong: Cosines, by: Rule = "linear") -> tuple[Cosines, float]:
    """The direction (d,) that marks point to, and the cosine that parts right from wrong.

    `rocchio` is the mean of what is wanted less half the mean of what is not (Rocchio, 1971). `linear` are
    the weights of a ridge regression on the marks, each side weighing half: Fisher's discriminant with a
    covariance drawn towards a sphere.

    Args:
        wanted: of the question (m, d), norm 1: counted among what is right.
        right, wrong: marked rows (n, d), norm 1; at least one is wrong.
        by: the rule.
    """
    held = np.concatenate([wanted, right])
    middle, apart = (held.mean(axis=0) + wrong.mean(axis=0)) / 2, held.mean(axis=0) - wrong.mean(axis=0)
    if by == "rocchio":
        direction = held.mean(axis=0) - WRONG_WEIGHT * wrong.mean(axis=0)
    else:
        within = [np.cov(side.T, bias=True).reshape(2 * side.shape[1:]) for side in (held, wrong)]
        spread = (within[0] + within[1]) / 2 + np.outer(apart, apart) / 4
        direction = np.linalg.solve(spread + PULL * np.trace(spread) * np.eye(len(apart)), apart)
    (direction,) = unit(direction[None])
    return direction, float(direction @ middle)


def teach(
    table: EmbeddingTable,
    query: Query,
    marks: Mapping[int, bool],
    by: Rule = "linear",
    filter: Filter = Filter(),  # noqa: B008 - frozen
) -> Taught:
    """What marks make of a question.

    Args:
        table: where the marked cells are.
        query: the question that was answered.
        marks: cells, and whether they are right.
        by: "linear" or "rocchio".
        filter: whose dates say which of a cell's rows is meant.

    Raises:
        QueryError: another rule, a marked cell that the table lacks, marks that cancel out.
    """
    if by not in RULES:
        raise QueryError(f"a search taught by {by!r}: expected {' or '.join(RULES)}")
    index, _ = open_index(table)
    try:
        asked, vectors = _compared(table, query, marks, filter, index)
    except DamagedIndexError:
        asked, vectors = _compared(table, query, marks, filter, None)
    is_right = np.array([*marks.values()], bool)
    if is_right.all():
        (mean,) = unit(np.concatenate([asked.vectors, vectors]).mean(axis=0)[None])
        return Taught(mean, None, asked)
    vector, border = taught_by(asked.vectors, vectors[is_right], vectors[~is_right], by)
    if not np.isfinite(vector).all():
        raise QueryError("the marks cancel out: the same is right and wrong")
    return Taught(vector, border, asked)


def feedback(
    table: EmbeddingTable,
    query: Query,
    marks: Mapping[int, bool],
    *,
    by: Rule = "linear",
    k: int = 20,
    apart_km: float = 0.0,
    to_ask: int = 10,
    filter: Filter = Filter(),  # noqa: B008 - frozen
    diversity: Diversity | None = None,
    columns: Sequence[str] = COLUMNS,
) -> Feedback:
    """The k rows that marks make the best, and those whose marks would teach most.

    Args:
        table: what is searched.
        query: the question.
        marks: cells, and whether they are right.
        by: "linear", a linear head on the vectors, or "rocchio".
        k: how many rows, at least 1.
        apart_km: rows whose cell's centre lies this near to that of an example or a mark are left out, as
            these are: neighbours look alike, and to find them says nothing.
        to_ask: how many rows to mark next, half of them the most uncertain of the best `POOL` times as many,
            half drawn from all that match, the same for the same number of marks.
        filter: which rows may be found.
        diversity, columns: as in `search`.

    Raises:
        QueryError: as `teach`, k below 1, a distance below 0.
    """
    check_k(k)
    check_k(to_ask)
    if not apart_km >= 0:
        raise QueryError(f"results {apart_km} km apart from marks: expected 0 or more")
    taught = teach(table, query, marks, by, filter)
    known = np.array(sorted({*marks} | taught.question.cells), np.uint64)

    def find(most: int, filter: Filter = filter, diversity: Diversity | None = diversity) -> Hits:
        return search(table, taught.query, most, filter, diversity=diversity, columns=columns)

    hits = _away(find, known, apart_km, max(k, POOL * to_ask))
    likely = hits.rows.slice(0, POOL * to_ask)
    if taught.border is not None:
        doubt = np.argsort(abs(likely["similarity"].to_numpy() - taught.border), kind="stable")
        likely = likely.take(pa.array(doubt))
    likely = likely.slice(0, to_ask - int(DRAWN * to_ask))
    known = np.union1d(known, likely["h3_cell"].to_numpy())
    cells = _drawn(table, filter, known, apart_km, to_ask - len(likely), seed=len(marks))
    ask = pa.concat_tables([likely, *_rows_of(find, cells, filter)])
    return Feedback(Hits(hits.rows.slice(0, k), hits.plan, hits.notes, hits.query), ask, taught)


def marks_of(labels: pa.Table) -> dict[int, bool]:
    """The marks that a set of labels holds, in the order in which they were made.

    Raises:
        QueryError: classes other than right and wrong.
    """
    others = set(labels["label"].to_pylist()) - {RIGHT, WRONG}
    if others:
        raise QueryError(f"labels {', '.join(sorted(others))}: expected {RIGHT} and {WRONG} alone")
    rows = labels.sort_by([("marked", "ascending"), ("h3_cell", "ascending")])
    names = (name == RIGHT for name in rows["label"].to_pylist())
    return dict(zip(rows["h3_cell"].to_pylist(), names, strict=True))


def rounds_of(labels: pa.Table) -> list[Round]:
    """The rounds of a set of marks, the first one first: the marks that were put in one go."""
    said = marks_of(labels)
    moments = dict(zip(labels["h3_cell"].to_pylist(), labels["marked"].to_pylist(), strict=True))
    each: dict[object, list[bool]] = {}
    for cell, right in said.items():
        each.setdefault(moments[cell], []).append(right)
    return [Round(sum(marks), len(marks)) for marks in each.values()]


def last_round(labels: pa.Table) -> list[int]:
    """The cells that were marked last, in one go."""
    marked = labels["marked"]
    cells: list[int] = labels.filter(pc.equal(marked, pc.max(marked)))["h3_cell"].to_pylist()
    return cells


def _compared(
    table: EmbeddingTable, query: Query, marks: Mapping[int, bool], filter: Filter, index: Index | None
) -> tuple[Resolved, Cosines]:
    """The question as numbers, and the vectors (n, d) of marked cells."""
    asked = resolve(table, query, filter, index)
    each = [
        resolve(table, Query((Cell(cell),), using=asked.column, against=asked.column), filter, index).vectors
        for cell in marks
    ]
    return asked, np.concatenate([np.empty((0, asked.vectors.shape[1])), *each])


def _away(find: Callable[[int], Hits], known: Cells, apart_km: float, k: int) -> Hits:
    """The k best rows of cells that are not known, and lie so far from all that are."""
    most = k + len(known)
    while True:
        hits = find(most)
        cells = hits.rows["h3_cell"].to_numpy()
        far = _far(cells, known, apart_km)
        if far.sum() >= k or len(cells) < most:
            rows = hits.rows.filter(pa.array(far)).slice(0, k)
            rows = rows.set_column(rows.schema.get_field_index("rank"), "rank", [np.arange(1, len(rows) + 1)])
            return Hits(rows, hits.plan, hits.notes, hits.query)
        most *= 4


def _far(cells: Cells, known: Cells, apart_km: float) -> NDArray[np.bool_]:
    """Which cells (n,) are not known, and lie so far from all that are."""
    far = ~np.isin(cells, known)
    if apart_km:
        lon, lat = centres(cells)
        for known_lon, known_lat in zip(*centres(known), strict=True):
            far &= distance_km(lon, lat, known_lon, known_lat) > apart_km
    return np.asarray(far)


def _drawn(
    table: EmbeddingTable, filter: Filter, known: Cells, apart_km: float, count: int, seed: int
) -> Cells:
    """Cells (count,) drawn from all that have a row that matches; fewer where there are fewer."""
    rng, matching, first_row = np.random.default_rng(seed), Matching.of(table, filter), 0
    drawn, lots = np.empty(0, np.uint64), np.empty(0)
    for batch in table.scan(list(KEY)):
        keys = Keys.of(*key_numbers(batch))
        cells = np.unique(batch["h3_cell"].to_numpy()[matching.in_table_order(keys, first_row)])
        first_row += len(batch)
        cells = np.concatenate([drawn, cells[_far(cells, known, apart_km)]])
        lots = np.concatenate([lots, rng.random(len(cells) - len(drawn))])
        least = np.argsort(lots, kind="stable")[:count]
        drawn, lots = cells[least], lots[least]
    return np.unique(drawn)


def _rows_of(find: Callable[..., Hits], cells: Cells, filter: Filter) -> list[pa.Table]:
    """A row of each cell, as they would be found."""
    regions = [Region.from_cells(cells_to_text([cell])) for cell in cells]
    within = [region if filter.region is None else filter.region & region for region in regions]
    return [find(1, filter=replace(filter, region=region), diversity=None).rows for region in within]
