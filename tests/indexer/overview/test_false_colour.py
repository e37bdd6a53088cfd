"""Colours of vectors: what differs most is red, then green, then blue; short vectors have colours, too."""

import numpy as np
import pytest

from indexer.overview.false_colour import FalseColour
from indexer.table.columns import unit


def test_the_three_greatest_differences_are_red_green_and_blue() -> None:
    rng = np.random.default_rng(0)
    spread = rng.uniform(-1, 1, (500, 3)) * (3, 2, 1)
    vectors = np.c_[np.full(500, 50.0), spread[:, 1], spread[:, 0], spread[:, 2]].astype(np.float32)
    colours = FalseColour.of(vectors).colours(vectors).astype(float)
    for channel in range(3):
        assert np.corrcoef(colours[:, channel], spread[:, channel])[0, 1] > 0.99
        assert colours[:, channel].min() == 0
        assert colours[:, channel].max() == 255


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_short_and_equal_vectors_have_colours(dimension: int) -> None:
    rows = unit(np.random.default_rng(0).normal(size=(40, dimension))).astype(np.float32)
    assert FalseColour.of(rows).colours(rows).shape == (40, 3)
    same = np.repeat(rows[:1], 40, axis=0)
    assert len(np.unique(FalseColour.of(same).colours(same), axis=0)) == 1
