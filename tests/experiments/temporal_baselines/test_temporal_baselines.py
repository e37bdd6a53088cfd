"""The baselines have their papers' sizes, see dates, hide what is not valid, go on where they stopped."""

from pathlib import Path

import numpy as np
import pytest
import torch

from encoder.training.supervised import Budget
from experiments.retrieval.series_sets import SensorRules
from experiments.temporal_baselines import series_data
from experiments.temporal_baselines.__main__ import compare
from experiments.temporal_baselines.factorised import Factorised
from experiments.temporal_baselines.series_data import SeriesData
from experiments.temporal_baselines.train import MODELS, counts_of, make_model, parameters, train
from experiments.temporal_baselines.tsvit import TSViT
from experiments.temporal_baselines.unet3d import UNet3D

STEPS = {"factorised": 100, "TSViT": 100, "UNet3D": 60}  # that a planted season takes


def planted(n: int = 48, side: int = 4, dates: int = 4, seed: int = 0) -> SeriesData:
    """Two classes that differ by the date on which one band is high; twelve places, four of them asked."""
    rng = np.random.default_rng(seed)
    codes = torch.from_numpy(rng.integers(0, 2, (n, side, side)))
    pixels = torch.from_numpy(rng.normal(0, 0.3, (n, dates, 10, side, side)).astype(np.float32))
    for date in range(2):
        pixels[:, date, 0] += 3.0 * (codes == date)
    day = torch.tensor([20, 110, 200, 290])[:dates].expand(n, dates)
    place = np.array([f"p{i % 12}" for i in range(n)])
    valid = torch.ones(n, dates, side, side, dtype=torch.bool)
    return SeriesData(
        "planted", ("a", "b"), pixels, valid, day, codes, place, np.isin(place, ["p0", "p1", "p2", "p3"])
    )


def test_sizes_are_the_published_ones() -> None:
    assert parameters(UNet3D(10, 20)) == pytest.approx(1.554e6, rel=1e-3)  # arXiv 2107.07933, table 1
    assert parameters(UNet3D(10, 19, features=16)) == pytest.approx(
        6.2e6, rel=0.01
    )  # arXiv 2301.04944, table 4
    assert parameters(TSViT(10, 19)) == pytest.approx(1.7e6, rel=0.03)
    assert parameters(Factorised(10, 19)) < 0.5 * parameters(UNet3D(10, 19))


@pytest.mark.parametrize("name", MODELS)
def test_scores_have_a_class_for_each_pixel_at_any_number_of_dates(name: str) -> None:
    for dates in (3, 4):
        data = planted(8, dates=dates)
        model = make_model(name, data, 0).eval()
        assert model(data.pixels, data.valid, data.day_of_year).shape == (8, 2, 4, 4)
    one = planted(4, side=1)
    assert make_model(name, one, 0).eval()(one.pixels, one.valid, one.day_of_year).shape == (4, 2, 1, 1)


@pytest.mark.parametrize("name", ["factorised", "TSViT"])
def test_a_date_that_is_not_valid_is_not_seen(name: str) -> None:
    data = planted(3)
    model = make_model(name, data, 0).eval()
    valid = data.valid.clone()
    valid[:, 2] = False
    hidden = torch.where(valid[:, :, None], data.pixels, torch.zeros(()))
    other = data.day_of_year.clone()
    other[:, 2] = 5
    torch.testing.assert_close(
        model(hidden, valid, data.day_of_year), model(hidden, valid, other), atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("name", ["factorised", "TSViT"])
def test_the_date_is_seen(name: str) -> None:
    data = planted(3)
    model = make_model(name, data, 0).eval()
    shown = model(data.pixels, data.valid, data.day_of_year)
    moved = model(data.pixels, data.valid, (data.day_of_year + 150) % 365)
    assert (shown - moved).abs().max() > 1e-4


@pytest.mark.parametrize("name", MODELS)
def test_a_planted_season_is_learned_and_a_stopped_run_goes_on(name: str, tmp_path: Path) -> None:
    data, path = planted(side=1), tmp_path / "run.pt"
    train(name, data, 0, Budget(steps=10), path)
    assert torch.load(path, weights_only=True)["step"] == 10
    model = train(name, data, 0, Budget(steps=STEPS[name]), path)
    counts = counts_of(model, data).sum(axis=0)
    assert np.trace(counts) / counts.sum() > 0.8
    again = train(name, data, 0, Budget(steps=STEPS[name]), path)  # nothing left to do
    assert torch.load(path, weights_only=True)["step"] == STEPS[name]
    np.testing.assert_array_equal(counts_of(again, data).sum(axis=0), counts)


def test_the_comparison_names_sizes_budget_and_intervals(tmp_path: Path) -> None:
    sheet = compare(planted(), Budget(steps=3), 1, tmp_path)
    assert [row.name.split()[0] for row in sheet.rows] == list(MODELS)
    assert "parameters" in sheet.rows[0].name
    assert "3 steps a run" in sheet.problem.notes[0]
    assert len(set(sheet.problem.query_block.tolist())) == 4


def test_the_simulated_places_show_crops_whose_truth_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series_data, "PLACES", 3)
    monkeypatch.setattr(series_data, "SIDE_M", 640.0)
    catalog = series_data.simulated_places(tmp_path)
    data = series_data.patch_data(catalog, 16, SensorRules.parse(["B8A=B08"], True))
    assert data.pixels.shape[1:] == (series_data.DATES, 10, 16, 16)
    assert len(set(data.place)) == 3
    assert len(set(data.place[data.asked])) == 1
    assert {"winter cereal", "town", "broadleaf forest"} <= set(data.classes)
