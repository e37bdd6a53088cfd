"""Baselines of samples that are images, and their pictures."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from data.modality import MODALITIES
from data.sample import Sample

from . import baselines
from .candidates import FLOAT32_BYTES, INT16_BYTES, timed
from .protocols import standardised
from .sheet import Candidate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RCF_SIDE = (3, 3)
RAW_SIDE, CCA_SIDE = 16, 4  # px: images are averaged down to these
SHOWN = {"hr": ([0, 1, 2], 0, 255), "s2": ([2, 1, 0], 0, 3000), "s1": ([0], -25, 0)}  # bands, black, white


def composites(samples: Sequence[Sample], modality: str, px_per_cell: Mapping[str, int]) -> np.ndarray:
    """Means over the valid dates: (n, H, W, C) float32, NaN where there is none. Samples share one grid."""
    h, w = (cells * px_per_cell[modality] for cells in samples[0].grid_shape)
    out = np.full((len(samples), h, w, len(MODALITIES[modality].bands)), np.nan, dtype=np.float32)
    for i, sample in enumerate(samples):
        if series := sample.series.get(modality):
            count = series.valid.sum(axis=0)  # (H, W)
            total = np.where(series.valid[:, None], series.pixels, 0).sum(
                axis=0, dtype=np.float64
            )  # (C, H, W)
            out[i] = np.where(count > 0, total / np.maximum(count, 1), np.nan).transpose(1, 2, 0)
    return out


def image_baselines(
    samples: Sequence[Sample], px_per_cell: Mapping[str, int], fit_on: np.ndarray, seed: int
) -> list[Candidate[np.ndarray]]:
    """Statistics, raw pixels and RCF of all modalities side by side, fitted on rows without their labels."""
    every = (composites(samples, modality, px_per_cell) for modality in px_per_cell)
    images = [image for image in every if np.isfinite(image).any()]

    def joined(parts: list[np.ndarray]) -> np.ndarray:
        return standardised(np.concatenate(parts, axis=1), fit_on)

    def convolved(whitened: bool) -> np.ndarray:
        rcf = partial(
            baselines.random_convolutions, side=RCF_SIDE, fit_on=fit_on, whitened=whitened, seed=seed
        )
        return joined([rcf(image) for image in images])

    def measured() -> np.ndarray:
        return joined([baselines.statistics(image) for image in images])

    rgb = [sample.series["hr"].pixels[0] for sample in samples if "hr" in sample.series]

    def of_colour(measure: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        return np.stack([measure(image) for image in rgb])

    colours = len(rgb) == len(samples) and [
        timed("colour histogram", FLOAT32_BYTES, lambda: of_colour(baselines.colour_histogram)),
        timed("colour moments", FLOAT32_BYTES, lambda: joined([of_colour(baselines.colour_moments)])),
    ]
    return [
        *(colours or ()),
        timed("statistics of pixels", FLOAT32_BYTES, measured),
        timed("raw pixels", INT16_BYTES, lambda: joined([shrunk(i, RAW_SIDE) for i in images])),
        timed("RCF, Gaussian", FLOAT32_BYTES, lambda: convolved(False)),
        timed("RCF, whitened patches", FLOAT32_BYTES, lambda: convolved(True)),
    ]


def shrunk(images: np.ndarray, side: int) -> np.ndarray:
    """Pixels as features, averaged to at most `side` x `side`: (n, H, W, C) -> (n, h * w * C)."""
    n, height, width, bands = images.shape
    by = -(-max(height, width) // side)
    h, w = height // by, width // by
    blocks = images[:, : h * by, : w * by].reshape(n, h, by, w, by, bands)
    return np.asarray(blocks.mean(axis=(2, 4)).reshape(n, -1))


def raw_and_statistics(
    samples: Sequence[Sample], modality: str, px_per_cell: Mapping[str, int], fit_on: np.ndarray
) -> np.ndarray:
    """One modality's pixels and statistics, standardised: what CCA sees."""
    image = composites(samples, modality, px_per_cell)
    both = [shrunk(image, CCA_SIDE), baselines.statistics(image)]
    return standardised(np.concatenate(both, axis=1), fit_on)


def draw_sample(samples: Sequence[Sample], axes: "Axes", row: int) -> None:
    """The best picture there is: aerial, else Sentinel-2 in natural colours, else VV."""
    axes.imshow(picture(samples[row]), interpolation="nearest", vmin=0, vmax=1, cmap="gray")


def picture(sample: Sample) -> np.ndarray:
    """(H, W, 3) or (H, W) float in 0-1, of the date with most valid pixels."""
    name = next(modality for modality in MODALITIES if modality in sample.series)
    series, (bands, black, white) = sample.series[name], SHOWN[name]
    best = series.pixels[series.valid.mean(axis=(1, 2)).argmax()].astype(np.float32)  # (C, H, W)
    shown = np.nan_to_num(np.clip((best[bands] - black) / (white - black), 0, 1)).transpose(1, 2, 0)
    return np.asarray(shown[..., 0] if len(bands) == 1 else shown)
