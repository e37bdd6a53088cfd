"""Recall and time of an inverted file, measured when it is built: against the exact answer, on this machine.

At several shares of the rows, for two kinds of filter: rows that follow each other, and rows drawn.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from ..geo.row_ranges import RowRanges, Rows
from ..table.columns import Cosines, unit
from .planner import EXACT, K, Measured, Plan, Point, refine, run
from .vectors import Vectors

if TYPE_CHECKING:
    from .ivf import Ivf

TARGET_RECALL = 0.99  # at 10
AIM = 0.992  # of QUERIES, of which every other is harder than a row; others reach the target, too
SELECTIVITIES = (1e-4, 1e-3, 1e-2, 0.1)
KINDS = ("region", "random")  # of filters: one run of rows in order of cell, or rows drawn
CASES = (*product(SELECTIVITIES, KINDS), (1.0, "all"))
QUERIES = 256  # for each measurement of recall, every other one a row, the rest between two
TIMED = 16  # of them for the time of an exact scan
LEARNT = 64  # of them to learn what slack an answer has
CROWDED = 0.2  # of the slack that half of the answers have: one that has less may have lost rows to a crowd
CLEARLY_FASTER = 0.8  # of the time of an exact scan: an inverted file must be worth its recall
CANDIDATES_PER_HIT = (60, 20, 12, 8, 6, 4, 3, 2)  # tried, each with more and more lists until it is good
MOST_NAMED = 0.05  # of the matching rows as candidates: for more, an exact scan costs no more
PROBES = (1, 2, 3, *(step << i for i in range(22) for step in (4, 5, 6, 7)))  # tried
OCTAVE = 4  # of PROBES, that double the number


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
        plan = replace(plan, least_slack=_least_slack(plan, vectors, inverted, cases[:LEARNT]))
        answered, milliseconds = _timed(partial(_search, plan, vectors, inverted), cases)
        recall = float(np.mean([_recall(*pair) for pair in zip(answers, answered, strict=True)]))
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


@dataclass(frozen=True)
class _Case:
    """What to look like, and the rows to look among."""

    query: Cosines  # (d,) norm 1
    row: int  # that it is, and is left out; -1 where it lies between rows
    among: RowRanges


def _cases(vectors: Vectors, kind: str, share: float, rng: np.random.Generator) -> list[_Case]:
    """Queries, each with a region of its own, or the same rows for each."""
    n = len(vectors.matrix)
    valid = RowRanges.all_of(n) if vectors.valid is None else RowRanges.of_rows(np.flatnonzero(vectors.valid))
    rows, others = rng.choice(valid.rows(), (2, QUERIES))
    first, second = (unit(vectors.matrix.unchecked[some]) for some in (rows, others))
    between = np.arange(QUERIES) % 2 == 1
    of_other = np.where(between, rng.uniform(0, 0.5, QUERIES), 0)[:, None]
    queries = unit((1 - of_other) * first + of_other * second)
    own = np.where(between, -1, rows).tolist()
    if kind == "region":
        count = max(int(n * share), 1)
        starts = rng.integers(0, n - count + 1, (QUERIES, 1))
        return list(map(_Case, queries, own, [RowRanges(at, at + count) & valid for at in starts]))
    drawn = RowRanges.of_rows(np.flatnonzero(rng.random(n, np.float32) < share)) & valid
    drawn.bits, drawn.pieces  # noqa: B018 - kept with the rows, so that the clock sees a filter in use
    return [_Case(query, row, drawn) for query, row in zip(queries, own, strict=True)]


def _exact_answers(vectors: Vectors, cases: Sequence[_Case]) -> list[Rows]:
    """The K rows most like each query, itself left out; those among the same rows in one pass."""
    answers: dict[int, Rows] = {}
    for among in {id(case.among): case.among for case in cases}.values():
        mine = [i for i, case in enumerate(cases) if case.among is among]
        nearest = run(EXACT, vectors, None, among, np.stack([cases[i].query for i in mine]), K + 1)
        answers |= {i: _but_itself(rows, cases[i]) for i, (_, rows) in zip(mine, nearest, strict=True)}
    return [answers[i] for i in range(len(cases))]


def _search(plan: Plan, vectors: Vectors, inverted: Ivf | None, case: _Case) -> Rows:
    """The K rows most like a query, itself left out."""
    ((_, rows),) = run(plan, vectors, inverted, case.among, case.query[None], K + 1)
    return _but_itself(rows, case)


def _least_slack(plan: Plan, vectors: Vectors, inverted: Ivf, cases: Sequence[_Case]) -> float:
    """Below this an answer's slack is suspicious; with equal rows some have none, so the median counts."""
    slacks = [refine(plan, vectors, inverted, one.among, one.query[None], K + 1)[0].slack for one in cases]
    known = [slack for slack in slacks if np.isfinite(slack)]
    return max(CROWDED * float(np.median(known)), 0) if known else 0


def _but_itself(rows: Rows, case: _Case) -> Rows:
    return np.asarray(rows[rows != case.row][:K])


def _recall(exact: Rows, answer: Rows) -> float:
    return float(np.isin(exact, answer).mean()) if len(exact) else 1.0


def _timed(search: Callable[[_Case], Rows], cases: list[_Case]) -> tuple[list[Rows], float]:
    """The answers, and the mean milliseconds of one: of the processor, as others may use the machine."""
    began = time.thread_time()
    answers = [search(case) for case in cases]
    return answers, 1000 * (time.thread_time() - began) / len(cases)
