"""How to search one segment: all matching rows exactly, or the best by codes of an inverted file, refined.

Nothing here is guessed: what `recall.py` measured when the inverted file was built decides.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..geo.row_ranges import RowRanges, Rows
from ..table.columns import Cosines, Similarities
from .vectors import Vectors

if TYPE_CHECKING:
    from .ivf import Ivf

SCATTERED = 4  # rows in a run, on average: a filter of shorter runs is of the random kind
K = 10  # of each measurement
LINEAR_K = 100  # so far candidates grow as k does; from here on less: most of many are found anyway
LARGEST_K = 1_000  # beyond this, and LARGEST_SHARE of the rows that match, exact: an inverted file finds few
LARGEST_SHARE = 0.01
WIDER = 4  # times as many lists or candidates, where a plan's hold too few rows that match, or a crowd


@dataclass(frozen=True)
class Plan:
    """All are 0 for an exact scan."""

    probes: int = 0  # lists looked into
    candidates: int = 0  # the best rows by their codes, compared exactly
    least_slack: float = 0  # of an answer, see `Refined`: below it the candidates are a crowd

    def __str__(self) -> str:
        if self.probes == 0:
            return "exact"
        return phrase([self])

    def scaled(self, k: int) -> Plan:
        """The plan for another k than K."""
        if k <= K:
            return self
        more = (k / K) ** 0.5
        candidates = self.candidates * min(k, LINEAR_K) // K
        if k > LINEAR_K:
            candidates = k + int((candidates - LINEAR_K) * (k / LINEAR_K) ** (2 / 3))
        return replace(self, probes=int(self.probes * more), candidates=candidates)


EXACT = Plan()


def phrase(plans: Collection[Plan]) -> str:
    """What plans with candidates do, in one phrase."""
    candidates = _span([plan.candidates for plan in plans])
    return f"{candidates} candidates from {_span([plan.probes for plan in plans])} lists, refined"


def _span(numbers: Sequence[int]) -> str:
    return " to ".join(f"{number:,}" for number in sorted({min(numbers), max(numbers)}))


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


def choose(measured: Measured | None, rows: RowRanges, row_count: int, k: int) -> Plan:
    """The plan for a filter's rows: that of the nearest smaller share of a segment measured, scaled to k.

    A smaller share needs more lists, so the choice errs towards recall; where the exact scan of so few rows
    takes no longer, it is exact.
    """
    share = rows.count / max(row_count, 1)
    kind = "random" if rows.count < SCATTERED * len(rows.starts) else "region"
    nearest = measured.nearest(kind, share) if measured is not None else None
    too_many = k > max(LARGEST_K, LARGEST_SHARE * rows.count)
    if nearest is None or nearest.plan.probes == 0 or too_many:
        return EXACT
    plan = nearest.plan.scaled(k)
    slower = nearest.milliseconds * plan.probes / nearest.plan.probes
    if slower >= nearest.exact_milliseconds * share / nearest.selectivity:
        return EXACT
    return plan if plan.candidates < rows.count else EXACT


def run(
    plan: Plan, vectors: Vectors, inverted: Ivf | None, rows: RowRanges, queries: Cosines, k: int
) -> list[tuple[Cosines, Rows]]:
    """Carry a plan out for queries (q, d), on all threads where that pays.

    Thousands of equal or nearly equal rows (sea, desert) crowd better ones out of the candidates. Then the
    k-th cosine is hardly above the last candidate's estimate. Such a query is asked again with WIDER times as
    many candidates, and if they are a crowd, too, all rows are compared.

    Returns:
        For each query cosines and rows, (min(k, rows.count),), best first, whatever the plan.
    """
    if plan.probes == 0 or inverted is None:
        return vectors.nearest_many(rows, queries, k)
    refined = refine(plan, vectors, inverted, rows, queries, k)
    answers = [(one.similarity, one.rows) for one in refined]
    crowded = [i for i, one in enumerate(refined) if one.slack < plan.least_slack]
    if crowded:
        wider = replace(plan, candidates=WIDER * plan.candidates)
        for i, one in zip(crowded, refine(wider, vectors, inverted, rows, queries[crowded], k), strict=True):
            clear = one.slack >= plan.least_slack
            answers[i] = (one.similarity, one.rows) if clear else vectors.nearest(rows, queries[i], k)
    return answers


@dataclass(frozen=True)
class Refined:
    """The best candidates of a query, by their cosines."""

    similarity: Cosines  # (k,)
    rows: Rows  # (k,)
    slack: float  # how much the k-th cosine is above the last candidate's estimate; rows beyond it are unseen


def refine(
    plan: Plan, vectors: Vectors, inverted: Ivf, rows: RowRanges, queries: Cosines, k: int
) -> list[Refined]:
    """Name candidates for queries (q, d) by codes, and order them by their cosines.

    A region far from a query has few rows in the lists near it: where they hold fewer than the candidates,
    WIDER times as many are looked into, and if that is not enough, all rows are compared.
    """
    count = max(plan.candidates, k)
    named, estimates = inverted.candidates(queries, rows, count, plan.probes)
    few = np.flatnonzero(named[:, -1] < 0)
    if len(few):
        named[few], estimates[few] = inverted.candidates(queries[few], rows, count, WIDER * plan.probes)
    enough = named[:, -1] >= 0
    nearest = iter(vectors.nearest_of_each(named[enough], queries[enough], k))
    return [
        _refined(*next(nearest), similar, rows.count, k)
        if is_enough
        else Refined(*vectors.nearest(rows, query, k), np.inf)
        for query, similar, is_enough in zip(queries, estimates, enough.tolist(), strict=True)
    ]


def _refined(similarity: Cosines, rows: Rows, estimates: Similarities, row_count: int, k: int) -> Refined:
    """The best of as many candidates (c,) as were asked for, of so many rows that match."""
    if len(estimates) == row_count:
        return Refined(similarity, rows, np.inf)
    if estimates[-1] == estimates[-min(max(k, K), len(estimates))]:  # cut within rows that share a code
        return Refined(similarity, rows, -np.inf)
    return Refined(similarity, rows, float(similarity[-1] - estimates[-1]))
