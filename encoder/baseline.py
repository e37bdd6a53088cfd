"""Encoders without weights: statistics of pixels, and random convolutions. Useful before anything is trained.

Both see every sensor that a sample has. The vector is the sensors' parts side by side, zero where one is
absent; bands are standardised by the constants of data/modality.py, so a vector never depends on the batch.
"""

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from data.modality import MODALITIES
from data.sample import ImageSeries, Sample, SampleSpec

from .batch import check_samples, largest_grid
from .checkpoint import OUR_LICENCE, WeightsInfo
from .embed import EmbeddingBatch

FILTERS = 64  # of each sensor; each gives two numbers, for both signs
SIDE = 3  # px of a filter
BIAS = 1.0
SEED = 0
CellNumbers = Callable[[str, np.ndarray, int], np.ndarray]  # sensor, (C, H, W), px of a cell -> (h, w, F)
Maps = dict[str, np.ndarray]  # sensor -> (h, w, F) of each cell, NaN where nothing is valid


class BaselineEncoder:
    """Numbers of each cell of the grid; the embedding is their mean over cells."""

    device = "cpu"

    def __init__(self, name: str, widths: dict[str, int], of_cells: CellNumbers) -> None:
        self.spec = SampleSpec(max_dates={"hr": 1, "s2": 64, "s1": 64})
        self.of_cells = of_cells
        self.start = dict(zip(widths, np.cumsum([0, *widths.values()]).tolist(), strict=False))
        self.widths = widths
        digest = hashlib.sha256(f"skyhex {name} 1 {widths} {SEED}".encode()).hexdigest()
        self.info = WeightsInfo(f"skyhex/{name}", digest, sum(widths.values()), False, OUR_LICENCE, {})

    def embed(self, samples: Sequence[Sample], dense: bool = False) -> EmbeddingBatch:
        """Embeds samples, each on its own terms. Raises InputError for samples that do not fit `spec`."""
        check_samples(samples, self.spec.px_per_cell)
        maps = [self._maps(sample) for sample in samples]
        alone = {name: np.stack([self._pooled(one, (name,)) for one in maps]) for name in MODALITIES}
        return EmbeddingBatch(
            embedding=np.stack([self._pooled(one, tuple(one)) for one in maps]),
            embedding_geo=None,
            by_modality=alone,
            dense=self._dense(maps, samples) if dense else None,
        )

    def _maps(self, sample: Sample) -> Maps:
        """Numbers of each cell by sensor, of the mean over the valid dates."""
        out = {}
        for name, series in sample.series.items():
            if series.valid.any():
                image = _standard(name, series)  # (C, H, W), NaN where not valid
                px = self.spec.px_per_cell[name]
                out[name] = self.of_cells(name, image, px)
        return out

    def _pooled(self, maps: Maps, names: tuple[str, ...]) -> np.ndarray:
        """Mean over the cells seen, norm 1: (d,); NaN where none of the sensors is there."""
        vector = np.zeros(self.info.dimension, dtype=np.float32)
        for name in (name for name in names if name in maps):
            cells = maps[name].reshape(-1, self.widths[name])
            seen = np.isfinite(cells).all(axis=1)
            if seen.any():  # a sensor may be there with nothing that is valid
                at = self.start[name]
                vector[at : at + self.widths[name]] = cells[seen].mean(axis=0)
        norm = float(np.linalg.norm(vector))
        return np.asarray(vector / norm) if norm > 0 else np.full_like(vector, np.nan)

    def _dense(self, maps: Sequence[Maps], samples: Sequence[Sample]) -> np.ndarray:
        out = np.full((len(samples), self.info.dimension, *largest_grid(samples)), np.nan, dtype=np.float32)
        for one, by_name in zip(out, maps, strict=True):
            for name, cells in by_name.items():
                rows, cols = cells.shape[:2]
                seen = np.isfinite(cells).all(axis=2)
                part = one[:, :rows, :cols]
                part[:, seen] = np.nan_to_num(part[:, seen])  # other sensors' parts are zero, not unknown
                at = self.start[name]
                part[at : at + self.widths[name], seen] = cells[seen].T
        return out


