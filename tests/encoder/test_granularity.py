"""Pieces of a window."""

from collections.abc import Callable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from data.sample import Sample
from encoder.granularity import pool_pieces

from ..tolerance import rounding, unit_roundoff
from .float64 import Encoder64


@given(st.integers(0, 10_000), st.integers(1, 6), st.booleans())
def test_pieces_that_tile_the_window_add_up_to_its_mean(seed: int, pieces: int, holes: bool) -> None:
    random = np.random.default_rng(seed)
    dense = random.normal(size=(7, 4, 5)).astype(np.float32)
    if holes:
        dense[:, random.random((4, 5)) < 0.3] = np.nan
        dense[:, 0, 0] = 1
    overlap = random.dirichlet(np.ones(pieces), size=(4, 5)).transpose(2, 0, 1)  # shares of each cell
    known = np.isfinite(dense[0])
    area = (overlap * known).sum(axis=(1, 2))
    total = (np.nan_to_num(pool_pieces(dense, overlap)) * area[:, None]).sum(axis=0) / area.sum()
    mean = np.nanmean(dense.astype(float), axis=(1, 2))
    np.testing.assert_allclose(total, mean, rtol=0, atol=unit_roundoff(np.float32) * np.nanmax(np.abs(dense)))


def test_a_piece_is_the_mean_of_its_cells_and_nan_without_data() -> None:
    dense = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    dense[:, 1, 1] = np.nan
    overlap = np.zeros((3, 2, 2))
    overlap[0, 0] = 1, 3
    overlap[1, 1, 1] = 1
    overlap[2] = 1
    made = pool_pieces(dense, overlap)
    assert made[0].tolist() == [0.75, 4.75]
    assert np.isnan(made[1]).all()
    assert made[2].tolist() == [1, 5]


def test_the_whole_window_as_one_piece_is_the_embedding(make_sample: Callable[..., Sample]) -> None:
    encoder = Encoder64("nano-1")  # the others map each cell by itself
    sample = make_sample(grid=(5, 8), px_per_cell=encoder.spec.px_per_cell, dates={"s2": 1})
    made = encoder.embed([sample], dense=True)
    whole = pool_pieces(made.dense[0], np.ones((1, 5, 8)))[0]
    length = np.linalg.norm(whole.astype(float))
    moved = np.nanmax(np.abs(made.dense)) * 128**0.5 / length  # by one rounding of all 128 numbers
    atol = 2 * rounding(np.float32) * (1 + moved)  # of the map, and of its mean
    np.testing.assert_allclose(whole / length, made.embedding[0], rtol=0, atol=atol)


def test_no_pieces_have_no_means() -> None:
    assert pool_pieces(np.ones((4, 2, 3), np.float32), np.zeros((0, 2, 3))).shape == (0, 4)
