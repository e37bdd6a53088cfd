"""How to search one segment: all matching rows exactly, or the best by codes of an inverted file, refined.

Nothing here is guessed: when an inverted file is built it is scored against the exact answer on this machine,
at several shares of the rows and for two kinds of filter, and what was found decides.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from ..geo.row_ranges import RowRanges, Rows
from ..table.columns import Similarities
from .ivf import Ivf
from .vectors import Vectors

TARGET_RECALL = 0.99  # at 10
AIM = 0.995  # of QUERIES, so that others reach the target, too
SELECTIVITIES = (1e-4, 1e-3, 1e-2, 0.1)
KINDS = ("region", "random")  # of filters: one run of rows in order of cell, or rows drawn
CASES = (*product(SELECTIVITIES, KINDS), (1.0, "all"))
SCATTERED = 4  # rows in a run, on average: a filter of shorter runs is of the random kind
QUERIES = 256  # for each measurement of recall
TIMED = 16  # of them for the time of an exact scan
K = 10  # of each measurement
CLEARLY_FASTER = 0.8  # of the time of an exact scan: an inverted file must be worth its recall
LARGEST_K = 1_000  # beyond this, exact: an inverted file finds few of many
WIDER = 4  # times as many lists, where a plan's hold too few rows that match
CANDIDATES_PER_HIT = (60, 20, 12, 8, 6, 4, 3, 2)  # tried, each with more and more lists until it is good
MOST_NAMED = 0.05  # of the matching rows as candidates: for more, an exact scan costs no more
PROBES = (1, 2, 3, *(step << i for i in range(22) for step in (4, 5, 6, 7)))  # tried
OCTAVE = 4  # of PROBES, that double the number

_Case = tuple[int, RowRanges]  # a row to look like, and the rows to look among


@dataclass(frozen=True)
class Plan:
    """Both are 0 for an exact scan."""

    probes: int = 0  # lists looked into
    candidates: int = 0  # the best rows by their codes, compared exactly

    def __str__(self) -> str:
        if self.probes == 0:
            return "exact"
        return f"{self.candidates:,} candidates from {self.probes:,} lists, refined"

    def scaled(self, k: int) -> Plan:
        """The plan for another k than K."""
        more = max(1.0, (k / K) ** 0.5)
        return Plan(int(self.probes * more), self.candidates * max(k, K) // K)


EXACT = Plan()


@dataclass(frozen=True)
class Point:
    """What the best plan for a share of the rows did with one kind of filter."""

    kind: str  # one of KINDS, or "all"
    selectivity: float  # share of the rows that match
    plan: Plan  # for K
    recall: float  # at K, against the exact answer
    milliseconds: float  # of one thread, a query
    exact_milliseconds: float


@dataclass(frozen=True)
class Measured:
    """All points of one inverted file."""

    points: tuple[Point, ...]

    @property
    def ever_helps(self) -> bool:
        """Whether the inverted file is the better plan anywhere."""
        return any(point.plan.probes for point in self.points)

    def nearest(self, kind: str, share: float) -> Point | None:
        """What was measured at the nearest smaller share of the rows, or one a little larger."""
        known = [p for p in self.points if p.kind in (kind, "all") and p.selectivity <= 1.1 * share]
        return known[-1] if known else None

    def to_json(self) -> list[dict[str, Any]]:
        return [asdict(point) for point in self.points]

    @staticmethod
    def from_json(points: list[dict[str, Any]]) -> Measured:
        return Measured(tuple(Point(**{**point, "plan": Plan(**point["plan"])}) for point in points))


def choose(measured: Measured | None, rows: RowRanges, row_count: int, k: int) -> Plan:
    """The plan for a filter's rows: that of the nearest smaller share of a segment measured, scaled to k.

    A smaller share needs more lists, so the choice errs towards recall; where the exact scan of so few rows
    takes no longer, it is exact.
    """
    share = rows.count / max(row_count, 1)
    kind = "random" if rows.count < SCATTERED * len(rows.starts) else "region"
    nearest = measured.nearest(kind, share) if measured is not None else None
    if nearest is None or nearest.plan.probes == 0 or k > LARGEST_K:
        return EXACT
    plan = nearest.plan.scaled(k)
    slower = nearest.milliseconds * plan.probes / nearest.plan.probes
    if slower >= nearest.exact_milliseconds * share / nearest.selectivity:
        return EXACT
    return plan if plan.candidates < rows.count else EXACT


def run(
    plan: Plan, vectors: Vectors, inverted: Ivf | None, rows: RowRanges, queries: Similarities, k: int
) -> list[tuple[Similarities, Rows]]:
    """Carry a plan out for queries (q, d), on all threads where that pays.

    A region far from a query has few rows in the lists near it: where they hold fewer than the candidates,
    WIDER times as many are looked into, and if that is not enough, all rows are compared.

    Returns:
        For each query similarities and rows, (min(k, rows.count),), best first, whatever the plan.
    """
    if plan.probes == 0 or inverted is None:
        return vectors.nearest_many(rows, queries, k)
    candidates = max(plan.candidates, k)
    found = inverted.candidates(queries, rows, candidates, plan.probes)
    few = np.flatnonzero(found[:, -1] < 0)
    if len(few):
        found[few] = inverted.candidates(queries[few], rows, candidates, WIDER * plan.probes)
    return [
        vectors.nearest_of(some, query, k) if some[-1] >= 0 else vectors.nearest(rows, query, k)
        for some, query in zip(found, queries, strict=True)
    ]


def measure(vectors: Vectors, inverted: Ivf, seed: int = 0) -> Measured:
    """Score an inverted file against the exact answer, in each of CASES."""
    rng = np.random.default_rng(seed)
    return Measured(tuple(_best_plan(vectors, inverted, kind, share, rng) for share, kind in CASES))


def _best_plan(vectors: Vectors, inverted: Ivf, kind: str, share: float, rng: np.random.Generator) -> Point:
    """Of the fastest plan that reaches AIM."""
    cases = _cases(vectors, kind, share, rng)
    answers = _exact_answers(vectors, cases)
    _, exact_ms = _timed(partial(_search, EXACT, vectors, None), cases[:TIMED])

    def scored(plan: Plan) -> Point:
        found, milliseconds = _timed(partial(_search, plan, vectors, inverted), cases)
        recall = float(np.mean([_share_found(*pair) for pair in zip(answers, found, strict=True)]))
        return Point(kind, share, plan, recall, milliseconds, exact_ms)

    fastest, matching = Point(kind, share, EXACT, 1.0, exact_ms, exact_ms), share * inverted.rows
    for candidates in (K * per_hit for per_hit in CANDIDATES_PER_HIT if K * per_hit < MOST_NAMED * matching):
        limit_ms = min(fastest.milliseconds, CLEARLY_FASTER * exact_ms)
        fewest = inverted.lists * candidates / matching  # lists that hold so many, where all hold as many
        plans = [Plan(some, candidates) for some in PROBES if fewest <= some <= inverted.lists]
        points = _towards(AIM, limit_ms, plans, scored)
        good = [point for point in points if point.recall >= AIM and point.milliseconds < limit_ms]
        fastest = min(good, key=lambda point: point.plan.probes, default=fastest)
    return fastest


def _towards(
    recall: float, limit_ms: float, plans: Sequence[Plan], scored: Callable[[Plan], Point]
) -> list[Point]:
    """Score some of the plans, of more and more lists, to find the first with a recall or beyond a time."""
    points: list[Point] = []

    def reached(plan: Plan) -> bool:
        points.append(scored(plan))
        return points[-1].recall >= recall or points[-1].milliseconds >= limit_ms

    last = next((i for i in range(0, len(plans), OCTAVE) if reached(plans[i])), len(plans))
    bisect_left(plans, True, max(last - OCTAVE + 1, 0), last, key=reached)
    return points


def _cases(vectors: Vectors, kind: str, share: float, rng: np.random.Generator) -> list[_Case]:
    """Rows to look like, each with the rows to look among: a region of its own, or the same for each."""
    n = len(vectors.matrix)
    valid = (
        RowRanges.all_of(n)
        if vectors.valid is None
        else RowRanges.of_rows(np.flatnonzero(vectors.valid.whole()))
    )
    rows = rng.choice(valid.rows(), QUERIES).tolist()
    if kind == "region":
        count = max(int(n * share), 1)
        starts = rng.integers(0, n - count + 1, (QUERIES, 1))
        return [(row, RowRanges(at, at + count) & valid) for row, at in zip(rows, starts, strict=True)]
    drawn = RowRanges.of_rows(np.flatnonzero(rng.random(n, np.float32) < share)) & valid
    drawn.bits, drawn.pieces  # noqa: B018 - kept with the rows, so that the clock sees a filter in use
    return [(row, drawn) for row in rows]


def _exact_answers(vectors: Vectors, cases: Sequence[_Case]) -> list[Rows]:
    """The K rows most like each row, itself left out; those among the same rows in one pass."""
    answers: dict[int, Rows] = {}
    for among in {id(rows): rows for _, rows in cases}.values():
        mine = [i for i, (_, rows) in enumerate(cases) if rows is among]
        queries = vectors.matrix.unchecked[[cases[i][0] for i in mine]].astype(np.float32)
        found = run(EXACT, vectors, None, among, queries, K + 1)
        answers |= {i: rows[rows != cases[i][0]][:K] for i, (_, rows) in zip(mine, found, strict=True)}
    return [answers[i] for i in range(len(cases))]


def _search(plan: Plan, vectors: Vectors, inverted: Ivf | None, row: int, rows: RowRanges) -> Rows:
    """The K rows most like a row, itself left out."""
    queries = vectors.matrix.unchecked[row : row + 1].astype(np.float32)
    ((_, found),) = run(plan, vectors, inverted, rows, queries, K + 1)
    return np.asarray(found[found != row][:K])


def _share_found(exact: Rows, found: Rows) -> float:
    return float(np.isin(exact, found).mean()) if len(exact) else 1.0


def _timed(search: Callable[[int, RowRanges], Rows], cases: list[_Case]) -> tuple[list[Rows], float]:
    """The answers, and the mean milliseconds of one: of the processor, as others may use the machine."""
    began = time.thread_time()
    answers = [search(row, rows) for row, rows in cases]
    return answers, 1000 * (time.thread_time() - began) / len(cases)
