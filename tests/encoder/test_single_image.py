"""A function of single images becomes an encoder: windows, dates and cells end where they belong."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from data.modality import MODALITIES
from data.sample import Sample
from encoder.single_image import IMAGES, Shown, SingleImageEncoder

from ..tolerance import gamma
from .conftest import sample_of

PX, CELLS = 4, 2  # of a cell, and along a window


def block_means(s2: torch.Tensor, shown: list[Shown]) -> torch.Tensor:
    """(B, 10, 8, 8) -> (B, 11, 2, 2): each cell's mean, and its date."""
    assert s2.shape[1:] == (10, PX * CELLS, PX * CELLS)
    assert len(s2) == len(shown) <= IMAGES
    day = torch.tensor([one.day_of_year for one in shown])[:, None, None, None].expand(-1, 1, CELLS, CELLS)
    return torch.cat([F.avg_pool2d(s2, PX), day], dim=1)


@pytest.fixture
def encoder() -> SingleImageEncoder:
    return SingleImageEncoder(
        "tests/means", block_means, dimension=11, licence="CC0-1.0", window_px=PX * CELLS, cells=CELLS
    )


def masked(one: Sample, valid: np.ndarray) -> Sample:
    """Not valid where `valid` (T, H, W) is False; the pixels there are what no mean should hold."""
    s2 = one.series["s2"]
    pixels = np.where(valid[:, None], s2.pixels, 60_000).astype(np.uint16)
    return replace(one, series={"s2": replace(s2, pixels=pixels, valid=valid)})


def test_a_cell_is_the_mean_of_its_valid_dates_whatever_window_it_is_in(encoder: SingleImageEncoder) -> None:
    """5 x 3 cells are 3 x 2 windows; the first date is missing in a cell, and in a quarter of another."""
    one = sample_of(1, {"s2": 4}, (5, 3), {"s2": PX})
    valid = np.ones((4, 5 * PX, 3 * PX), dtype=bool)
    valid[0, :PX, :PX] = False
    valid[0, -2:, -2:] = False
    one = masked(one, valid)
    dense = encoder.embed([one, sample_of(2, {"s2": 1}, (2, 4), {"s2": PX})], dense=True).dense
    assert dense is not None
    assert dense.shape == (2, 11, 5, 4)
    assert np.isnan(dense[0, :, :, 3:]).all()
    assert np.isnan(dense[1, :, 2:]).all()
    series = one.series["s2"]
    mean = np.array(MODALITIES["s2"].mean)[:, None, None]
    shown = np.where(series.valid[:, None], series.pixels, mean)  # (4, 10, 20, 12)
    cells = shown.reshape(4, 10, 5, PX, 3, PX).mean(axis=(3, 5))
    days = np.broadcast_to(series.day_of_year[:, None, None, None], (4, 1, 5, 3))
    each = np.concatenate([cells, days], axis=1)
    expected = each.mean(axis=0)
    expected[:, 0, 0] = each[1:, :, 0, 0].mean(axis=0)
    np.testing.assert_allclose(dense[0, :, :, :3], expected, rtol=gamma(PX * PX + 4 + 2))


def test_a_sample_without_a_cell_that_is_half_valid_keeps_what_it_has(encoder: SingleImageEncoder) -> None:
    one = sample_of(3, {"s2": 2}, (2, 2), {"s2": PX})
    valid = np.zeros((2, 2 * PX, 2 * PX), dtype=bool)
    valid[1, 0, 0] = True
    made = encoder.embed([masked(one, valid)], dense=True)
    assert made.dense is not None
    assert np.isfinite(made.dense[0]).all(axis=0).tolist() == [[True, False], [False, False]]
    assert made.dense[0, 10, 0, 0] == one.series["s2"].day_of_year[1]
    np.testing.assert_allclose(np.linalg.norm(made.embedding.astype(float)), 1, rtol=gamma(11 + 3))
