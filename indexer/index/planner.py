"""How to search one segment: all matching rows exactly, or the best by codes of an inverted file, refined.

Nothing here is guessed: what `recall.py` measured when the inverted file was built decides.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..geo.row_ranges import RowRanges, Rows
from ..table.columns import Similarities
from .ivf import Ivf
from .vectors import Vectors

SCATTERED = 4  # rows in a run, on average: a filter of shorter runs is of the random kind
K = 10  # of each measurement
LARGEST_K = 1_000  # beyond this, exact: an inverted file finds few of many
WIDER = 4  # times as many lists, where a plan's hold too few rows that match


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
