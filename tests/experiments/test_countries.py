"""Countries held out: positions whose country everyone knows, and folds that are refused."""

from pathlib import Path

import numpy as np
import pytest

from data.sample import InputError
from experiments.retrieval.countries import country_of, hold_out_countries
from experiments.retrieval.options import Options
from experiments.retrieval.problem import Fold, Problem, one_hot
from experiments.retrieval.series_case import asked_rows
from experiments.retrieval.series_sets import SensorRules, read_series

from .make_series import write_series

PX = {"hr": 32, "s2": 8, "s1": 8}


def test_places_lie_in_their_countries() -> None:
    lon = np.array([2.35, 36.82, -106.35, -30.0, np.nan])
    lat = np.array([48.86, -1.29, 52.1, 30.0, 0.0])
    assert country_of(lon, lat).tolist() == ["France", "Kenya", "Canada", "", ""]


def places(counts: dict[str, int], classes: int = 2) -> Problem:
    """Rows in a circle of a degree about the middle of each country, classes in turn."""
    middle = {"France": (2.5, 46.5), "Kenya": (37.8, 0.5), "Germany": (10.3, 51.0)}
    name = np.repeat(list(counts), list(counts.values()))
    angle = np.arange(len(name)) * 0.7
    lon = np.array([middle[n][0] for n in name]) + np.sin(angle)
    lat = np.array([middle[n][1] for n in name]) + np.cos(angle)
    labels, words = one_hot([f"c{i % classes}" for i in range(len(name))])
    rows = np.arange(len(name))
    return Problem("world", labels, words, name, lon, lat, (Fold(rows, rows),))


def test_each_country_is_asked_among_the_others() -> None:
    problem = places({"France": 40, "Kenya": 35, "Germany": 12})
    every = np.ones(len(problem.block), bool)
    held = hold_out_countries(problem, every, every)
    assert [len(fold.query) for fold in held.folds] == [40, 35]
    for fold in held.folds:
        assert not set(problem.block[fold.query]) & set(problem.block[fold.database])
    assert [len(fold.database) for fold in held.folds] == [47, 52]
    said = " ".join(held.notes)
    assert "France: 40 asked, 47 to find, 2 classes shared" in said
    assert "not asked: Germany: 12 asked" in said


@pytest.mark.parametrize(
    ("counts", "classes"),
    [({"France": 80}, 2), ({"France": 20, "Kenya": 20}, 2), ({"France": 40, "Kenya": 40}, 1)],
)
def test_folds_that_say_nothing_are_refused(counts: dict[str, int], classes: int) -> None:
    problem = places(counts, classes)
    every = np.ones(len(problem.block), bool)
    with pytest.raises(InputError, match="no country can be held out"):
        hold_out_countries(problem, every, every)


@pytest.mark.parametrize(("split", "asked"), [("validation", "train"), ("test", "test")])
def test_countries_of_a_series_are_held_out_in_either_split(tmp_path: Path, split: str, asked: str) -> None:
    n = 360
    here = (np.arange(n) // 2) % 12 < 6
    lonlat = {"lon": np.where(here, 2.5, 37.8) + np.arange(n) / 1000, "lat": np.where(here, 46.5, 0.5)}
    found = read_series(write_series(tmp_path / "world.parquet", n=n, **lonlat), SensorRules())
    shown, problem, samples = asked_rows(found, PX, Options(split=split, hold_out="country", max_dates=2))
    assert len(problem.folds) == 2
    assert len(samples) == len(shown)
    for fold in problem.folds:
        assert set(shown.pixels.split[fold.query]) == {asked}
        assert set(shown.pixels.split[fold.database]) == {"train"}
        france = problem.lat_deg[fold.query] > 20
        assert france.all() or not france.any()
        assert ((problem.lat_deg[fold.database] > 20) == ~france[0]).all()
