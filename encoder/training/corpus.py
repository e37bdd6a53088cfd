"""What pre-training draws from: sources of samples, mixed by weight, each step made from its number alone."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import h3
import numpy as np

from data.pixel_series import PixelSeries
from data.sample import ANY_TIME, ImageSeries, InputError, Sample
from data.sphere import on_sphere

from ..batch import Batch, collate
from .augment import AugmentConfig, two_views

H3_RESOLUTION = 12
CANDIDATES = 4  # drawn for each sample of a step whose places lie near one another


@dataclass(frozen=True)
class Source:
    """Samples of one kind, and how a step takes them."""

    name: str
    samples: Sequence[Sample]
    share: float = 1.0  # of the steps, relative to the other sources
    batch_size: int = 64  # samples of a step, over all processes
    window_cells: tuple[int, int] = (1, 8)  # side of the crops: drawn once per step between these
    dates: Mapping[str, tuple[int, int]] = field(
        default_factory=lambda: {"hr": (1, 1), "s2": (2, 8), "s1": (1, 4)}
    )
    h3_cells: Sequence[int] = ()  # of the samples; none where positions play no part
    same_window: bool = True  # both views crop alike; else cells do not correspond, and images are compared
    near: float = 0.0  # share of its steps whose places lie near one another: negatives of one region

    def rows(self, rng: np.random.Generator) -> np.ndarray:
        """Which samples a step takes: any, or of CANDIDATES times as many those nearest to one of them."""
        shuffled = rng.permutation(len(self.samples))
        if not self.near or rng.random() >= self.near:
            return shuffled[: self.batch_size]
        drawn = shuffled[: CANDIDATES * self.batch_size]
        chord = np.linalg.norm(self._on_the_globe[drawn] - self._on_the_globe[drawn[0]], axis=1)
        return np.asarray(drawn[np.argsort(chord, kind="stable")[: self.batch_size]])

    @cached_property
    def _on_the_globe(self) -> np.ndarray:
        """(n, 3) unit vectors of the samples' cells."""
        lat, lon = np.array([h3.cell_to_latlng(h3.int_to_str(cell)) for cell in self.h3_cells]).T
        return on_sphere(lon, lat)


@dataclass(frozen=True)
class Step:
    """What one step of training looks at."""

    source: str
    first: Batch
    second: Batch
    same_window: bool
    row: np.ndarray  # (B,) which samples of the source


class PixelSamples(Sequence[Sample]):
    """A PixelSeries as samples: each place a constant patch of one grid cell."""

    def __init__(self, series: PixelSeries, px_per_cell: Mapping[str, int]) -> None:
        self.px_per_cell = px_per_cell
        self.series = series.take(np.asarray(series.s2_valid.any(axis=1) | series.s1_valid.any(axis=1)))
        places = zip(self.series.lat_deg, self.series.lon_deg, strict=True)
        self.cells = [_cell(lat, lon) for lat, lon in places]

    def __len__(self) -> int:
        return len(self.series)

    def __getitem__(self, i: Any) -> Any:
        """The sample of one place; slices are not taken."""
        s = self.series
        parts = {
            name: self._constant(name, values[i], valid[i], s.day_of_year[i])
            for name, values, valid in (("s2", s.s2, s.s2_valid), ("s1", s.s1, s.s1_valid))
            if valid[i].any()
        }
        return Sample(
            sample_id=str(s.id[i]), h3_cell=self.cells[i], lon_deg=float(s.lon_deg[i]),
            lat_deg=float(s.lat_deg[i]), start=ANY_TIME[0], end=ANY_TIME[1], footprint=(), crs="OGC:CRS84",
            origin_m=(0.0, 0.0), grid_shape=(1, 1), series=parts, valid_fraction=1.0,
            cloud_fraction=float("nan"),
        )  # fmt: skip

    def _constant(self, name: str, values: np.ndarray, valid: np.ndarray, days: np.ndarray) -> ImageSeries:
        """values (T, C), valid (T,) -> images of the valid dates."""
        px = self.px_per_cell[name]
        shown = values[valid]
        return ImageSeries(
            pixels=np.broadcast_to(shown[:, :, None, None], (*shown.shape, px, px)),
            valid=np.ones((len(shown), px, px), dtype=bool),
            day_of_year=days[valid],
            source_items=("",) * len(shown),
        )


def _cell(lat_deg: float, lon_deg: float) -> int:
    """The H3 cell of a place; 0, which is none, where the position is not known."""
    known = math.isfinite(lat_deg) and math.isfinite(lon_deg)
    return h3.str_to_int(h3.latlng_to_cell(lat_deg, lon_deg, H3_RESOLUTION)) if known else 0


@dataclass(frozen=True)
class Corpus:
    """All sources, with the grid of the model that is trained.

    Step n is made from `seed` and n alone, so that a resumed run sees what an unbroken one would have; with
    several processes each makes its own rows of the same step.
    """

    sources: tuple[Source, ...]
    px_per_cell: Mapping[str, int]
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    seed: int = 0
    skipped: tuple[str, ...] = ()  # what could not be read, each with its reason

    def __post_init__(self) -> None:
        empty = [source.name for source in self.sources if not len(source.samples)]
        if empty or not self.sources:
            raise InputError(
                f"no samples to train on in {', '.join(empty) or 'an empty corpus'}: check paths and split"
            )

    @property
    def h3_cells(self) -> np.ndarray:
        """(n,) int64 cells of all sources."""
        return np.array([cell for source in self.sources for cell in source.h3_cells], dtype=np.int64)

    def step(self, number: int, rank: int = 0, world: int = 1) -> Step:
        """The rows of step `number` that process `rank` of `world` works on."""
        rng = np.random.default_rng((self.seed, number))
        shares = np.array([source.share for source in self.sources])
        source = self.sources[rng.choice(len(shares), p=shares / shares.sum())]
        rows = source.rows(rng)
        low, high = source.window_cells
        window = int(rng.integers(low, high + 1))
        dates = {name: int(rng.integers(a, b + 1)) for name, (a, b) in source.dates.items()}
        mine = rows[rank::world]
        pairs = [
            two_views(
                source.samples[int(row)], np.random.default_rng((self.seed, number, int(row))), self.augment,
                window_cells=window, max_dates=dates, same_window=source.same_window,
            )
            for row in mine
        ]  # fmt: skip
        shape = (window, window)
        first, second = (collate([pair[i] for pair in pairs], self.px_per_cell, shape) for i in range(2))
        return Step(source.name, first, second, source.same_window, mine)
