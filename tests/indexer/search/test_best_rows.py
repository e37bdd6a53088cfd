"""The best of several answers, and what is said of how they were found."""

import numpy as np
import pytest

from indexer.index.planner import EXACT, Plan
from indexer.search.best_rows import _NOTHING, Answer, Best, Shards, _LookedAt, _over

RNG = np.random.default_rng(2)


def best(similarity: list[float], files: list[int], rows: list[int], segment: int = 0) -> Best:
    n = len(similarity)
    return Best(
        np.array(similarity), np.arange(n, dtype=np.uint64), np.array(files), np.array(rows),
        np.full(n, segment), np.arange(n) + 100,
    )  # fmt: skip


def test_of_equal_ones_the_first_in_the_table_comes_first() -> None:
    one = best([0.9, 0.5, 0.5], [3, 2, 3], [0, 5, 1], segment=0)
    other = best([0.9, 0.9, 0.5, 0.1], [1, 3, 2, 0], [7, -1, 4, 0], segment=1)
    merged = Best.merged([one, other], 6)
    assert merged.similarity.tolist() == [0.9, 0.9, 0.9, 0.5, 0.5, 0.5]
    assert [*zip(merged.file_ids.tolist(), merged.rows_in_file.tolist(), strict=True)] == [
        (1, 7), (3, -1), (3, 0), (2, 4), (2, 5), (3, 1),
    ]  # fmt: skip
    assert merged.segments.tolist() == [1, 1, 0, 1, 0, 0]
    assert merged.rows_in_segment.tolist() == [100, 101, 100, 102, 101, 102]
    assert merged.cells.tolist() == [0, 1, 0, 2, 1, 2]


@pytest.mark.parametrize("k", [0, 1, 3, 7, 50])
def test_the_best_of_many_are_those_of_all(k: int) -> None:
    pieces = [
        best(sorted(RNG.integers(0, 5, n) / 4, reverse=True), RNG.integers(0, 3, n).tolist(), list(range(n)))
        for n in (3, 0, 8)
    ]
    merged = Best.merged(pieces, k)
    every = sorted(
        (-s, f, r)
        for one in pieces
        for s, f, r in zip(one.similarity, one.file_ids, one.rows_in_file, strict=True)
    )
    found = [*zip(-merged.similarity, merged.file_ids, merged.rows_in_file, strict=True)]
    assert found == every[:k]
    assert len(merged) == min(k, 11)


def test_one_answer_is_itself_cut() -> None:
    one = best([0.9, 0.5], [0, 0], [0, 1])
    assert Best.joined([one]) is one
    assert one.first(2) is one
    assert one.first(1).similarity.tolist() == [0.9]
    assert Best.merged([one], 1).rows_in_file.tolist() == [0]
    assert len(Best.merged([_NOTHING], 5)) == 0


def test_what_was_looked_at_is_added_by_plan() -> None:
    looked = _LookedAt()
    looked.add(EXACT, 3, 10)
    looked.add(EXACT, 2, 5)
    looked.add(None, 1, 4)
    assert looked == {EXACT: (5, 15), None: (1, 4)}
    assert Answer(_NOTHING, looked).matching == 6


@pytest.mark.parametrize(
    ("looked_at", "shards", "said"),
    [
        ({}, None, "the table is empty"),
        ({EXACT: (1000, 2000)}, None, "exact over 1,000 of 2,000 rows"),
        ({EXACT: (1, 2), None: (3, 4)}, None, "exact over 1 of 2 rows; exact over Parquet over 3 of 4 rows"),
        (
            {EXACT: (1, 2), Plan(4, 150): (10, 20), Plan(8, 150): (30, 40)},
            None,
            "150 candidates from 4 to 8 lists, refined over 40 of 60 rows; exact over 1 of 2 rows",
        ),
        ({EXACT: (1, 2)}, Shards(3, 4, {}), "exact over 1 of 2 rows; 3 of 4 shards"),
    ],
)
def test_how_rows_were_looked_at(
    looked_at: dict[Plan | None, tuple[int, int]], shards: Shards | None, said: str
) -> None:
    assert str(Answer(_NOTHING, looked_at, shards)) == said
    assert _over("x", []) == ""
