"""Samples -> one batch of tensors: normalised, padded to one window and to one number of dates, masked."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from data.modality import MODALITIES, Modality
from data.sample import ImageSeries, InputError, Sample

Shape = tuple[int, int]


@dataclass(frozen=True)
class SeriesBatch:
    """One modality of a batch. B samples, T dates at most, C bands, H x W pixels."""

    pixels: Tensor  # (B, T, C, H, W) float32, standardised; 0 where not valid
    valid: Tensor | None  # (B, T, H, W) bool; None = all
    day_of_year: Tensor  # (B, T) int64, 0 = unknown


@dataclass(frozen=True)
class Batch:
    """Samples that go through the model together."""

    series: Mapping[str, SeriesBatch]  # by modality; one that no sample has is left out
    h3_cell: Tensor  # (B,) int64

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device; copies from pinned memory do not wait."""
        series = {
            name: SeriesBatch(
                s.pixels.to(device, non_blocking=True),
                None if s.valid is None else s.valid.to(device, non_blocking=True),
                s.day_of_year.to(device, non_blocking=True),
            )
            for name, s in self.series.items()
        }
        return Batch(series, self.h3_cell.to(device, non_blocking=True))

    def pin_memory(self) -> "Batch":
        """The batch in page-locked memory."""
        series = {
            name: SeriesBatch(
                s.pixels.pin_memory(),
                None if s.valid is None else s.valid.pin_memory(),
                s.day_of_year.pin_memory(),
            )
            for name, s in self.series.items()
        }
        return Batch(series, self.h3_cell.pin_memory())


def collate(samples: Sequence[Sample], px_per_cell: Mapping[str, int], grid_shape: Shape) -> Batch:
    """Samples that `check_sample` passed -> a Batch whose windows are `grid_shape` cells.

    Smaller windows are padded at the right and bottom. A modality without a valid pixel is left out.
    """
    series = {}
    for name, px in px_per_cell.items():
        present = [usable_series(sample, name) for sample in samples]
        if any(present):
            series[name] = _stack(present, MODALITIES[name], (grid_shape[0] * px, grid_shape[1] * px))
    cells = np.array([sample.h3_cell for sample in samples], dtype=np.int64)
    return Batch(series, torch.from_numpy(cells))


def usable_series(sample: Sample, modality: str) -> ImageSeries | None:
    """A sample's series of a modality, None when it is absent or wholly masked."""
    series = sample.series.get(modality)
    return series if series is not None and series.valid.any() else None


def _stack(present: Sequence[ImageSeries | None], modality: Modality, shape: Shape) -> SeriesBatch:
    dates = max(len(s.valid) for s in present if s is not None)
    pixels = np.zeros((len(present), dates, len(modality.bands), *shape), dtype=np.float32)
    valid = np.zeros((len(present), dates, *shape), dtype=bool)
    day_of_year = np.zeros((len(present), dates), dtype=np.int64)
    mean, std = (np.array(v, np.float32)[:, None, None] for v in (modality.mean, modality.std))  # (C, 1, 1)
    for i, series in enumerate(present):
        if series is None:
            continue
        t, h, w = series.valid.shape
        np.divide(series.pixels - mean, std, out=pixels[i, :t, :, :h, :w], where=series.valid[:, None])
        valid[i, :t, :h, :w] = series.valid
        day_of_year[i, :t] = series.day_of_year
    return SeriesBatch(
        torch.from_numpy(pixels),
        None if valid.all() else torch.from_numpy(valid),
        torch.from_numpy(day_of_year),
    )


def check_samples(samples: Sequence[Sample], px_per_cell: Mapping[str, int]) -> None:
    """Raises InputError where there is no sample, or one that `check_sample` refuses."""
    if not samples:
        raise InputError("no samples: embed takes at least one")
    for sample in samples:
        check_sample(sample, px_per_cell)


