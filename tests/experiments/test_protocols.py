"""Protocols on problems small enough to judge by eye."""

import numpy as np
import pytest

from experiments.retrieval.problem import Fold, Problem, many_hot
from experiments.retrieval.protocols import (
    chance,
    cross_modal,
    cross_modal_chance,
    finite_rows,
    majority,
    masked_moments,
    probes,
    standardised,
    zero_shot,
)


def problem_of(labels: list[str | list[str]], queries: int) -> Problem:
    """The first rows ask, the others are found."""
    matrix, classes = many_hot(labels)
    n = len(labels)
    fold = Fold(np.arange(queries), np.arange(queries, n))
    nowhere = np.full(n, np.nan)
    return Problem("tiny", matrix, classes, np.arange(n).astype(str), nowhere, nowhere, (fold,))


def angles(*degrees: float) -> np.ndarray:
    """Unit vectors in the plane."""
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def test_zero_shot_by_hand() -> None:
    problem = problem_of(["a", "a", "b", "a"], queries=1)
    found = zero_shot(problem, angles(0, 10, 20, 30))
    assert found["mAP@20"] == pytest.approx([(1 + 2 / 3) / 2])
    assert found["P@10"] == pytest.approx([2 / 3])
    assert found["nDCG@20"] == pytest.approx([(1 + 0.5) / (1 + 1 / np.log2(3))])


def test_several_labels_are_relevant_in_part_and_exact_in_full() -> None:
    problem = problem_of([["a", "b"], ["a"], ["a", "b"], ["c"]], queries=1)
    found = zero_shot(problem, angles(0, 10, 20, 30))
    assert found["mAP@20"] == pytest.approx([1.0])
    assert found["exact mAP@20"] == pytest.approx([0.5])


def test_neighbours_vote() -> None:
    problem = problem_of(["a", "b", *"aaaaa", *"bbbbb"], queries=2)
    vectors = angles(0, 90, *np.arange(5), *(90 + np.arange(5)))
    for name, values in probes(problem, vectors).items():
        assert values.tolist() == [1, 1], name


def test_the_linear_probe_reads_a_weak_direction() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(300) % 2
    vectors = rng.standard_normal((300, 8)).astype(np.float32)
    vectors[:, 3] = 0.01 * (2 * y - 1) + 0.002 * vectors[:, 3]
    problem = problem_of(["ab"[i] for i in y], queries=100)
    assert probes(problem, vectors, ["linear"])["linear"].mean() > 0.95


def test_probes_of_several_labels_are_scored_by_f1() -> None:
    problem = problem_of([["a", "b"], *[["a", "b"]] * 20, *[["c"]] * 5], queries=1)
    vectors = angles(0, *[1] * 20, *[90] * 5)
    assert probes(problem, vectors, ["kNN-5", "linear"]) == {"kNN-5": [1.0], "linear": [1.0]}


def test_cross_modal_finds_the_partner_among_its_folds_queries() -> None:
    problem = problem_of(["a", "b", "a"], queries=3)
    found = cross_modal(problem, angles(0, 45, 90), angles(1, 80, 60))
    assert found["recall@1"].tolist() == [1, 0, 0]
    assert found["MRR"] == pytest.approx([1, 1 / 2, 1 / 2])
    assert cross_modal_chance(problem)["MRR"] == pytest.approx([11 / 18] * 3)


def test_majority_and_chance_are_what_they_say() -> None:
    problem = problem_of([*"aab", *"aaab" * 100], queries=3)
    hits, answers = majority(problem)
    assert hits["mAP@20"].tolist() == answers["linear"].tolist() == [1, 1, 0]
    many = problem_of([*"aab" * 400, *"aaab" * 100], queries=1200)
    assert chance(many, 0)[1]["kNN-5"].mean() == pytest.approx(2 / 3 * 3 / 4 + 1 / 3 * 1 / 4, abs=0.05)


def test_missing_values_become_the_mean() -> None:
    features = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, 5.0]])
    assert masked_moments(features)[0].tolist() == [2, 5]
    assert standardised(features, np.arange(2)).tolist() == [[-1, 0], [1, 0], [0, 5]]
    assert finite_rows(features).tolist() == [False, False, False]
