"""Batches and encoders in float64: see `tests/tolerance.py`."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from encoder.batch import Batch
from encoder.embed import Encoder
from encoder.shipped import shipped_weights
from encoder.skysense import Embeddings
from encoder.training.corpus import Corpus, Step

from ..tolerance import rounding


def in_float64(batch: Batch) -> Batch:
    """The batch with its pixels, which `collate` makes in float32, as float64."""
    series = {name: replace(s, pixels=s.pixels.double()) for name, s in batch.series.items()}
    return replace(batch, series=series)


class Encoder64(Encoder):
    """Computes in float64 and gives float32: its outputs are rounded once."""

    def __init__(self, weights: str) -> None:
        before = torch.get_default_dtype()
        if shipped_weights(weights):
            torch.set_default_dtype(torch.float32)  # that their digest is of
        super().__init__(weights, device="cpu")
        torch.set_default_dtype(before)
        self.model.double()

    def _run(self, batch: Batch) -> Embeddings:
        return super()._run(in_float64(batch))


class Corpus64(Corpus):
    """Steps whose pixels are float64."""

    def step(self, *args: Any, **settings: Any) -> Step:
        made = super().step(*args, **settings)
        return replace(made, first=in_float64(made.first), second=in_float64(made.second))


def assert_rounded_alike(found: np.ndarray, expected: np.ndarray) -> None:
    """Two float32 arrays that are roundings of one, up to what `assert_close` allows in float64."""
    np.testing.assert_allclose(found, expected, rtol=rounding(np.float32), atol=1e-7)
