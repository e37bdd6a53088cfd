"""Metrics against values worked out by hand."""

import numpy as np
import pytest

from experiments.retrieval.metrics import (
    average_precision,
    f1_of_votes,
    jaccard,
    ndcg,
    partner_rank,
    precision,
)


def test_average_precision_is_normalised_by_the_relevant_hits() -> None:
    relevant = np.array([[1, 0, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 1]], dtype=bool)
    assert average_precision(relevant) == pytest.approx([(1 + 2 / 3) / 2, 0, 1, 1 / 4])


def test_precision_counts_hits() -> None:
    assert precision(np.array([[True, False, True, False]])) == pytest.approx([0.5])


def test_ndcg_of_the_ideal_order_is_one_and_of_nothing_zero() -> None:
    gain = np.array([[1.0, 0.5], [0.5, 1.0], [0.0, 0.0]])
    ideal = np.array([[1.0, 0.5], [1.0, 0.5], [0.0, 0.0]])
    second = 1 / np.log2(3)
    assert ndcg(gain, ideal) == pytest.approx([1, (0.5 + second) / (1 + 0.5 * second), 0])


def test_jaccard_of_label_sets() -> None:
    query = np.array([[1, 1, 0], [0, 0, 1]], dtype=bool)
    database = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1]], dtype=bool)
    assert jaccard(query, database).tolist() == [[0.5, 1.0, 0.0], [0.0, 0.0, 1.0]]


def test_ties_rank_before_the_true_partner() -> None:
    similarity = np.array([[0.9, 0.1, 0.2], [0.5, 0.5, 0.1], [0.7, 0.8, 0.6]])
    assert partner_rank(similarity).tolist() == [1, 2, 3]


def test_f1_of_hits_is_averaged_over_them() -> None:
    query = np.array([[1, 1, 0]], dtype=bool)
    hits = np.array([[[1, 1, 0], [1, 0, 0], [0, 0, 1]]], dtype=bool)
    assert f1_of_votes(hits, query) == pytest.approx([(1 + 2 / 3 + 0) / 3])
