"""What an encoder is to the rest of the project, whoever made it."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from data.sample import Sample, SampleSpec

from .checkpoint import WeightsInfo
from .embed import EmbeddingBatch


class AnyEncoder(Protocol):
    """Samples in, embeddings out."""

    @property
    def info(self) -> WeightsInfo:
        """Name, digest, dimension and licence: what a table keeps of it."""
        ...

    @property
    def spec(self) -> SampleSpec:
        """The sensors, pixel grid and dates that it asks for; bands and units: data/modality.py."""
        ...

    @property
    def device(self) -> object:
        """Where it runs, in words."""
        ...

    def embed(self, samples: Sequence[Sample], dense: bool = False) -> EmbeddingBatch:
        """Embeddings in the samples' order; `dense` is None where it has no map of its cells."""
        ...


@runtime_checkable
class TextSide(Protocol):
    """An encoder that also knows words, in the same space."""

    def embed_text(self, texts: Sequence[str]) -> np.ndarray:
        """(n, d) float32 of norm 1."""
        ...
