"""What an embedding has to beat: statistics, the raw series, random convolutions, CCA.

Features carry NaN where nothing was seen; `protocols.standardised` sets those to the mean.
"""

import numpy as np

from indexer.alignment.cca import CCA

from .blocks import hold_out
from .metrics import partner_rank
from .neighbours import unit
from .protocols import masked_moments, standardised

RCF_FILTERS = 256  # each gives two features: 512
RCF_BIAS = 1.0
RCF_IMAGES = 400  # that bands are standardised and whitening is learned from, at most
RCF_PATCHES = 20_000  # windows that whitening is learned from
RCF_POSITIONS = 64  # of a filter along each side, at most
RCF_WINDOWS = 100_000  # at a time: bounds memory
ROWS = 256  # at a time: bounds memory
RIDGES = (0.01, 0.1, 1.0, 10.0)
CCA_DIMENSIONS = (4, 8, 16, 32)
POWER = 0.25  # of the variance that an axis is divided by: half of whitening
LEAST_SHARE = 1e-6  # of the largest variance: an axis that has less is counted as this
LEAST_VARIANCE = 1e-12  # of features that never change


def statistics(values: np.ndarray) -> np.ndarray:
    """Mean, deviation, maximum and minimum of each band: (n, ..., C) with NaN -> (n, 4C)."""
    flat = values.reshape(len(values), -1, values.shape[-1])  # (n, pixels or steps, C)
    return np.concatenate([_statistics(flat[i : i + ROWS]) for i in range(0, len(flat), ROWS)])


def _statistics(flat: np.ndarray) -> np.ndarray:
    seen = np.isfinite(flat)
    count = np.maximum(seen.sum(axis=1), 1)
    mean = np.where(seen, flat, 0).sum(axis=1, dtype=np.float64) / count
    deviation = np.sqrt((np.where(seen, flat - mean[:, None], 0) ** 2).sum(axis=1) / count)
    high = np.where(seen, flat, -np.inf).max(axis=1)
    low = np.where(seen, flat, np.inf).min(axis=1)
    some = seen.any(axis=1)
    return np.concatenate([np.where(some, part, np.nan) for part in (mean, deviation, high, low)], axis=1)


