"""Steps are made from their number; processes share them out; series become constant patches."""

from dataclasses import replace

import h3
import numpy as np
import pytest
import torch

from data.pixel_series import PixelSeries
from data.sample import InputError
from encoder.training.corpus import Corpus, PixelSamples, Source

from ..tiny import MODEL, corpus, sample


def series() -> PixelSeries:
    valid = np.array([[True, False, True], [False, False, False], [True, True, True]])
    return PixelSeries(
        id=np.array(["a", "b", "c"]),
        lon_deg=np.array([10.0, 11, 12]),
        lat_deg=np.array([50.0, 51, 52]),
        block=np.array(["x", "x", "y"]),
        split=np.array(["train"] * 3),
        day_of_year=np.tile(np.array([5, 100, 200], dtype=np.int16), (3, 1)),
        s2=np.arange(90, dtype=np.uint16).reshape(3, 3, 10),
        s2_valid=valid,
        s1=np.full((3, 3, 2), -12.0, dtype=np.float32),
        s1_valid=np.array([[False] * 3, [False] * 3, [True, False, False]]),
    )


def test_a_step_is_made_from_its_number() -> None:
    one, again, other = (corpus().step(number) for number in (7, 7, 8))
    assert torch.equal(one.first.series["s2"].pixels, again.first.series["s2"].pixels)
    assert one.row.tolist() == again.row.tolist()
    assert one.row.tolist() != other.row.tolist()


def test_processes_share_out_the_rows_of_a_step() -> None:
    whole = corpus().step(3)
    halves = [corpus().step(3, rank, 2) for rank in range(2)]
    assert np.stack([half.row for half in halves], axis=1).ravel().tolist() == whole.row.tolist()
    for rank, half in enumerate(halves):
        assert torch.equal(half.second.series["s1"].pixels, whole.second.series["s1"].pixels[rank::2])


def test_both_views_have_the_same_shape() -> None:
    for number in range(10):
        step = corpus().step(number)
        for name, first in step.first.series.items():
            assert first.pixels.shape == step.second.series[name].pixels.shape


def test_shares_decide_how_often_a_source_is_taken() -> None:
    few = [sample(0), sample(1)]
    mixed = Corpus((Source("often", few, 3.0), Source("seldom", few, 1.0)), MODEL.px_per_cell)
    names = [mixed.step(number).source for number in range(100)]
    assert 60 < names.count("often") < 90


def test_an_empty_source_is_refused() -> None:
    with pytest.raises(InputError, match="no samples to train on in nothing"):
        Corpus((Source("nothing", []),), MODEL.px_per_cell)
    with pytest.raises(InputError, match="an empty corpus"):
        Corpus((), MODEL.px_per_cell)


def test_series_become_constant_patches_of_their_valid_dates() -> None:
    samples = PixelSamples(series(), {"s2": 8, "s1": 8})
    assert len(samples) == 2  # the place without any valid date is left out
    first, second = samples[0], samples[1]
    assert first.series.keys() == {"s2"}
    assert first.series["s2"].day_of_year.tolist() == [5, 200]
    assert first.series["s2"].pixels.shape == (2, 10, 8, 8)
    assert (first.series["s2"].pixels[1] == np.arange(20, 30)[:, None, None]).all()
    assert second.series.keys() == {"s2", "s1"}
    assert len(second.series["s1"].valid) == 1
    assert first.grid_shape == (1, 1)


def test_another_seed_gives_other_steps() -> None:
    rows = [replace(corpus(places=40), seed=seed).step(0).row.tolist() for seed in (0, 1)]
    assert rows[0] != rows[1]


def test_a_place_without_a_position_has_no_cell() -> None:
    lost = replace(series(), lon_deg=np.array([np.nan, 11, 12]))
    first, second = PixelSamples(lost, {"s2": 8, "s1": 8})
    assert (first.h3_cell, np.isnan(first.lon_deg)) == (0, True)
    assert second.h3_cell > 0


def test_places_of_a_step_lie_near_one_another_where_that_is_asked() -> None:
    lonlat = np.random.default_rng(0).uniform(-60, 60, size=(400, 2))
    cells = [h3.str_to_int(h3.latlng_to_cell(lat, lon, 12)) for lon, lat in lonlat]
    some = [sample(0)] * len(cells)
    far, near = (
        Source("all", some, batch_size=16, h3_cells=cells, near=share).rows(np.random.default_rng(3))
        for share in (0.0, 1.0)
    )
    assert far[0] == near[0], "the place that the others lie near is the first that is drawn"
    assert len(set(near)) == len(near) == 16
    reach = [np.linalg.norm(lonlat[rows] - lonlat[rows[0]], axis=1).max() for rows in (far, near)]
    assert reach[1] < 60 < reach[0]
