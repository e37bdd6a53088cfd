"""Candidates of codes: in order of cosine, more where they are few, with the slack that they have."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from indexer.geo.row_ranges import RowRanges
from indexer.index.planner import EXACT, WIDER, Plan, phrase, refine
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
