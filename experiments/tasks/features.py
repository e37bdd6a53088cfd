"""What frozen encoders and the baselines make of samples: a vector of the whole, and one of each square.

n samples of one grid of h x w squares, F numbers.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from data.modality import MODALITIES
from data.sample import InputError, Sample
from encoder.protocol import AnyEncoder

from ..retrieval import baselines
from ..retrieval.candidates import FLOAT16_BYTES, FLOAT32_BYTES
from ..retrieval.image_features import RCF_SIDE, composites, shrunk
from ..retrieval.options import Encoders
from ..retrieval.protocols import standardised

AT_A_TIME = 64  # samples: bounds memory
MONTHS = 12
RAW_SIDE = 4  # px along a square, at most


@dataclass(frozen=True)
class Features:
    """One maker's view of n samples."""

    pooled: np.ndarray  # (n, F) float32
    dense: np.ndarray  # (n, h, w, F) float32


@dataclass(frozen=True)
class Source:
    """A candidate of every table: one maker, or several that differ by their seed."""

    name: str
    makers: tuple[Callable[[], Features], ...]
    bytes_per_value: int


def sources_of(
    samples: Sequence[Sample], encoders: Encoders, fit_on: np.ndarray, seed: int
) -> tuple[Source, ...]:
    """Ours first. Baselines are fitted on the samples `fit_on`, without their labels.

    Args:
        samples: (n,) on one grid.
        fit_on: positions.
    """
    px_per_cell = encoders.spec.px_per_cell
    untrained = tuple(partial(encoded, of, samples) for of in encoders.frozen[1:])
    named = f"untrained encoder ({len(untrained)} seeds)" if len(untrained) > 1 else "untrained encoder"
    makers: dict[str, CellMaker] = {
        "statistics of pixels": square_statistics,
        "raw pixels": raw_squares,
        "RCF, Gaussian": partial(square_convolutions, whitened=False, seed=seed),
        "RCF, whitened patches": partial(square_convolutions, whitened=True, seed=seed),
    }
    return (
        Source("ours", (partial(encoded, encoders.frozen[0], samples),), FLOAT16_BYTES),
        *((Source(named, untrained, FLOAT16_BYTES),) if untrained else ()),
        *(
            Source(name, (partial(_of_cells, make, samples, px_per_cell, fit_on),), FLOAT32_BYTES)
            for name, make in makers.items()
        ),
    )


def timed(maker: Callable[[], Features]) -> tuple[Features, float]:
    """What it makes, and milliseconds a sample."""
    started = time.perf_counter()
    made = maker()
    return made, 1000 * (time.perf_counter() - started) / max(len(made.pooled), 1)


def encoded(encoder: AnyEncoder, samples: Sequence[Sample]) -> Features:
    """The embedding and the dense map; squares without data are zero."""
    pooled, dense = [], []
    for start in range(0, len(samples), AT_A_TIME):
        made = encoder.embed(samples[start : start + AT_A_TIME], dense=True)
        if made.dense is None:
            raise InputError(f"{encoder.info.name} gives no dense map; tasks with masks and boxes need one.")
        pooled.append(made.embedding)
        dense.append(np.nan_to_num(made.dense).transpose(0, 2, 3, 1))
    return Features(np.concatenate(pooled), np.concatenate(dense))


# N squares: pixels (N, px, px, C), means by month (N, months, C), rows to fit on -> (N, F)
CellMaker = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def _of_cells(
    make: CellMaker, samples: Sequence[Sample], px_per_cell: Mapping[str, int], fit_on: np.ndarray
) -> Features:
    """A baseline of each square, standardised; the whole is the mean of those with data."""
    h, w = samples[0].grid_shape
    rows = (fit_on[:, None] * (h * w) + np.arange(h * w)).ravel()
    parts = []
    for name, px in px_per_cell.items():
        image = composites(samples, name, px_per_cell)
        if np.isfinite(image).any():
            squares = image.reshape(len(samples), h, px, w, px, -1).swapaxes(2, 3)
            pixels = squares.reshape(-1, px, px, image.shape[-1])
            parts.append(make(pixels, monthly(samples, name, px), rows))
    flat = np.concatenate(parts, axis=1)
    dense = standardised(flat, rows).astype(np.float32).reshape(len(samples), h, w, -1)
    seen = with_data(samples, px_per_cell)[..., None]
    return Features((dense * seen).sum(axis=(1, 2)) / np.maximum(seen.sum(axis=(1, 2)), 1), dense)


def with_data(samples: Sequence[Sample], px_per_cell: Mapping[str, int]) -> np.ndarray:
    """Cells with a valid pixel of any sensor: (n, h, w) float32."""
    h, w = samples[0].grid_shape
    seen = np.zeros((len(samples), h, w), dtype=np.float32)
    for i, sample in enumerate(samples):
        for name, series in sample.series.items():
            px = px_per_cell[name]
            seen[i] = np.maximum(seen[i], series.valid.any(axis=0).reshape(h, px, w, px).any(axis=(1, 3)))
    return seen


def monthly(samples: Sequence[Sample], name: str, px: int) -> np.ndarray:
    """Means of squares by month: (n * h * w, 12, C), NaN where none; one date alone: (n * h * w, 1, C)."""
    h, w = samples[0].grid_shape
    bands = len(MODALITIES[name].bands)
    months = MONTHS if any(len(s.series[name].valid) > 1 for s in samples if name in s.series) else 1
    total = np.zeros((len(samples), months, bands, h, w))
    count = np.zeros((len(samples), months, 1, h, w))
    for i, sample in enumerate(samples):
        if series := sample.series.get(name):
            squares = (len(series.valid), -1, h, px, w, px)
            seen = np.where(series.valid[:, None], series.pixels, 0).reshape(squares).sum(axis=(3, 5))
            many = series.valid.reshape(squares).sum(axis=(3, 5))
            month = np.clip((series.day_of_year.astype(int) - 1) // 31, 0, months - 1)
            np.add.at(total[i], month, seen)
            np.add.at(count[i], month, many)
    mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return np.asarray(mean.transpose(0, 3, 4, 1, 2).reshape(-1, months, bands).astype(np.float32))


def square_statistics(squares: np.ndarray, months: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Mean, deviation, maximum and minimum over a square's pixels and, of series, over its months."""
    over_pixels = baselines.statistics(squares)
    if months.shape[1] == 1:
        return over_pixels
    return np.concatenate([over_pixels, baselines.statistics(months)], axis=1)


def raw_squares(squares: np.ndarray, months: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The pixels averaged to 4 x 4; of series every month's mean."""
    if months.shape[1] > 1:
        return months.reshape(len(months), -1)
    return shrunk(squares, RAW_SIDE)


def square_convolutions(
    squares: np.ndarray, months: np.ndarray, rows: np.ndarray, *, whitened: bool, seed: int
) -> np.ndarray:
    """RCF of the pixels of a square; of series also along its months."""
    convolved = partial(baselines.random_convolutions, fit_on=rows, whitened=whitened, seed=seed)
    over_pixels = convolved(squares, RCF_SIDE)
    if months.shape[1] == 1:
        return over_pixels
    series = months[:, :, None]  # (N, T, 1, C)
    return np.concatenate([over_pixels, convolved(series, (3, 1))], axis=1)
