"""What an embedding has to beat: statistics, the raw series, random convolutions, CCA, a position.

Features carry NaN where nothing was seen; `protocols.standardised` sets those to the mean.
"""

from dataclasses import dataclass

import numpy as np

from .blocks import hold_out
from .metrics import partner_rank
from .neighbours import unit
from .protocols import masked_moments, standardised

RCF_FILTERS = 256  # each gives two features: 512
RCF_BIAS = 1.0
RCF_PATCHES = 20_000  # windows that the whitening is learned from, at most
RIDGES = (0.01, 0.1, 1.0, 10.0)
CCA_DIMENSIONS = (4, 8, 16, 32)


def statistics(values: np.ndarray) -> np.ndarray:
    """Mean, deviation, maximum and minimum of each band: (n, ..., C) with NaN -> (n, 4C)."""
    flat = values.reshape(len(values), -1, values.shape[-1]).astype(np.float64)  # (n, pixels or steps, C)
    seen = np.isfinite(flat)
    count = seen.sum(axis=1)
    some = count > 0
    mean = np.where(seen, flat, 0).sum(axis=1) / np.maximum(count, 1)
    deviation = np.sqrt((np.where(seen, flat - mean[:, None], 0) ** 2).sum(axis=1) / np.maximum(count, 1))
    high = np.where(seen, flat, -np.inf).max(axis=1)
    low = np.where(seen, flat, np.inf).min(axis=1)
    parts = [np.where(some, part, np.nan) for part in (mean, deviation, high, low)]
    return np.concatenate(parts, axis=1)


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
    mean, std = masked_moments(images[fit_on].reshape(-1, c))
    scaled = np.nan_to_num((images - mean) / np.where(std > 0, std, 1)).astype(np.float32)
    side = (min(side[0], h), min(side[1], w))
    filters = _whitened_filters(scaled[fit_on], side, rng) if whitened else _gaussian(side, c, rng)
    out = np.empty((n, 2 * len(filters[0].T)), dtype=np.float32)
    for start in range(0, n, 256):
        windows = _windows(scaled[start : start + 256], side)  # (b, positions, kh * kw * C)
        response = windows @ filters[0] - filters[1]
        both = [np.maximum(sign * response - RCF_BIAS, 0).mean(axis=1) for sign in (1, -1)]
        out[start : start + 256] = np.concatenate(both, axis=1)
    return out


def _windows(images: np.ndarray, side: tuple[int, int]) -> np.ndarray:
    """(b, H, W, C) -> (b, positions, kh * kw * C)."""
    view = np.lib.stride_tricks.sliding_window_view(images, side, axis=(1, 2))  # (b, y, x, C, kh, kw)
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
    few = images[rng.choice(len(images), size=min(len(images), 400), replace=False)]
    windows = _windows(few, side)
    windows = windows.reshape(-1, windows.shape[2])
    windows = windows[rng.choice(len(windows), size=min(len(windows), RCF_PATCHES), replace=False)]
    mean = windows.mean(axis=0)
    values, axes = np.linalg.eigh(np.cov((windows - mean).T) + 0.1 * np.eye(windows.shape[1]))
    whiten = (axes / np.sqrt(values)) @ axes.T  # symmetric: ZCA
    picked = windows[rng.choice(len(windows), size=RCF_FILTERS)]
    filters = whiten @ unit((picked - mean) @ whiten).T
    return filters.astype(np.float32), (mean @ filters).astype(np.float32)


def position(lon_deg: np.ndarray, lat_deg: np.ndarray) -> np.ndarray:
    """Points on the unit sphere, (n, 3): what a set gives away by where it lies."""
    lon, lat = np.radians(lon_deg), np.radians(lat_deg)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)


@dataclass(frozen=True)
class CCA:
    """Regularised canonical correlation between two raw sensors."""

    x_axes: np.ndarray  # (dx, k)
    y_axes: np.ndarray  # (dy, k)

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray, ridge: float, k: int) -> "CCA":
        """x (n, dx), y (n, dy) standardised pairs; `ridge` is relative to the mean variance."""
        x_white, y_white = _whitener(x, ridge), _whitener(y, ridge)
        u, s, vt = np.linalg.svd(x_white @ (x.T @ y / len(x)) @ y_white, full_matrices=False)
        k = min(k, len(s))
        weight = np.sqrt(s[:k])  # directions that agree more count more
        return cls(x_white @ u[:, :k] * weight, y_white @ vt[:k].T * weight)

    @classmethod
    def chosen(cls, x: np.ndarray, y: np.ndarray, block: np.ndarray) -> "CCA":
        """Ridge and dimension of the best mean reciprocal rank on held-out blocks, then fitted on all."""
        held = hold_out(block, 0.3)
        if not held.any():
            return cls.fit(x, y, 1.0, 16)
        best = max(
            ((ridge, k) for ridge in RIDGES for k in CCA_DIMENSIONS),
            key=lambda dial: cls.fit(x[~held], y[~held], *dial).mean_reciprocal_rank(x[held], y[held]),
        )
        return cls.fit(x, y, *best)

    def project(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both sensors in the common space, (n, k) each."""
        return x @ self.x_axes, y @ self.y_axes

    def mean_reciprocal_rank(self, x: np.ndarray, y: np.ndarray) -> float:
        """Of the true partners, both ways."""
        a, b = (unit(part) for part in self.project(x, y))
        similarity = a @ b.T
        return float(np.mean([(1 / partner_rank(s)).mean() for s in (similarity, similarity.T)]))


def _whitener(x: np.ndarray, ridge: float) -> np.ndarray:
    covariance = x.T @ x / len(x)
    floor = ridge * float(np.trace(covariance)) / len(covariance)
    values, axes = np.linalg.eigh(covariance + floor * np.eye(len(covariance)))
    return np.asarray((axes / np.sqrt(values)) @ axes.T)


def raw_series(values: np.ndarray, fit_on: np.ndarray) -> np.ndarray:
    """Every step and band as a feature, standardised on `fit_on`, missing = mean: (n, T, C) -> (n, T * C)."""
    return standardised(values.reshape(len(values), -1), fit_on)