def _standard(name: str, series: ImageSeries) -> np.ndarray:
    """Mean over valid dates, standardised: (C, H, W) float32, NaN where no date is valid."""
    modality = MODALITIES[name]
    count = series.valid.sum(axis=0)
    total = np.where(series.valid[:, None], series.pixels, 0).sum(axis=0, dtype=np.float64)
    mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    centre, spread = (np.array(v)[:, None, None] for v in (modality.mean, modality.std))
    return np.asarray((mean - centre) / spread, dtype=np.float32)


def _cells(image: np.ndarray, px: int) -> np.ndarray:
    """(C, H, W) -> (h, w, C, px * px)."""
    c, height, width = image.shape
    cut = image.reshape(c, height // px, px, width // px, px)
    return cut.transpose(1, 3, 0, 2, 4).reshape(height // px, width // px, c, px * px)


def _statistics(name: str, image: np.ndarray, px: int) -> np.ndarray:
    """Mean, deviation, maximum and minimum of each band over a cell's valid pixels: (h, w, 4C)."""
    cells = _cells(image, px)
    seen = np.isfinite(cells)
    count = seen.sum(axis=3)
    some = count > 0
    total = np.where(seen, cells, 0).sum(axis=3)
    mean = np.divide(total, count, out=np.zeros(total.shape, np.float32), where=some)
    square = np.where(seen, (cells - mean[..., None]) ** 2, 0).sum(axis=3)
    deviation = np.sqrt(np.divide(square, count, out=np.zeros(total.shape, np.float32), where=some))
    high, low = np.where(seen, cells, -np.inf).max(axis=3), np.where(seen, cells, np.inf).min(axis=3)
    parts = [np.where(some, part, np.nan) for part in (mean, deviation, high, low)]
    return np.concatenate(parts, axis=2).astype(np.float32)


def _filters(name: str) -> Tensor:
    """(FILTERS, C, SIDE, SIDE) of unit expected response, the same on every machine."""
    bands = len(MODALITIES[name].bands)
    stream = np.random.RandomState(SEED + list(MODALITIES).index(name))
    size = SIDE * SIDE * bands
    drawn = stream.randn(FILTERS, bands, SIDE, SIDE) / np.sqrt(size)
    return torch.from_numpy(drawn.astype(np.float32))


def _convolved(name: str, image: np.ndarray, px: int) -> np.ndarray:
    """ReLU of both signs of each filter, averaged over a cell's valid pixels: (h, w, 2 * FILTERS)."""
    valid = torch.from_numpy(np.isfinite(image).all(axis=0).astype(np.float32))[None, None]
    shown = torch.from_numpy(np.nan_to_num(image))[None]
    response = F.conv2d(shown, _filters(name), padding=SIDE // 2)
    both = torch.cat([F.relu(sign * response - BIAS) for sign in (1, -1)], dim=1) * valid
    share = F.avg_pool2d(valid, px)
    mean = torch.where(share > 0, F.avg_pool2d(both, px) / share.clamp(min=1e-6), torch.nan)
    return np.asarray(mean[0].permute(1, 2, 0).numpy())


def statistics_encoder() -> BaselineEncoder:
    """Mean, deviation, maximum and minimum of each band: 60 numbers."""
    widths = {name: 4 * len(modality.bands) for name, modality in MODALITIES.items()}
    return BaselineEncoder("statistics", widths, _statistics)


def rcf_encoder() -> BaselineEncoder:
    """Random convolutions (MOSAIKS, Rolf et al. 2021): 384 numbers."""
    return BaselineEncoder("rcf", dict.fromkeys(MODALITIES, 2 * FILTERS), _convolved)


BASELINES: dict[str, Callable[[], BaselineEncoder]] = {"statistics": statistics_encoder, "rcf": rcf_encoder}
