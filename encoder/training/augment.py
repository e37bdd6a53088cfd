"""Two views of one place: dates, crops, flips and light differ, modalities stay in register."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np

from data.sample import ImageSeries, Sample


@dataclass(frozen=True)
class AugmentConfig:
    """How views are made (all ours: the paper names the kinds, no values)."""

    date_jitter_days: int = 5  # a known date moves by up to so many days
    unknown_dates: float = 0.2  # chance that a view does not know its dates
    # Deviations of two draws, one for the date and one for the band, whose mean is a factor or a constant.
    gain_std: Mapping[str, float] | None = None  # None = the defaults below
    offset_std: Mapping[str, float] | None = None  # in the modality's unit

    def gain(self, modality: str) -> float:
        """Standard deviation of the draws of the factor."""
        return (self.gain_std or {"hr": 0.15, "s2": 0.04, "s1": 0.0})[modality]

    def offset(self, modality: str) -> float:
        """Standard deviation of the draws of the constant."""
        return (self.offset_std or {"hr": 10.0, "s2": 30.0, "s1": 0.7})[modality]


def two_views(
    sample: Sample,
    rng: np.random.Generator,
    config: AugmentConfig,
    *,
    window_cells: int,
    max_dates: Mapping[str, int],
    same_window: bool = True,
) -> tuple[Sample, Sample]:
    """Two views with the same number of dates by modality, other dates where there are enough.

    Of a modality in which the two must share a date, the second view knows no dates: else a place could be
    told from others by its dates alone.

    Args:
        sample: At most as many pixels of each modality as its grid says.
        rng: The only source of chance.
        config: What is disturbed, and how much.
        window_cells: Side of the crop in cells, at most.
        max_dates: Dates of a view by modality, at most.
        same_window: Both views crop alike, so that cells correspond; else each crops where it likes.
    """
    first = cropped(sample, rng, window_cells)
    second = first if same_window else cropped(sample, rng, window_cells)
    dates = {
        name: _date_split(s, second.series[name], rng, max_dates[name]) for name, s in first.series.items()
    }
    shared = {name for name, (a, b) in dates.items() if np.intersect1d(a, b).size}
    return (
        _view(first, {name: pair[0] for name, pair in dates.items()}, rng, config, dateless=set()),
        _view(second, {name: pair[1] for name, pair in dates.items()}, rng, config, dateless=shared),
    )


@dataclass(frozen=True)
class Window:
    """A window of whole cells, turned and mirrored: the same for all modalities, dates and labels."""

    top: int  # cells
    left: int
    shape: tuple[int, int]  # cells, before the turn
    turns: int  # quarters, anticlockwise
    mirrored: bool  # left to right, after the turn

    @classmethod
    def drawn(cls, grid_shape: tuple[int, int], rng: np.random.Generator, window_cells: int) -> "Window":
        """At random, `window_cells` along a side at most."""
        h, w = (min(side, window_cells) for side in grid_shape)
        top, left = (
            int(rng.integers(full - side + 1)) for full, side in zip(grid_shape, (h, w), strict=True)
        )
        return cls(top, left, (h, w), int(rng.integers(4)), bool(rng.integers(2)))

    def of(self, array: np.ndarray, px: int) -> np.ndarray:
        """(..., H, W) of `px` pixels along a cell -> the window, turned."""
        (h, w), top, left = self.shape, self.top, self.left
        window = array[..., top * px : (top + h) * px, left * px : (left + w) * px]
        window = np.rot90(window, self.turns, axes=(-2, -1))
        return window[..., ::-1] if self.mirrored else window

    def of_sample(self, sample: Sample) -> Sample:
        """The sample that shows the window alone."""
        series = {}
        for name, s in sample.series.items():
            px = s.valid.shape[-1] // sample.grid_shape[1]
            series[name] = replace(s, pixels=self.of(s.pixels, px), valid=self.of(s.valid, px))
        h, w = self.shape
        return replace(sample, series=series, grid_shape=(w, h) if self.turns % 2 else (h, w))


def cropped(sample: Sample, rng: np.random.Generator, window_cells: int) -> Sample:
    """A random window of whole cells, turned and mirrored."""
    return Window.drawn(sample.grid_shape, rng, window_cells).of_sample(sample)


def _date_split(
    first: ImageSeries, second: ImageSeries, rng: np.random.Generator, at_most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Dates (n,) of the first and the second view, n alike and two thirds of the usable at most.

    They are disjoint where there are 2 n usable dates.
    """
    usable = np.flatnonzero(first.valid.any(axis=(1, 2)) & second.valid.any(axis=(1, 2)))
    shuffled = rng.permutation(usable)
    n = min(at_most, len(usable) - len(usable) // 3)
    return np.sort(shuffled[:n]), np.sort(shuffled[::-1][:n])


def _view(
    sample: Sample,
    dates: Mapping[str, np.ndarray],
    rng: np.random.Generator,
    config: AugmentConfig,
    dateless: Collection[str],
) -> Sample:
    unknown = rng.random() < config.unknown_dates
    series = {}
    for name, s in sample.series.items():
        kept = dates[name]
        if not len(kept):
            continue
        series[name] = ImageSeries(
            pixels=other_light(s.pixels[kept], rng, config.gain(name), config.offset(name)),
            valid=s.valid[kept],
            day_of_year=disturbed(s.day_of_year[kept], rng, config.date_jitter_days)
            * (not unknown and name not in dateless),
            source_items=tuple(s.source_items[i] for i in kept),
        )
    return replace(sample, series=series)


def other_light(
    pixels: np.ndarray, rng: np.random.Generator, gain_std: float, offset_std: float
) -> np.ndarray:
    """(T, C, H, W) -> float32, with a factor and a constant per date, half of both shared by all bands."""
    shape = (*pixels.shape[:2], 1, 1)
    common = (pixels.shape[0], 1, 1, 1)
    gain = 1 + gain_std * (rng.standard_normal(shape) + rng.standard_normal(common)) / 2
    offset = offset_std * (rng.standard_normal(shape) + rng.standard_normal(common)) / 2
    return pixels * gain.astype(np.float32) + offset.astype(np.float32)


def disturbed(day_of_year: np.ndarray, rng: np.random.Generator, days: int) -> np.ndarray:
    """(T,) each known date moved by up to `days`, round the turn of the year; 0 stays unknown."""
    moved = (day_of_year - 1 + rng.integers(-days, days + 1, size=len(day_of_year))) % 365 + 1
    return np.where(day_of_year > 0, moved, 0)
