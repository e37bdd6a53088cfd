"""Neighbours against sorting everything."""

import numpy as np

from experiments.retrieval.neighbours import by_cosine, by_distance, unit


def test_neighbours_are_those_of_a_full_sort() -> None:
    rng = np.random.default_rng(0)
    queries, database = rng.standard_normal((700, 5)), rng.standard_normal((90, 5))
    cosine = unit(queries) @ unit(database).T
    distance = ((queries[:, None] - database[None]) ** 2).sum(axis=2)
    assert (by_cosine(queries, database, 7).index == np.argsort(-cosine, axis=1)[:, :7]).all()
    assert (by_distance(queries, database, 7).index == np.argsort(distance, axis=1)[:, :7]).all()


def test_a_small_database_gives_what_it_has() -> None:
    assert by_cosine(np.eye(2), np.eye(2), 20).index.tolist() == [[0, 1], [1, 0]]


def test_a_zero_row_stays_zero() -> None:
    assert unit(np.array([[0.0, 0.0], [3.0, 4.0]])).tolist() == [[0, 0], [np.float32(0.6), np.float32(0.8)]]
