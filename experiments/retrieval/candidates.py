"""Ours, the untrained encoders and timed baselines, as candidates of a table."""

import time
from collections.abc import Callable, Sequence

import numpy as np

from data.sphere import on_sphere

from .embedding import Embedded
from .sheet import Candidate, Pair

FLOAT16_BYTES, INT16_BYTES, FLOAT32_BYTES = 2, 2, 4


def encoder_candidate(name: str, embedded: Sequence[Embedded]) -> Candidate[np.ndarray]:
    """Fused vectors of one encoder, or of several that differ by their seed."""
    vectors = tuple(e.fused for e in embedded)
    return Candidate(
        _named(name, len(vectors)), vectors, FLOAT16_BYTES * vectors[0].shape[1], embedded[0].ms_per_item
    )


def untrained_candidates(embedded: Sequence[Embedded]) -> list[Candidate[np.ndarray]]:
    """The untrained encoders as one candidate; none where nothing is known of the state before training."""
    return [encoder_candidate("untrained encoder", embedded)] if embedded else []


def encoder_pairs(
    ours: Embedded, untrained: Sequence[Embedded], one: str, other: str
) -> tuple[Candidate[Pair], ...]:
    """Vectors of two sensors, by ours and by the untrained encoders, where there are some."""

    def of(name: str, embedded: Sequence[Embedded]) -> Candidate[Pair]:
        pairs = tuple((e.by_modality[one], e.by_modality[other]) for e in embedded)
        size = FLOAT16_BYTES * pairs[0][0].shape[1]
        return Candidate(_named(name, len(pairs)), pairs, size, embedded[0].ms_per_item)

    return (of("ours", [ours]), *((of("untrained encoder", untrained),) if untrained else ()))


def timed(name: str, bytes_per_value: int, make: Callable[[], np.ndarray]) -> Candidate[np.ndarray]:
    """A baseline's vectors (n, d), and how long they took."""
    started = time.perf_counter()
    vectors = make()
    ms = 1000 * (time.perf_counter() - started) / len(vectors)
    return Candidate(name, (vectors.astype(np.float32),), bytes_per_value * vectors.shape[1], ms)


def position_alone(lon_deg: np.ndarray, lat_deg: np.ndarray) -> list[Candidate[np.ndarray]]:
    """Where items lie as a candidate of its own; none where the place of one is not known."""
    if not np.isfinite(lon_deg).all():
        return []
    return [timed("lon/lat alone", FLOAT32_BYTES, lambda: on_sphere(lon_deg, lat_deg))]


def _named(name: str, seeds: int) -> str:
    return name if seeds == 1 else f"{name} ({seeds} seeds)"
