"""Random fields with a given spatial structure, and moving them between grids."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]  # (H, W)


def filtered_noise(rng: np.random.Generator, size_px: int, gain: Callable[[Field], Field]) -> Field:
    """White noise through a filter: (size_px, size_px), mean 0, variance 1, periodic.

    `gain` takes the spatial frequency in cycles per pixel.
    """
    white = rng.standard_normal((size_px, size_px), dtype=np.float32)
    frequency = np.hypot(np.fft.fftfreq(size_px)[:, None], np.fft.rfftfreq(size_px)[None, :])
    spectrum = np.fft.rfft2(white) * gain(frequency.astype(np.float32))
    spectrum[0, 0] = 0
    noise: Field = np.fft.irfft2(spectrum, s=white.shape).astype(np.float32)
    noise /= noise.std()
    return noise


def fractal_noise(rng: np.random.Generator, size_px: int, scale_px: float, slope: float = 2.0) -> Field:
    """Clouds, hills, soils: power falls with frequency beyond 1 / scale_px."""
    return filtered_noise(rng, size_px, lambda f: (1 + (f * scale_px) ** 2) ** np.float32(-slope / 2))


def grain_noise(rng: np.random.Generator, size_px: int, period_px: float, width: float = 0.35) -> Field:
    """Tree crowns and the like: blobs of one size, period_px apart."""
    return filtered_noise(rng, size_px, lambda f: np.exp(-(((f * period_px - 1) / width) ** 2)))


def enlarge(field: Field, factor: int, rows: slice) -> Field:
    """Rows of the field (h, w) on a grid `factor` times finer, bilinear: (len(rows), w * factor)."""
    position = [np.clip((np.arange(n * factor) + 0.5) / factor - 0.5, 0, n - 1) for n in field.shape]
    (y, x), (h, w) = (position[0][rows], position[1]), field.shape
    top, left = np.minimum(y.astype(int), h - 2), np.minimum(x.astype(int), w - 2)
    down, right = (y - top).astype(np.float32)[:, None], (x - left).astype(np.float32)
    lines = field[top] * (1 - down) + field[top + 1] * down
    enlarged: Field = lines[:, left] * (1 - right) + lines[:, left + 1] * right
    return enlarged


def blur(field: Field, side: float) -> Field:
    """Mix each pixel with its four neighbours' lines, kernel (side, 1 - 2 side, side), periodic.

    Works on (H, W, ...).
    """
    for axis in (0, 1):
        neighbours = np.roll(field, 1, axis) + np.roll(field, -1, axis)
        field = field * np.float32(1 - 2 * side) + neighbours * np.float32(side)
    return field


def block_mean(image: Field, factor: int) -> Field:
    """Means over squares of factor x factor pixels: (H, W, ...) -> (H / factor, W / factor, ...)."""
    h, w = (n // factor for n in image.shape[:2])
    means: Field = image.reshape(h, factor, w, factor, *image.shape[2:]).mean(axis=(1, 3))
    return means
