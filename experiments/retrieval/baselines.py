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
RCF_IMAGES = 400  # that bands are standardised and whitening is learned from, at most
RCF_PATCHES = 20_000  # windows that whitening is learned from
RCF_POSITIONS = 64  # of a filter along each side, at most
RCF_WINDOWS = 100_000  # at a time: bounds memory
ROWS = 256  # at a time: bounds memory
RIDGES = (0.01, 0.1, 1.0, 10.0)
LEAST_VARIANCE = 1e-12  # of a sensor that always shows the same
CCA_DIMENSIONS = (4, 8, 16, 32)


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
        widest = max(CCA_DIMENSIONS)
        fits = {ridge: cls.fit(x[~held], y[~held], ridge, widest) for ridge in RIDGES}
        best = max(
            ((ridge, k) for ridge in RIDGES for k in CCA_DIMENSIONS),
            key=lambda dial: fits[dial[0]].first(dial[1]).mean_reciprocal_rank(x[held], y[held]),
        )
        return cls.fit(x, y, *best)

    def first(self, k: int) -> "CCA":
        """The k directions that agree most."""
        return CCA(self.x_axes[:, :k], self.y_axes[:, :k])

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
    return np.asarray((axes / np.sqrt(np.maximum(values, LEAST_VARIANCE))) @ axes.T)


def raw_series(values: np.ndarray, fit_on: np.ndarray) -> np.ndarray:
    """Every step and band as a feature, standardised on `fit_on`, missing = mean: (n, T, C) -> (n, T * C)."""
    return standardised(values.reshape(len(values), -1), fit_on)
