"""Somebody else's encoder, held to what is asked of one: shapes, finite vectors, the order of rows."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from data.modality import MODALITIES
from data.sample import InputError, Sample, SampleSpec

from .batch import check_samples, largest_grid
from .checkpoint import CheckpointError, WeightsInfo
from .embed import EmbeddingBatch

SAME = 0.99  # least cosine of a sample's vectors in two batches
PARTS = ("info", "spec", "embed")
FACTS = ("name", "digest", "dimension", "trained", "licence")


class ForeignEncoder:
    """Wraps an object with `info`, `spec` and `embed`; vectors leave with norm 1.

    Raises:
        CheckpointError: it lacks one of them, or they are not what they should be.
    """

    def __init__(self, inner: Any, named: str) -> None:
        missing = [part for part in PARTS if not hasattr(inner, part)]
        if missing:
            raise CheckpointError(
                f"{named} is a {type(inner).__name__} without {', '.join(missing)}; expected an encoder with "
                "`info`, `spec` and `embed(samples, dense)` (docs/encoders.md)"
            )
        self.inner, self.named = inner, named
        self.info: WeightsInfo = inner.info
        self.spec: SampleSpec = inner.spec
        self.device: object = getattr(inner, "device", "cpu")
        self._ordered = False
        self._check_facts()

    def _check_facts(self) -> None:
        lacking = [fact for fact in FACTS if not hasattr(self.info, fact)]
        if lacking:
            raise CheckpointError(
                f"{self.named}: its `info` has no {', '.join(lacking)}; expected a WeightsInfo"
            )
        strange = sorted(set(self.spec.px_per_cell) - set(MODALITIES))
        if strange or not self.spec.px_per_cell:
            raise CheckpointError(
                f"{self.named} asks for the sensors {sorted(self.spec.px_per_cell)}; "
                f"expected some of {', '.join(MODALITIES)}"
            )

    def embed(self, samples: Sequence[Sample], dense: bool = False) -> EmbeddingBatch:
        """Embeddings in the samples' order.

        Raises:
            InputError: samples that do not fit `spec`, no dense map where one is asked for, or vectors of
                another number, dimension or order, or that are not finite.
        """
        check_samples(samples, self.spec.px_per_cell)
        made: EmbeddingBatch = self.inner.embed(samples, dense=dense)
        vectors = self._unit(made.embedding, len(samples), "embedding", absent=False)
        self._check_order(samples, vectors)
        absent = np.full_like(vectors, np.nan)
        alone = {
            name: self._unit(made.by_modality.get(name, absent), len(samples), name, absent=True)
            for name in MODALITIES
        }
        if dense:
            self._check_dense(made.dense, samples)
        return replace(made, embedding=vectors, by_modality=alone)

    def _unit(self, vectors: np.ndarray, count: int, what: str, *, absent: bool) -> np.ndarray:
        """The vectors at norm 1; NaN rows may stay where a sensor may be absent."""
        vectors = np.asarray(vectors, dtype=np.float32)
        expected = (count, self.info.dimension)
        if vectors.shape != expected:
            raise InputError(f"{self.named} gave {what} of shape {vectors.shape}; expected {expected}")
        gone = np.isnan(vectors).all(axis=1) if absent else np.zeros(count, dtype=bool)
        norm = np.linalg.norm(vectors, axis=1, keepdims=True)
        bad = np.flatnonzero(~gone & ~(np.isfinite(vectors).all(axis=1) & (norm[:, 0] > 0)))
        if len(bad):
            raise InputError(
                f"{self.named} gave {what} that is not finite or is zero for {len(bad)} of {count} samples, "
                f"first number {bad[0]}; expected finite vectors"
            )
        return np.asarray(vectors / norm)

    def _check_order(self, samples: Sequence[Sample], vectors: np.ndarray) -> None:
        """Once: the last sample alone has the vector that it had in its batch."""
        if self._ordered or len(samples) < 2:
            return
        alone = self._unit(
            self.inner.embed(samples[-1:], dense=False).embedding, 1, "embedding", absent=False
        )
        if float(alone[0] @ vectors[-1]) < SAME:
            raise InputError(
                f"{self.named} gives {samples[-1].sample_id} another vector in a batch than alone (cosine "
                f"{float(alone[0] @ vectors[-1]):.3f}); expected rows in the samples' order"
            )
        self._ordered = True

    def _check_dense(self, dense: np.ndarray | None, samples: Sequence[Sample]) -> None:
        if dense is None:
            raise InputError(
                f"{self.named} has no dense map: leave --granularity out, or choose another encoder"
            )
        h, w = largest_grid(samples)
        if dense.ndim != 4 or dense.shape[0] != len(samples) or dense.shape[2:] != (h, w):
            raise InputError(
                f"{self.named} gave a dense map {dense.shape}; expected {(len(samples), 'd', h, w)}"
            )


class ForeignTextEncoder(ForeignEncoder):
    """One that also knows words."""

    def embed_text(self, texts: Sequence[str]) -> np.ndarray:
        """(n, d) float32 of norm 1. Raises InputError for vectors that are not what was promised."""
        return self._unit(self.inner.embed_text(texts), len(texts), "text", absent=False)


def foreign_encoder(inner: Any, named: str) -> ForeignEncoder:
    """Somebody else's encoder, with a text side where it has one. Raises CheckpointError for what is none."""
    return (ForeignTextEncoder if hasattr(inner, "embed_text") else ForeignEncoder)(inner, named)
