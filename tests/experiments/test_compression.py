"""Smaller copies of vectors."""

import numpy as np
import pytest

from experiments.retrieval.compression import compressions
from experiments.retrieval.neighbours import unit

VECTORS = unit(np.random.default_rng(0).standard_normal((200, 128)))


@pytest.mark.parametrize(
    ("name", "size", "error"),
    [("float16", 256, 1e-3), ("int8", 128, 0.01), ("binary", 16, 0.7), ("first 64, float16", 128, 0.7)],
)
def test_bytes_and_error_of_cosines(name: str, size: float, error: float) -> None:
    shrink, found = compressions(128)[name]
    assert found == size
    small = unit(shrink(VECTORS, np.arange(200)))
    assert np.abs(small @ small.T - VECTORS @ VECTORS.T).max() < error


def test_binary_is_one_bit_about_the_mean() -> None:
    shrink, _ = compressions(2)["binary"]
    vectors = np.array([[1.0, 5.0], [3.0, 6.0], [2.5, 9.0]])
    assert shrink(vectors, np.arange(2)).tolist() == [[-1, -1], [1, 1], [1, 1]]


def test_no_vector_is_cut_longer_than_it_is() -> None:
    assert list(compressions(32)) == ["float16", "int8", "binary", "first 16, float16"]
