"""Leaks that are there are found, and none where there is none."""

import numpy as np
import pytest

from experiments.retrieval.embedding import Embedded
from experiments.retrieval.leakage import (
    group_excess,
    mixed_subsets,
    one_date,
    same_place_recall,
    sensor_findings,
)
from experiments.retrieval.problem import Fold, Problem, one_hot


def test_a_vector_of_the_group_gives_it_away() -> None:
    rng = np.random.default_rng(0)
    group = np.arange(120) % 3
    block = np.arange(120) // 4
    alone = np.arange(120)
    leaky, base = group_excess(np.eye(3)[group] + 0.01 * rng.standard_normal((120, 3)), group, alone, block)
    blind, _ = group_excess(rng.standard_normal((120, 8)), group, alone, block)
    assert base == pytest.approx(39 / 119)
    assert leaky.mean == 1
    assert blind.low < base < blind.high


def test_rows_kept_apart_are_no_neighbours() -> None:
    group = np.repeat([0, 1], 20)
    share, base = group_excess(np.random.default_rng(0).standard_normal((40, 4)), group, group, np.arange(40))
    assert share.mean == base == 0


def test_a_place_is_found_by_its_other_sensors() -> None:
    places = np.eye(50)
    assert same_place_recall(places, places + 0.1, np.arange(50) // 5).mean == 1
    assert same_place_recall(places, np.roll(places, 1, axis=0), np.arange(50) // 5).mean == 0


def test_each_row_is_seen_by_one_subset() -> None:
    fused, s1 = np.zeros((30, 2)), np.ones((30, 2))
    mixed, code = mixed_subsets(fused, {"s1": s1}, seed=0)
    assert set(code) == {0, 1}
    assert (mixed[:, 0] == code).all()


def test_one_date_is_kept_of_those_there_are() -> None:
    valid = np.random.default_rng(0).random((50, 6)) > 0.5
    valid[0] = False
    kept = one_date(valid, seed=1)
    assert (kept <= valid).all()
    assert (kept.sum(axis=1) == valid.any(axis=1)).all()


def test_sensors_are_checked_where_places_have_them_all() -> None:
    rng = np.random.default_rng(0)
    n = 60
    labels, classes = one_hot(["a"] * n)
    nowhere, block = np.full(n, np.nan), (np.arange(n) // 4).astype(str)
    folds = (Fold(np.arange(50), np.arange(50, n)),)
    problem = Problem("tiny", labels, classes, block, nowhere, nowhere, folds)
    fused, absent = rng.standard_normal((n, 16)), np.full((n, 16), np.nan)
    s1 = fused.copy()
    s1[:10] = np.nan  # places that are left out
    ours = Embedded(fused, {"hr": absent, "s2": fused, "s1": s1}, 0.0)
    s2_recall, s1_recall, subset = sensor_findings(problem, ours, np.arange(n), seed=0)
    assert s2_recall.check == "same place, all sensors -> s2, recall@10"
    assert (s2_recall.ours.mean, s1_recall.ours.mean) == (1, 1)
    assert s1_recall.floor == 10 / 40
    assert subset.ours.mean == pytest.approx(subset.floor, abs=0.15)  # equal vectors tell no subset
    few = problem.asking(np.arange(n) < 25)
    assert sensor_findings(few, ours, np.arange(n), seed=0) == ()
    assert sensor_findings(problem, Embedded(fused, {"s2": fused}, 0.0), np.arange(n), seed=0) == ()
