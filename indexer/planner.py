"""How to search one segment: every matching row exactly, or candidates of its inverted file, refined exactly.

Nothing here is guessed: when an inverted file is built it is scored against the exact answer on this machine,
at several shares of the rows and for two kinds of filter, and what was found decides.
"""

from __future__ import annotations

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
SELECTIVITIES = (1e-4, 1e-3, 1e-2, 0.1, 1.0)
QUERIES = 32  # for each measurement
K = 10  # of each measurement
FIRST_PROBES = 8
CLEARLY_FASTER = 0.8  # of the time of the plan so far: less would be noise
LARGEST_K = 1_000  # beyond this, exact: an inverted file finds few of many
CANDIDATES_PER_HIT = (20, 60, 200)  # tried; refining one costs as much as scanning one exactly


@dataclass(frozen=True)
class Point:
    """The best plan that was found at one share of the rows; `probes` is 0 where that is the exact scan."""

    kind: str  # of the filter: "region" (one run of rows in order of cell) or "random"
    selectivity: float  # share of the rows that match
    probes: int
    candidates_per_hit: int
    recall: float  # at 10, against the exact answer
    milliseconds: float  # a query, one thread
    exact_milliseconds: float


@dataclass(frozen=True)
class Measured:
    """All points of one inverted file."""

    points: tuple[Point, ...]

    @property
    def ever_helps(self) -> bool:
        """Whether the inverted file is the better plan anywhere."""
        return any(point.probes for point in self.points)

    def to_json(self) -> list[dict[str, Any]]:
        return [asdict(point) for point in self.points]

    @staticmethod
    def from_json(points: list[dict[str, Any]]) -> Measured:
        return Measured(tuple(Point(**point) for point in points))


@dataclass(frozen=True)
class Plan:
    """`probes` is 0 for an exact scan."""

    probes: int = 0
    candidates: int = 0

    def __str__(self) -> str:
        return (
            f"{self.candidates:,} candidates from {self.probes:,} lists, refined" if self.probes else "exact"
        )


EXACT = Plan()


def choose(measured: Measured | None, matching: int, rows: int, k: int) -> Plan:
    """The plan for `matching` of a segment's rows: that of the nearest smaller share measured, scaled to k.

    A smaller share needs more probes, so the choice errs towards recall; where the exact scan of so few rows
    takes no longer, it is exact.
    """
    share = matching / max(rows, 1)
    known = [point for point in (measured.points if measured else ()) if point.selectivity <= share]
    if not known or k > LARGEST_K:
        return EXACT
    nearest = [point for point in known if point.selectivity == known[-1].selectivity]
    if any(point.probes == 0 for point in nearest):
        return EXACT
    more = max(1.0, (k / K) ** 0.5)
    slowest = max(nearest, key=lambda point: point.milliseconds)
    exact_milliseconds = slowest.exact_milliseconds * share / slowest.selectivity
    if slowest.milliseconds * more >= exact_milliseconds:
        return EXACT
    probes = max(point.probes for point in nearest)
    candidates = max(point.candidates_per_hit for point in nearest) * max(k, K)
    return Plan(int(probes * more), candidates) if candidates < matching else EXACT


def run(
    plan: Plan, vectors: Vectors, inverted: Ivf | None, rows: RowRanges, query: Similarities, k: int
) -> tuple[Similarities, Rows]:
    """Carry a plan out: similarities and rows, best first, min(k, rows.count) of them whatever the plan."""
    if plan.probes and inverted is not None:
        found = inverted.candidates(query, rows, plan.candidates, plan.probes)
        if len(found) >= min(k, rows.count):
            return vectors.nearest(RowRanges.of_rows(found), query, k)
    return vectors.nearest(rows, query, k)


def measure(vectors: Vectors, inverted: Ivf, seed: int = 0) -> Measured:
    """Score an inverted file against the exact answer, at SELECTIVITIES, for both kinds of filter."""
    points = [
        _point(vectors, inverted, kind, share, np.random.default_rng(seed))
        for share in SELECTIVITIES
        for kind in ("region", "random")
    ]
    return Measured(tuple(points))


def _point(vectors: Vectors, inverted: Ivf, kind: str, share: float, rng: np.random.Generator) -> Point:
    """The fastest plan that reaches TARGET_RECALL."""
    cases = list(_cases(vectors, kind, share, rng))
    exact, exact_ms = _timed(partial(_search, EXACT, vectors, None), cases)
    best = Point(kind, share, 0, 0, 1.0, exact_ms, exact_ms)
    fewest = min((rows.count for _, rows in cases), default=0)
    for per_hit in (some for some in CANDIDATES_PER_HIT if some * K < fewest):
        probes = FIRST_PROBES
        while probes <= inverted.lists:
            found, milliseconds = _timed(
                partial(_search, Plan(probes, per_hit * K), vectors, inverted), cases
            )
            if milliseconds >= CLEARLY_FASTER * best.milliseconds:
                break
            recall = float(np.mean([_share_found(*pair) for pair in zip(exact, found, strict=True)]))
            if recall >= TARGET_RECALL:
                best = Point(kind, share, probes, per_hit, recall, milliseconds, exact_ms)
                break
            probes *= 2
    return best


def _cases(
    vectors: Vectors, kind: str, share: float, rng: np.random.Generator
) -> Iterator[tuple[int, RowRanges]]:
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
    """The K rows most like a row, itself left out."""
    query = vectors.matrix.unchecked[row].astype(np.float32)
    found = run(plan, vectors, inverted, rows, query, K + 1)[1]
    return np.asarray(found[found != row][:K])


def _share_found(exact: Rows, found: Rows) -> float:
    return float(np.isin(exact, found).mean()) if len(exact) else 1.0


def _timed(
    search: Callable[[int, RowRanges], Rows], cases: list[tuple[int, RowRanges]]
) -> tuple[list[Rows], float]:
    """The answers, and the median milliseconds of one."""
    answers, seconds = [], []
    for row, rows in cases:
        began = time.perf_counter()
        answers.append(search(row, rows))
        seconds.append(time.perf_counter() - began)
    return answers, 1000 * float(np.median(seconds))