def check_sample(sample: Sample, px_per_cell: Mapping[str, int]) -> None:
    """Raises InputError where a sample is not what a model with these pixels per cell takes."""
    where = f"sample {sample.sample_id!r}"
    for name, series in sample.series.items():
        if name not in px_per_cell:
            raise InputError(f"{where} has modality {name!r}: this model takes {', '.join(px_per_cell)}")
        _check_series(series, MODALITIES[name], sample.grid_shape, px_per_cell[name], f"{where}, {name}")
    if not any(series.valid.any() for series in sample.series.values()):
        raise InputError(f"{where} has no valid pixel in any modality: leave it out")


def _check_series(series: ImageSeries, modality: Modality, grid: Shape, px: int, where: str) -> None:
    pixels, valid, days = series.pixels, series.valid, series.day_of_year
    expected = (len(valid), len(modality.bands), grid[0] * px, grid[1] * px)
    if not len(valid) or pixels.shape != expected:
        raise InputError(
            f"{where}: pixels of shape {pixels.shape}, expected (T >= 1, {', '.join(map(str, expected[1:]))})"
            f" for bands {' '.join(modality.bands)} on a grid of {grid[0]}x{grid[1]} cells of {px} px"
        )
    if pixels.dtype != np.dtype(modality.dtype):
        raise InputError(f"{where}: pixels are {pixels.dtype}, expected {modality.dtype} ({modality.unit})")
    if valid.dtype != np.bool_ or valid.shape != (expected[0], *expected[2:]):
        raise InputError(
            f"{where}: valid is {valid.dtype} of shape {valid.shape},"
            f" expected bool of shape {(expected[0], *expected[2:])}"
        )
    if days.shape != (len(valid),) or not np.issubdtype(days.dtype, np.integer):
        raise InputError(f"{where}: day_of_year is {days.dtype} {days.shape}, expected {len(valid)} integers")
    if days.min() < 0 or days.max() > 366:
        raise InputError(f"{where}: day_of_year {days.tolist()}, expected 1-366, or 0 where unknown")
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all(axis=1)[valid].all():
        raise InputError(f"{where}: pixels that are marked valid are NaN or infinite, mark them as not valid")


def largest_grid(samples: Sequence[Sample]) -> Shape:
    """The grid that holds each sample's, in cells."""
    return max(s.grid_shape[0] for s in samples), max(s.grid_shape[1] for s in samples)


def window_shape(sample: Sample, window_cells: int, multiple: int) -> Shape:
    """The canonical window of a sample in cells: the model's, or the sample's own where that is larger.

    Sides are multiples of `multiple` cells, the width of a patch. It depends on nothing but the sample.
    """
    h, w = (max(side, window_cells) for side in sample.grid_shape)
    return h + -h % multiple, w + -w % multiple


def buckets(
    samples: Sequence[Sample],
    shapes: Sequence[Shape],
    modalities: Iterable[str],
    size: int,
    waste: float,
) -> list[list[int]]:
    """Indices of samples in batches of one window, of at most `size` samples and `waste` padded dates."""
    names = tuple(modalities)
    dates = [tuple(_date_count(sample, name) for name in names) for sample in samples]
    groups: list[list[int]] = []
    for i in sorted(range(len(samples)), key=lambda i: (shapes[i], dates[i])):
        group = groups[-1] if groups else []
        fits = group and shapes[group[0]] == shapes[i] and len(group) < size
        if fits and _padding([dates[j] for j in (*group, i)]) <= waste:
            group.append(i)
        else:
            groups.append([i])
    return groups


def _date_count(sample: Sample, modality: str) -> int:
    series = usable_series(sample, modality)
    return 0 if series is None else len(series.valid)


def _padding(dates: Sequence[tuple[int, ...]]) -> float:
    """Share of empty date slots when samples with these numbers of dates by modality are stacked."""
    slots: int = len(dates) * sum(max(column) for column in zip(*dates, strict=True))
    return 1 - sum(map(sum, dates)) / slots