def random_convolutions(
    images: np.ndarray, side: tuple[int, int], *, fit_on: np.ndarray, whitened: bool, seed: int = 0
) -> np.ndarray:
    """RCF (MOSAIKS): random filters, ReLU of both signs, mean-pooled.

    Args:
        images: (n, H, W, C), NaN where not valid; a series is (n, T, 1, C).
        side: filter's height and width, no larger than the images.
        fit_on: rows (unlabelled) that bands are standardised and filters drawn from.
        whitened: filters are ZCA-whitened windows of those rows; else Gaussian.

    Returns:
        (n, 2 * RCF_FILTERS) float32.
    """
    rng = np.random.default_rng(seed)
    n, h, w, c = images.shape
    few = images[np.sort(rng.permutation(fit_on)[:RCF_IMAGES])]
    mean, std = masked_moments(few.reshape(-1, c))
    side = (min(side[0], h), min(side[1], w))

    def scaled(part: np.ndarray) -> np.ndarray:
        return np.asarray(np.nan_to_num((part - mean) / np.where(std > 0, std, 1)), dtype=np.float32)

    filters, offset = _whitened_filters(scaled(few), side, rng) if whitened else _gaussian(side, c, rng)
    out = np.empty((n, 2 * RCF_FILTERS), dtype=np.float32)
    rows = max(1, RCF_WINDOWS // (min(h, RCF_POSITIONS) * min(w, RCF_POSITIONS)))
    for start in range(0, n, rows):
        windows = _windows(scaled(images[start : start + rows]), side)  # (b, positions, kh * kw * C)
        response = windows @ filters - offset
        both = [np.maximum(sign * response - RCF_BIAS, 0).mean(axis=1) for sign in (1, -1)]
        out[start : start + rows] = np.concatenate(both, axis=1)
    return out


def _windows(images: np.ndarray, side: tuple[int, int]) -> np.ndarray:
    """(b, H, W, C) -> (b, positions, kh * kw * C); of a large image, an even grid of positions."""
    view = np.lib.stride_tricks.sliding_window_view(images, side, axis=(1, 2))  # (b, y, x, C, kh, kw)
    y, x = (-(-n // RCF_POSITIONS) for n in view.shape[1:3])
    view = view[:, ::y, ::x]
    return view.reshape(len(images), view.shape[1] * view.shape[2], -1)


def _gaussian(side: tuple[int, int], bands: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Filters (kh * kw * C, F) of unit expected response, and offsets (F,)."""
    size = side[0] * side[1] * bands
    filters = rng.standard_normal((size, RCF_FILTERS)).astype(np.float32) / np.sqrt(size)
    return filters, np.zeros(RCF_FILTERS, dtype=np.float32)


def _whitened_filters(
    images: np.ndarray, side: tuple[int, int], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Windows of the data, whitened, as filters on whitened windows: (kh * kw * C, F), and offsets (F,)."""
    view = np.lib.stride_tricks.sliding_window_view(images, side, axis=(1, 2))  # (n, y, x, C, kh, kw)
    at = rng.integers(0, np.array(view.shape[:3])[:, None], size=(3, RCF_PATCHES))
    windows = view[tuple(at)].reshape(RCF_PATCHES, -1)
    mean = windows.mean(axis=0)
    values, axes = np.linalg.eigh(np.cov((windows - mean).T) + 0.1 * np.eye(windows.shape[1]))
    whiten = (axes / np.sqrt(values)) @ axes.T  # symmetric: ZCA
    picked = windows[rng.choice(len(windows), size=RCF_FILTERS)]
    filters = whiten @ unit((picked - mean) @ whiten).T
    return filters.astype(np.float32), (mean @ filters).astype(np.float32)


def colour_histogram(rgb: np.ndarray) -> np.ndarray:
    """Square roots of the shares of pixels (3, H, W) uint8 in 8 bins a channel and 64 joint ones: (88,)."""
    flat = rgb.reshape(3, -1).astype(int)
    alone = [np.bincount(channel // 32, minlength=8) for channel in flat]
    coarse = flat // 64
    joint = np.bincount(coarse[0] * 16 + coarse[1] * 4 + coarse[2], minlength=64)
    return np.sqrt(np.concatenate([*alone, joint]) / flat.shape[1]).astype(np.float32)


def colour_moments(rgb: np.ndarray) -> np.ndarray:
    """Mean and deviation of each channel of an image (3, H, W): (6,)."""
    flat = rgb.reshape(3, -1).astype(np.float32)
    return np.concatenate([flat.mean(axis=1), flat.std(axis=1)])


def half_whitening(
    x: np.ndarray, weight: np.ndarray, dimension: int, power: float = POWER
) -> tuple[np.ndarray, np.ndarray]:
    """Mean (D,) and the widest principal axes over variance^power (D, d), of rows (n, D) that weigh (n,)."""
    share = weight / weight.sum()
    mean = share @ x
    centred = (x - mean) * np.sqrt(share)[:, None]
    variance, axes = np.linalg.eigh(centred.T @ centred)
    variance, axes = variance[::-1][:dimension], axes[:, ::-1][:, :dimension]
    return mean, axes / np.maximum(variance, max(LEAST_SHARE * variance[0], LEAST_VARIANCE)) ** power


def half_whitened(features: np.ndarray, fit_on: np.ndarray) -> np.ndarray:
    """Features (n, D) centred, half whitened on some rows, scaled to norm 1: (n, d); d is D, or the rows."""
    rows = features[fit_on].astype(np.float64)
    mean, axes = half_whitening(rows, np.ones(len(rows)), min(rows.shape))
    return unit((features - mean) @ axes)


def chosen_cca(x: np.ndarray, y: np.ndarray, block: np.ndarray) -> CCA:
    """Ridge and dimension of the best mean reciprocal rank on held-out blocks, then fitted on all.

    x (n, dx), y (n, dy) are standardised pairs.
    """
    held = hold_out(block, 0.3)
    if not held.any():
        return CCA.fit(x, y, 1.0, 16)
    widest = max(CCA_DIMENSIONS)
    fits = {ridge: CCA.fit(x[~held], y[~held], ridge, widest) for ridge in RIDGES}
    best = max(
        ((ridge, k) for ridge in RIDGES for k in CCA_DIMENSIONS),
        key=lambda dial: mean_reciprocal_rank(fits[dial[0]].first(dial[1]), x[held], y[held]),
    )
    return CCA.fit(x, y, *best)


def mean_reciprocal_rank(cca: CCA, x: np.ndarray, y: np.ndarray) -> float:
    """Of the true partners, both ways."""
    a, b = (unit(part) for part in cca.project(x, y))
    similarity = a @ b.T
    return float(np.mean([(1 / partner_rank(s)).mean() for s in (similarity, similarity.T)]))


def raw_series(values: np.ndarray, fit_on: np.ndarray) -> np.ndarray:
    """Every step and band as a feature, standardised on `fit_on`, missing = mean: (n, T, C) -> (n, T * C)."""
    return standardised(values.reshape(len(values), -1), fit_on)
