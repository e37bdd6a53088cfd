"""Clusters that are there are found; agreement, balance and purity by hand."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from experiments.retrieval.neighbours import unit
from experiments.retrieval.options import Encoders, Options
from experiments.retrieval.problem import Fold, Problem, one_hot
from experiments.retrieval.prototype_case import vectors_by_year
from experiments.retrieval.prototype_scorecard import (
    Rows,
    attend,
    balance,
    harmonics,
    nearest,
    purity,
    regions_of,
    scorecard,
)
from experiments.retrieval.report import Table
from experiments.retrieval.series_sets import SensorRules, read_series
from indexer.prototypes import sinkhorn

from ..tolerance import cosine_error
from .make_series import write_series


def clustered(n: int = 240) -> Rows:
    """Two regions far apart, three classes that vectors tell and statistics do not."""
    rng = np.random.default_rng(0)
    code = np.arange(n) % 3
    labels, classes = one_hot(["abc"[c] for c in code])
    lon = np.where(np.arange(n) < n // 2, 5.0, 25.0) + rng.uniform(0, 0.01, n)
    vectors = unit(np.eye(8)[code] + 0.05 * rng.standard_normal((n, 8)))
    query = np.arange(n) % 4 == 0
    folds = (Fold(np.flatnonzero(query), np.flatnonzero(~query)),)
    problem = Problem("tiny", labels, classes, (np.arange(n) // 6).astype(str), lon, np.full(n, 45.0), folds)
    return Rows(problem, vectors, {"s1": vectors, "s2": vectors}, rng.standard_normal((n, 4)))


@pytest.fixture(scope="module")
def tables() -> list[Table]:
    return scorecard(clustered(), resolution=4, per_region=3, seed=0)


def by_name(table: Table) -> dict[str, list[float]]:
    return {str(row[0]): [getattr(cell, "mean", cell) for cell in row[1:]] for row in table.rows}


def test_prototypes_agree_with_classes_and_noise_does_not(tables: list[Table]) -> None:
    found = by_name(tables[0])
    ami, nmi, pure, entropy, dead, count = found["prototypes (Sinkhorn)"]
    assert (ami, nmi, pure, dead, count) == pytest.approx((1, 1, 1, 0, 3))
    assert entropy > 0.95
    assert found["k-means on statistics"][0] < 0.1
    assert found["k-means on the embedding"][5] == count


def test_equal_sensors_and_seeds_are_stable(tables: list[Table]) -> None:
    found = by_name(tables[2])
    assert found["all sensors against s1 alone"] == [1]
    assert found["5 seeds, pair by pair"][0] == pytest.approx(1)


def test_years_that_show_the_same_are_stable_and_others_are_not() -> None:
    rows = clustered()
    mixed = np.random.default_rng(1).permutation(rows.vectors)
    for other, low, high in ((rows.vectors, 1.0, 1.0), (mixed, -0.2, 0.2)):
        years = {"2021": rows.vectors, "2022": other}
        (table,) = scorecard(
            replace(rows, by_year=years), resolution=4, per_region=3, seed=0, protocol="stability"
        )
        (found,) = by_name(table)["2021 against 2022, in the months that both have"]
        assert low - 1e-9 <= found <= high + 1e-9


def test_a_year_is_told_by_its_own_dates_in_shared_months(tmp_path: Path) -> None:
    months = {2021: (3, 5, 6, 7), 2022: (5, 6, 7, 9)}
    days = [date(year, month, 15) for year, of_year in months.items() for month in of_year]
    constant = {"s2": np.full((8, 8, 10), 900).tolist(), "s1": np.full((8, 8, 2), -12.0).tolist()}
    path = write_series(tmp_path / "a.parquet", n=8, dates=[days] * 8, **constant)
    found = read_series(path, SensorRules())
    options = Options(device="cpu", untrained_seeds=())
    encoders = Encoders.load(options)
    by_year = vectors_by_year(found, encoders, options)
    assert list(by_year) == ["2021", "2022"]
    assert (by_year["2021"] * by_year["2022"]).sum(axis=1) == pytest.approx(
        1, abs=cosine_error(128)
    )  # the same three months
    one_year = read_series(write_series(tmp_path / "b.parquet", n=8), SensorRules())
    assert vectors_by_year(one_year, encoders, options) == {}


def test_every_region_is_listed(tables: list[Table]) -> None:
    assert [row[1] for row in tables[1].rows] == [60, 60]


def test_a_vector_that_says_all_gains_nothing(tables: list[Table]) -> None:
    found = by_name(tables[3])
    assert found["z"] == [1, 0]
    assert found["[z; attended prototypes]"][1] == 0


def test_regions_need_rows() -> None:
    assert regions_of(clustered(60).problem, 4, 100) == []
    (table,) = scorecard(clustered(60), resolution=4, per_region=100, seed=0)
    assert (table.rows, table.note) == ((), "No region has 40 rows: a coarser --region-res may have.")
    assert [region.count for region in regions_of(clustered().problem, 4, 100)] == [6, 6]
    (first, _) = regions_of(clustered().problem, 4, 100)
    assert not set(first.fit_on) & set(first.unseen)


def test_purity_and_balance_by_hand() -> None:
    cluster = np.array([0, 0, 0, 1])
    assert purity(np.array([2, 2, 0, 1]), cluster) == 0.75
    entropy, dead = balance(cluster, 4)
    assert entropy == pytest.approx(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)) / np.log(4))
    assert dead == 0.5


def test_nearest_is_least_distance() -> None:
    centres = np.array([[0.0, 0.0], [4.0, 0.0]])
    assert nearest(np.array([[1.9, 5.0], [2.1, -5.0]]), centres).tolist() == [0, 1]


def test_attention_returns_the_prototype_one_lies_on() -> None:
    others = np.exp(-1 / sinkhorn.EPSILON)  # weight of an orthogonal one
    assert attend(np.eye(3)[:1], np.eye(3))[0] == pytest.approx([1, others, others])


def test_harmonics_tell_places_apart() -> None:
    assert harmonics(np.array([0.0, 180.0]), np.array([0.0, 0.0])).shape == (2, 24)
