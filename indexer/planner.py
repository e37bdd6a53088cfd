"""How to search one segment: every matching row exactly, or those near the query in its inverted file.

Of the lists nearest to the query, either all matching rows are compared exactly, or the best by their codes.
Nothing here is guessed: when an inverted file is built it is scored against the exact answer on this machine,
at several shares of the rows and for two kinds of filter, and what was found decides.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from .ivf import Ivf
from .row_ranges import RowRanges, Rows
from .vectors import Similarities, Vectors

TARGET_RECALL = 0.99  # at 10
AIM = 0.993  # of QUERIES, so that others reach the target, too
SELECTIVITIES = (1e-4, 1e-3, 1e-2, 0.1, 1.0)
KINDS = ("region", "random")  # of filters: one run of rows in order of cell, or rows drawn
QUERIES = 64  # for each measurement
K = 10  # of each measurement
CLEARLY_FASTER = 0.8  # of the time of the plan so far: less would be noise
LARGEST_K = 1_000  # beyond this, exact: an inverted file finds few of many
FEWEST = 32  # matching rows in the lists near a query, at first; more and more until the answer is good
CANDIDATES_PER_HIT = (2, 3, 4, 6, 8, 12, 20, 60)  # by codes, from more and more lists until it is good
STEPS = (1, 2, 3, *(step << i for i in range(22) for step in (4, 5, 6, 7)))  # of the work tried

_Case = tuple[int, RowRanges]  # a row to look like, and the rows to look among


@dataclass(frozen=True)
class Plan:
    """`probes` is 0 for an exact scan; else one of the others is 0."""

    probes: int = 0  # lists looked into, at first
    enough: int = 0  # matching rows that must be found in lists; all of them are compared
    candidates: int = 0  # the best rows by their codes, compared exactly

    def __str__(self) -> str:
        if self.enough:
            return f"all of the nearest {self.probes:,} lists, or of more until {self.enough:,} match,"
        if self.candidates:
            return f"{self.candidates:,} candidates from {self.probes:,} lists, refined"
        return "exact"

    def scaled(self, k: int) -> Plan:
        """The plan for another k than K."""
        more = max(1.0, (k / K) ** 0.5)
        return Plan(int(self.probes * more), int(self.enough * more), self.candidates * max(k, K) // K)


EXACT = Plan()


@dataclass(frozen=True)
class Point:
    """What the best plan for a share of the rows did with one kind of filter."""

    kind: str
    selectivity: float  # share of the rows that match
    plan: Plan  # for K; the same for all kinds
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

    def nearest(self, share: float) -> Point | None:
        """What was measured at the nearest smaller share of the rows, or one a little larger."""
        known = [point for point in self.points if point.selectivity <= 1.1 * share]
        return known[-1] if known else None

    def to_json(self) -> list[dict[str, Any]]:
        return [asdict(point) for point in self.points]

    @staticmethod
    def from_json(points: list[dict[str, Any]]) -> Measured:
        return Measured(tuple(Point(**{**point, "plan": Plan(**point["plan"])}) for point in points))


def choose(measured: Measured | None, matching: int, rows: int, k: int) -> Plan:
    """The plan for `matching` of a segment's rows: that of the nearest smaller share measured, scaled to k.

    A smaller share needs more lists, so the choice errs towards recall; where the exact scan of so few rows
    takes no longer, it is exact.
    """
    share = matching / max(rows, 1)
    nearest = measured.nearest(share) if measured is not None else None
    if nearest is None or nearest.plan.probes == 0 or k > LARGEST_K:
        return EXACT
    plan = nearest.plan.scaled(k)
    slower = nearest.milliseconds * plan.probes / nearest.plan.probes
    if slower >= nearest.exact_milliseconds * share / nearest.selectivity:
        return EXACT
    return plan if max(plan.candidates, plan.enough) < matching else EXACT


def run(
    plan: Plan, vectors: Vectors, inverted: Ivf | None, rows: RowRanges, query: Similarities, k: int
) -> tuple[Similarities, Rows]:
    """Carry a plan out: similarities and rows, best first, min(k, rows.count) of them whatever the plan."""
    if plan.probes == 0 or inverted is None:
        return vectors.nearest(rows, query, k)
    if plan.enough:
        found = inverted.near(query, rows, plan.enough, plan.probes)
    else:
        (found,) = inverted.candidates(query[None], rows, plan.candidates, plan.probes)
    return _refined(vectors, rows, found, query, k)


def run_many(
    plan: Plan, vectors: Vectors, inverted: Ivf | None, rows: RowRanges, queries: Similarities, k: int
) -> list[tuple[Similarities, Rows]]:
    """`run` for each query (q, d), on all threads where that pays."""
    if plan.probes == 0 or inverted is None:
        return vectors.nearest_many(rows, queries, k)
    if plan.enough or len(queries) == 1:
        return [run(plan, vectors, inverted, rows, query, k) for query in queries]
    found = inverted.candidates(queries, rows, plan.candidates, plan.probes)
    return [_refined(vectors, rows, some, query, k) for some, query in zip(found, queries, strict=True)]


def _refined(
    vectors: Vectors, rows: RowRanges, found: Rows, query: Similarities, k: int
) -> tuple[Similarities, Rows]:
    """The best of what was found, and of all rows where that is too few; -1 at the end is nothing."""
    if len(found) and found[-1] < 0:
        found = found[found >= 0]
    if len(found) >= min(k, rows.count):
        return vectors.nearest_of(found, query, k)
    return vectors.nearest(rows, query, k)


def measure(vectors: Vectors, inverted: Ivf, seed: int = 0) -> Measured:
    """Score an inverted file against the exact answer, at SELECTIVITIES, for both kinds of filter."""
    rng = np.random.default_rng(seed)
    points: list[Point] = []
    for share in SELECTIVITIES:
        cases = [list(_cases(vectors, kind, share, rng)) for kind in KINDS]
        points += _best_plan(vectors, inverted, share, cases)
    return Measured(tuple(points))


def _best_plan(vectors: Vectors, inverted: Ivf, share: float, cases: list[list[_Case]]) -> list[Point]:
    """A point for each kind, of the fastest plan that reaches AIM for all."""
    exact = [_timed(partial(_search, EXACT, vectors, None), of_kind) for of_kind in cases]
    fastest = [
        Point(kind, share, EXACT, 1.0, milliseconds, milliseconds)
        for kind, (_, milliseconds) in zip(KINDS, exact, strict=True)
    ]
    for plans in _ways(share, inverted):
        for plan in plans:
            points = []
            for kind, of_kind, (answers, exact_ms) in zip(KINDS, cases, exact, strict=True):
                found, milliseconds = _timed(partial(_search, plan, vectors, inverted), of_kind)
                recall = float(np.mean([_share_found(*pair) for pair in zip(answers, found, strict=True)]))
                points.append(Point(kind, share, plan, recall, milliseconds, exact_ms))
            if _total_ms(points) >= CLEARLY_FASTER * _total_ms(fastest):
                break
            if min(point.recall for point in points) >= AIM:
                fastest = points
                break
    return fastest


def _total_ms(points: list[Point]) -> float:
    return sum(point.milliseconds for point in points)


def _ways(share: float, inverted: Ivf) -> Iterator[Iterator[Plan]]:
    """Plans that look at more and more rows, one way after the other."""
    list_rows, all_rows = share * inverted.rows / inverted.lists, share * inverted.rows
    enough = (FEWEST * step for step in STEPS if FEWEST * step < all_rows)
    yield (Plan(math.ceil(1.5 * some / list_rows), enough=some) for some in enough)  # mostly at one go
    for candidates in (K * per_hit for per_hit in CANDIDATES_PER_HIT if K * per_hit < all_rows):
        yield (Plan(step, candidates=candidates) for step in STEPS if step <= inverted.lists)


def _cases(vectors: Vectors, kind: str, share: float, rng: np.random.Generator) -> Iterator[_Case]:
    """Rows to look like, each with the rows to look among."""
    n = len(vectors.matrix)
    valid = (
        RowRanges.all_of(n)
        if vectors.valid is None
        else RowRanges.of_rows(np.flatnonzero(vectors.valid.whole()))
    )
    count = max(int(n * share), 1)
    for row in rng.choice(valid.rows(), QUERIES).tolist():
        if kind == "random":
            rows = RowRanges.of_rows(np.flatnonzero(rng.random(n) < share))
        else:
            start = rng.integers(0, n - count + 1)
            rows = RowRanges.merged(np.array([start]), np.array([start + count]))
        yield row, rows & valid


def _search(plan: Plan, vectors: Vectors, inverted: Ivf | None, row: int, rows: RowRanges) -> Rows:
    """The K rows most like a row, itself left out; the filter is new to each search, as it mostly is."""
    query = vectors.matrix.unchecked[row].astype(np.float32)
    found = run(plan, vectors, inverted, RowRanges(rows.starts, rows.stops), query, K + 1)[1]
    return np.asarray(found[found != row][:K])


def _share_found(exact: Rows, found: Rows) -> float:
    return float(np.isin(exact, found).mean()) if len(exact) else 1.0


def _timed(search: Callable[[int, RowRanges], Rows], cases: list[_Case]) -> tuple[list[Rows], float]:
    """The answers, and the median milliseconds of one: of the processor, as others may use the machine."""
    answers, seconds = [], []
    for row, rows in cases:
        began = time.thread_time()
        answers.append(search(row, rows))
        seconds.append(time.thread_time() - began)
    return answers, 1000 * float(np.median(seconds))
