"""Candidates of codes: in order of cosine, more where they are few, with the slack that they have."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from indexer.geo.row_ranges import RowRanges
from indexer.index import recall
from indexer.index.ivf import list_count, sample_rows
from indexer.index.planner import (
    EXACT,
    LARGEST_K,
    SCATTERED,
    WIDER,
    Measured,
    Plan,
    Point,
    choose,
    phrase,
    refine,
    run,
)
from indexer.index.vectors import Vectors

ANGLES = np.radians(np.arange(0, 80, 8))  # of ten rows from the query
VECTORS = Vectors.of(np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1).astype(np.float32))
QUERY = np.array([[1.0, 0.0]])


@dataclass
class Codes:
    """Names the same candidates whatever is asked, and keeps what was asked."""

    named: list[int]
    estimates: list[float]
    asked: list[tuple[int, int]] = field(default_factory=list)

    def candidates(self, queries: object, rows: RowRanges, count: int, probes: int) -> tuple[object, object]:
        self.asked.append((count, probes))
        return np.array([self.named]), np.array([self.estimates])


@pytest.mark.parametrize(
    ("named", "estimates", "rows", "slack"),
    [
        ([5, 1, 3], [0.9, 0.8, 0.25], [1, 3], np.cos(ANGLES[3]) - 0.25),
        ([5, 1, 3], [0.8, 0.8, 0.8], [1, 3], -np.inf),  # of one code, which others may have
        ([*range(9, -1, -1)], [0.5] * 10, [0, 1], np.inf),  # all there are
        ([5, 1, -1], [0.9, 0.8, -np.inf], [0, 1], np.inf),  # too few: all are compared
    ],
    ids=["clear", "one code", "all", "few"],
)
def test_slack_tells_how_clear_an_answer_is(
    named: list[int], estimates: list[float], rows: list[int], slack: float
) -> None:
    codes = Codes(named, estimates)
    (best,) = refine(Plan(7, 3), VECTORS, codes, RowRanges.all_of(10), QUERY, 2)  # type: ignore[arg-type]
    assert best.rows.tolist() == rows
    assert best.similarity == pytest.approx(np.cos(ANGLES[rows]), abs=1e-7)
    assert best.slack == pytest.approx(slack, abs=1e-7)
    assert codes.asked == [(3, 7), *([(3, WIDER * 7)] if named[-1] < 0 else [])]


def test_at_least_as_many_candidates_as_hits() -> None:
    codes = Codes([0, 1, 2, 3], [0.4, 0.3, 0.2, 0.1])
    refine(Plan(7, 3), VECTORS, codes, RowRanges.all_of(10), QUERY, 4)  # type: ignore[arg-type]
    assert codes.asked == [(4, 7)]


def test_plans_grow_with_k_and_say_what_they_do() -> None:
    assert Plan(8, 150).scaled(40) == Plan(16, 600)
    assert Plan(8, 150).scaled(5) == Plan(8, 150)
    assert str(EXACT) == "exact"
    assert str(Plan(8, 1500)) == "1,500 candidates from 8 lists, refined"
    assert phrase([Plan(8, 150), Plan(4, 150)]) == "150 candidates from 4 to 8 lists, refined"


@pytest.mark.parametrize(
    ("k", "probes", "candidates"),
    [
        (1, 8, 200),
        (10, 8, 200),
        (11, 8, 220),
        (40, 16, 800),
        (100, 25, 2000),
        (101, 25, 101 + int(1900 * 1.01 ** (2 / 3))),
        (800, 71, 800 + 7599),
    ],
)
def test_candidates_grow_as_k_does_up_to_a_hundred_and_less_from_there(
    k: int, probes: int, candidates: int
) -> None:
    assert Plan(8, 200, 0.5).scaled(k) == Plan(probes, candidates, 0.5)


def point(kind: str, share: float, plan: Plan, ms: float = 1.0, exact_ms: float = 10.0) -> Point:
    return Point(kind, share, plan, 0.99, ms, exact_ms)


REGION, RANDOM, ALL = Plan(2, 50), Plan(4, 60), Plan(8, 70)
MEASURED = Measured((
    point("region", 0.01, REGION), point("random", 0.01, RANDOM), point("region", 0.1, EXACT),
    point("random", 0.1, RANDOM), point("all", 1.0, ALL),
))  # fmt: skip
N = 100_000


def every(step: int, count: int) -> RowRanges:
    """So many rows, one in each step."""
    starts = np.arange(count, dtype=np.int64) * step
    return RowRanges(starts, starts + 1)


def in_runs(length: int, count: int) -> RowRanges:
    starts = np.arange(count, dtype=np.int64) * 2 * length
    return RowRanges(starts, starts + length)


@pytest.mark.parametrize(
    ("rows", "plan"),
    [
        (RowRanges.all_of(N), ALL),
        (RowRanges.all_of(N // 100), REGION),
        (RowRanges.all_of(N // 109), REGION),  # a little smaller than the share that was measured
        (RowRanges.all_of(N // 112), EXACT),  # of so small a share nothing is known
        (RowRanges.all_of(N // 10), EXACT),
        (every(10, N // 10), RANDOM),
        (every(100, N // 100), RANDOM),
        (in_runs(SCATTERED, N // 100 // SCATTERED), REGION),
        (in_runs(SCATTERED - 1, N // 100 // (SCATTERED - 1) + 1), RANDOM),
        (RowRanges.all_of(0), EXACT),
    ],
)
def test_the_plan_is_what_was_measured_for_such_rows(rows: RowRanges, plan: Plan) -> None:
    assert choose(MEASURED, rows, N, 10) == plan


def test_without_a_measurement_all_rows_are_compared() -> None:
    assert choose(None, RowRanges.all_of(N), N, 10) == EXACT
    assert choose(Measured(()), RowRanges.all_of(N), N, 10) == EXACT
    assert choose(MEASURED, RowRanges.all_of(0), 0, 10) == EXACT
    assert not Measured((point("all", 1.0, EXACT),)).ever_helps
    assert MEASURED.ever_helps


@pytest.mark.parametrize(("rows", "k", "exact"), [
    (10**6, LARGEST_K, False), (10**6, 10_000, False), (10**6, 10_001, True),
    (90_000, LARGEST_K, False), (90_000, LARGEST_K + 1, True),
])  # fmt: skip
def test_a_large_k_is_answered_exactly(rows: int, k: int, exact: bool) -> None:
    measured = Measured((point("all", 1.0, Plan(1, 20), ms=1e-6, exact_ms=1e6),))
    assert (choose(measured, RowRanges.all_of(rows), rows, k) == EXACT) is exact


def test_a_plan_that_takes_as_long_as_all_rows_or_names_all_of_them_is_not_taken() -> None:
    for ms, taken in ((4.9, True), (5.0, False)):
        measured = Measured((point("all", 1.0, Plan(8, 200), ms=ms, exact_ms=10.0),))
        assert (choose(measured, RowRanges.all_of(N), N, 40) == Plan(16, 800)) is taken
    few = Measured((point("all", 1.0, Plan(1, 50), ms=0.0),))
    assert choose(few, RowRanges.all_of(51), 51, 10) == Plan(1, 50)
    assert choose(few, RowRanges.all_of(50), 50, 10) == EXACT


def test_points_are_written_as_they_are() -> None:
    (written,) = Measured((point("all", 1.0, Plan(8, 70, 0.25), 2.0, 3.0),)).to_json()
    assert written == {
        "kind": "all", "selectivity": 1.0, "plan": {"probes": 8, "candidates": 70, "least_slack": 0.25},
        "recall": 0.99, "milliseconds": 2.0, "exact_milliseconds": 3.0,
    }  # fmt: skip


@pytest.mark.parametrize(("least_slack", "asked"), [(0.0, [(4, 7)]), (0.4, [(4, 7), (4 * WIDER, 7)])])
def test_a_crowded_answer_is_asked_again_with_more_candidates_and_then_of_all(
    least_slack: float, asked: list[tuple[int, int]]
) -> None:
    codes = Codes([5, 1, 3, 6], [0.9, 0.8, 0.7, 0.66])
    plan = Plan(7, 4, least_slack)
    ((similarity, rows),) = run(plan, VECTORS, codes, RowRanges.all_of(10), QUERY, 2)  # type: ignore[arg-type]
    assert codes.asked == asked
    assert rows.tolist() == ([1, 3] if least_slack == 0 else [0, 1])
    assert similarity == pytest.approx(np.cos(ANGLES[rows]), abs=1e-7)


def test_an_exact_plan_asks_no_codes() -> None:
    codes = Codes([], [])
    ((_, rows),) = run(EXACT, VECTORS, codes, RowRanges.all_of(10), QUERY, 3)  # type: ignore[arg-type]
    assert (rows.tolist(), codes.asked) == ([0, 1, 2], [])
    ((_, rows),) = run(Plan(7, 3), VECTORS, None, RowRanges.all_of(10), QUERY, 3)
    assert rows.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("rows", "dimension", "lists"),
    [(1, 128, 1), (64, 128, 1), (90, 128, 1), (91, 128, 2), (10**4, 128, 128), (10**6, 128, 2048),
     (10**8, 128, 16_384), (10**6, 512, 1024), (10**6, 2048, 512)],
)  # fmt: skip
def test_lists_are_twice_the_root_of_the_rows_fewer_for_long_vectors(
    rows: int, dimension: int, lists: int
) -> None:
    assert list_count(rows, dimension) == lists


@pytest.mark.parametrize(
    ("rows", "dimension", "count"),
    [(1000, 128, 16 * 50), (100, 128, 100), (10**8, 128, 2**28 // 512), (10**9, 2**22, 16)],
)
def test_centroids_are_fitted_to_rows_spread_over_all(rows: int, dimension: int, count: int) -> None:
    chosen = sample_rows(rows, dimension)
    assert (chosen[0], chosen[-1]) == (0, rows - 1)
    assert len(chosen) == max(count, list_count(rows, dimension))
    assert (np.diff(chosen) > 0).all()


def test_how_many_of_the_exact_rows_were_found() -> None:
    assert recall._recall(np.array([1, 2, 3, 4]), np.array([2, 4, 9])) == 0.5
    assert recall._recall(np.empty(0, int), np.array([2])) == 1.0


def test_queries_of_a_measurement_are_rows_and_places_between_two() -> None:
    draw = np.random.default_rng(0)
    matrix = draw.normal(size=(2000, 8)).astype(np.float32)
    matrix[::4] = 0
    vectors = Vectors.of(matrix)
    for kind, share in (("region", 0.1), ("random", 0.1), ("all", 1.0)):
        cases = recall._cases(vectors, kind, share, np.random.default_rng(1))
        assert len(cases) == recall.QUERIES
        np.testing.assert_allclose([np.linalg.norm(case.query) for case in cases], 1)
        for i, case in enumerate(cases):
            near = vectors.nearest(RowRanges.all_of(2000), case.query, 1)
            assert (case.row >= 0) == (i % 2 == 0)
            if case.row >= 0:
                assert (near[1][0], near[0][0]) == (case.row, 1)
            else:
                assert 0.7 < near[0][0] < 1
            assert not (case.among.rows() % 4 == 0).any()
        counts = {case.among.count for case in cases}
        if kind == "region":
            assert counts <= {149, 150, 151}
            assert all(case.among.stops[-1] - case.among.starts[0] <= 200 for case in cases)
            assert len({int(case.among.starts[0]) for case in cases}) > 100
        else:
            assert len({id(case.among) for case in cases}) == 1
            assert counts == {1500} if kind == "all" else 90 < min(counts) < 210


def test_an_answer_leaves_out_the_query_itself() -> None:
    case = recall._Case(QUERY[0], 3, RowRanges.all_of(10))
    assert recall._but_itself(np.array([4, 3, 5]), case).tolist() == [4, 5]
    assert recall._but_itself(np.arange(20) + 10, case).tolist() == list(range(10, 20))
    (answer,) = recall._exact_answers(VECTORS, [recall._Case(QUERY[0], 0, RowRanges.all_of(10))])
    assert answer.tolist() == list(range(1, 10))
