"""An encoder of single images of one sensor out of a function: what most published encoders need to join.

Dates are embedded one by one and averaged, cell by cell, over those that are valid there. Samples larger than
the window are cut into windows, smaller ones padded; pixels that are not valid take the band's mean.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from data.modality import MODALITIES
from data.sample import ImageSeries, Sample, SampleSpec

from .batch import check_samples, largest_grid
from .checkpoint import WeightsInfo
from .embed import EmbeddingBatch
from .skysense import cell_validity

IMAGES = 16  # at a time: bounds memory
LEAST_VALID = 0.5  # of a cell's pixels, for its date to count


@dataclass(frozen=True)
class Shown:
    """What is known of an image besides its pixels."""

    day_of_year: int  # 0 = unknown
    lon_deg: float  # of the sample; NaN = unknown
    lat_deg: float


# (B, C, H, W) float32 in the sensor's unit, with one Shown each -> (B, d, h, w)
OfImages = Callable[[Tensor, Sequence[Shown]], Tensor]


class SingleImageEncoder:
    """One sensor's dates, one by one.

    Args:
        name: of the encoder and its weights.
        of_images: the model, from pixels in this project's bands, order and unit to a map of vectors.
        dimension: d.
        licence: of the weights.
        sensor: "hr", "s2" or "s1".
        window_px: side of the images that it gets.
        cells: side of its map, in cells, of one window.
        gsd_m: pixel size that it was made for.
        max_dates: of a sample, at most.
        digest: SHA-256 of the weights where it is known; else of the name.
    """

    def __init__(
        self,
        name: str,
        of_images: OfImages,
        *,
        dimension: int,
        licence: str,
        sensor: str = "s2",
        window_px: int = 256,
        cells: int = 16,
        gsd_m: float = 10.0,
        max_dates: int = 8,
        digest: str = "",
    ) -> None:
        assert window_px % cells == 0, (window_px, cells)
        px = window_px // cells
        self.of_images, self.sensor, self.window_px, self.cells = of_images, sensor, window_px, cells
        self.spec = SampleSpec(gsd_m * px, cells, {sensor: px}, {sensor: max_dates})
        told = digest or hashlib.sha256(name.encode()).hexdigest()
        self.info = WeightsInfo(name, told, dimension, True, licence, {})
        self.device = "cpu"

    def embed(self, samples: Sequence[Sample], dense: bool = False) -> EmbeddingBatch:
        """Embeds samples, each on its own terms. Raises InputError for samples that do not fit `spec`."""
        check_samples(samples, self.spec.px_per_cell)
        maps = [self._map(sample) for sample in samples]  # (d, h, w) each
        flat = [one[:, np.isfinite(one).all(axis=0)] for one in maps]
        mean = np.stack([cells.mean(axis=1) for cells in flat])
        vectors = mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
        return EmbeddingBatch(
            vectors, None, {self.sensor: vectors}, _stacked(maps, largest_grid(samples)) if dense else None
        )

    def _map(self, sample: Sample) -> np.ndarray:
        """Mean over the dates that are valid in a cell: (d, h, w), NaN where none is."""
        series = sample.series[self.sensor]
        images, rows, cols = self._windows(series)
        shown = [Shown(int(day), sample.lon_deg, sample.lat_deg) for day in series.day_of_year]
        every = [one for one in shown for _ in range(rows * cols)]
        with torch.inference_mode():
            made = [
                F.adaptive_avg_pool2d(
                    self.of_images(images[i : i + IMAGES], every[i : i + IMAGES]).float(), self.cells
                )
                for i in range(0, len(images), IMAGES)
            ]
        whole = torch.unflatten(torch.cat(made), 0, (len(shown), rows, cols))  # (T, rows, cols, d, c, c)
        h, w = sample.grid_shape
        maps = whole.permute(0, 3, 1, 4, 2, 5).flatten(2, 3).flatten(3, 4)[:, :, :h, :w].cpu().numpy()
        valid = torch.from_numpy(series.valid)[None]
        seen = cell_validity(valid, self.spec.px_per_cell[self.sensor], LEAST_VALID)[0, :, None].numpy()
        count = seen.sum(axis=0)
        total = np.where(seen, maps, 0).sum(axis=0)
        mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
        return np.asarray(mean, dtype=np.float32)

    def _windows(self, series: ImageSeries) -> tuple[Tensor, int, int]:
        """(T * rows * cols, C, window, window) float32, and how many rows and columns of windows."""
        mean = np.array(MODALITIES[self.sensor].mean, dtype=np.float32)[:, None, None]
        filled = np.where(series.valid[:, None], series.pixels, mean).astype(np.float32)
        side = self.window_px
        rows, cols = (-(-n // side) for n in filled.shape[2:])
        whole = np.broadcast_to(mean, (*filled.shape[:2], rows * side, cols * side)).copy()
        whole[:, :, : filled.shape[2], : filled.shape[3]] = filled
        cut = torch.unflatten(torch.unflatten(torch.from_numpy(whole), 3, (cols, side)), 2, (rows, side))
        return cut.permute(0, 2, 4, 1, 3, 5).flatten(0, 2), rows, cols


def _stacked(maps: Sequence[np.ndarray], grid: tuple[int, int]) -> np.ndarray:
    """Maps of several sizes on one grid, NaN beyond each."""
    out = np.full((len(maps), maps[0].shape[0], *grid), np.nan, dtype=np.float32)
    for whole, one in zip(out, maps, strict=True):
        whole[:, : one.shape[1], : one.shape[2]] = one
    return out
