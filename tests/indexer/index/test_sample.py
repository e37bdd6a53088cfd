"""How rare a similarity is: against counting, row by row, in float64."""

from fractions import Fraction

import numpy as np
import pytest

from indexer.index.mapped import CheckedArray
from indexer.index.sample import FEWEST_ROWS, SAMPLE_ROWS, Compared, Sample, evenly, top_shares
from indexer.table.columns import DECIMALS, cosines, unit

RNG = np.random.default_rng(8)
N, D = 300, 5
CELLS = np.sort(RNG.integers(1, 40, N).astype(np.uint64))
MATRIX = RNG.normal(size=(N, D)).astype(np.float16)
MATRIX[[3, 200]] = 0
MATRIX[50:60] = MATRIX[49]  # ten that are equally like any question
SAMPLE = Sample(CheckedArray(CELLS), CheckedArray(MATRIX))


def counted(
    similarity: np.ndarray, vectors: np.ndarray, without: np.ndarray, all_of: bool
) -> tuple[list[int], int]:
    usable = ~np.isin(CELLS, without) & (np.abs(MATRIX).sum(axis=1) > 0)
    each = np.array([cosines(MATRIX[usable], vector) for vector in vectors])
    peers = each.min(axis=0) if all_of else each.max(axis=0)
    return [int((peers >= least).sum()) for least in similarity], int(usable.sum())


@pytest.mark.parametrize("all_of", [False, True])
@pytest.mark.parametrize("questions", [1, 2, 4])
@pytest.mark.parametrize("without", [[], [7], [1, 7, 39, 99]])
def test_rows_at_least_as_like_are_counted(all_of: bool, questions: int, without: list[int]) -> None:
    vectors = unit(RNG.normal(size=(questions, D)))
    known = np.concatenate([cosines(MATRIX[[49, 60, 70, 80, 299]], vector) for vector in vectors])
    similarity = np.sort(np.r_[known, known + 10.0**-DECIMALS, known - 10.0**-DECIMALS, 1.0, -1.0])[::-1]
    outside = np.array(without, np.uint64)
    ((above, of),) = SAMPLE.at_least([Compared(similarity, vectors, outside, all_of)])
    assert (above.tolist(), of) == counted(similarity, vectors, outside, all_of)


def test_many_questions_are_counted_as_one_by_one() -> None:
    """Several are compared by a product of matrices, one by a scan."""
    asked = [
        Compared(
            np.sort(cosines(MATRIX[some], vectors[0]))[::-1], vectors, np.array(without, np.uint64), all_of
        )
        for some, count, without, all_of in (
            ([49, 60, 70], 1, [], False),
            ([299], 3, [7, 39], False),
            ([80, 120], 2, [], True),
            ([1, 2, 4, 5], 1, [1], False),
        )
        for vectors in [unit(RNG.normal(size=(count, D)))]
    ]
    together = SAMPLE.at_least(asked)
    for one, (above, of) in zip(asked, together, strict=True):
        assert (above.tolist(), of) == counted(one.similarity, one.vectors, one.without, one.all_of)


def test_nothing_is_as_like_as_what_no_row_is() -> None:
    query, nowhere = unit(np.eye(D)[:1]), np.empty(0, np.uint64)
    ((above, of),) = SAMPLE.at_least([Compared(np.array([1.0, 0.99999]), query, nowhere)])
    assert (above.tolist(), of) == ([0, 0], N - 2)
    ((none, of),) = SAMPLE.at_least([Compared(np.empty(0), query, nowhere)])
    assert (len(none), of) == (0, N - 2)


@pytest.mark.parametrize(
    ("rows", "shards", "count"),
    [
        (10, 1, 10),
        (SAMPLE_ROWS, 1, SAMPLE_ROWS),
        (10**6, 1, 4096),
        (10**6, 2, 2048),
        (10**6, 16, 256),
        (10**6, 17, FEWEST_ROWS),
        (100, 40, 100),
    ],
)
def test_a_sample_is_spread_evenly_from_the_first_row_to_the_last(rows: int, shards: int, count: int) -> None:
    chosen = evenly(rows, shards)
    assert (len(chosen), chosen[0], chosen[-1]) == (count, 0, rows - 1)
    steps = np.diff(chosen)
    assert steps.min() >= 1
    assert steps.max() - steps.min() <= 1


def test_shares_of_segments_are_weighted_by_the_rows_they_stand_for() -> None:
    of_two = [(np.array([1, 10]), 10, 100), (np.array([0, 2]), 4, 50)]
    of_none = [(np.array([9, 9]), 0, 70), (np.array([9, 9]), 9, 0)]
    want = [
        Fraction(1, 10) * Fraction(100, 150),
        Fraction(100, 150) + Fraction(1, 2) * Fraction(50, 150),
    ]
    np.testing.assert_allclose(
        top_shares([*of_two, *of_none], 2), [float(max(share, Fraction(1, 14))) for share in want]
    )


def test_a_share_is_never_nothing_and_unknown_where_there_is_no_sample() -> None:
    assert top_shares([(np.array([0]), 40, 1000), (np.array([0]), 10, 10)], 1).tolist() == [1 / 50]
    assert np.isnan(top_shares([], 3)).tolist() == [True] * 3
    assert np.isnan(top_shares([(np.array([0]), 0, 10)], 1)).all()
