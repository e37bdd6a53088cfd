"""Who may look at whom."""

import numpy as np
import pytest

from data.sample import InputError
from experiments.retrieval.problem import leave_place_out, many_hot, one_hot, split_fold


def test_classes_are_in_order() -> None:
    labels, classes = one_hot(["b", "a", "b"])
    assert classes == ("a", "b")
    assert labels.tolist() == [[False, True], [True, False], [False, True]]


def test_several_classes_a_row() -> None:
    labels, classes = many_hot([["b", "a"], "c"])
    assert classes == ("a", "b", "c")
    assert labels.tolist() == [[True, True, False], [False, False, True]]


def test_near_rows_are_left_out_and_counted() -> None:
    lon = np.array([0.0, 0.01, 1.0])
    query = np.array([True, False, False])
    fold, note = split_fold(query, ~query, lon, np.zeros(3), "set")
    assert (fold.query.tolist(), fold.database.tolist()) == ([0], [2])
    assert note == "1 of 2 database rows within 5 km of a query left out"


def test_nothing_to_compare_is_an_error() -> None:
    query = np.array([True, False])
    with pytest.raises(InputError, match="1 queries, and 0 of 1 rows"):
        split_fold(query, ~query, np.zeros(2), np.zeros(2), "set")


def test_a_place_never_looks_at_itself() -> None:
    place = np.array(list("aabbc"))
    folds = leave_place_out(place, np.array([True, True, True, False, False]))
    assert [(f.query.tolist(), f.database.tolist()) for f in folds] == [([0, 1], [2, 3, 4]), ([2], [0, 1, 4])]
