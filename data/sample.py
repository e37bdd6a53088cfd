"""The typed value that crosses from raster to encoder: everything known of one place in one period."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

ANY_TIME = (datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))  # of what has no date


class InputError(ValueError):
    """Imagery, a catalog or an area that cannot be used; says what came, what was expected, what to do."""


@dataclass(frozen=True)
class SampleSpec:
    """The pixel grid that a model asks for. All modalities share one grid of squares.

    The defaults are nano's: a window of 8 x 8 grid squares of 80 m, hence 640 m, 64 px at 10 m and 256 px at
    2.5 m. The fields keep the names that weights and chunk keys store: there `cell` is a grid square.
    """

    cell_m: float = 80.0  # side of one grid square, metres
    window_cells: int = 8  # the window's side in grid squares, at most
    px_per_cell: Mapping[str, int] = field(default_factory=lambda: {"hr": 32, "s2": 8, "s1": 8})
    max_dates: Mapping[str, int] = field(default_factory=lambda: {"hr": 1, "s2": 8, "s1": 4})
    s2_levels: tuple[str, ...] = ("L2A",)  # processing levels the weights were made for

    def gsd_m(self, modality: str) -> float:
        """Pixel size of a modality's grid, metres."""
        return self.cell_m / self.px_per_cell[modality]


@dataclass(frozen=True)
class Imagery:
    """Where pixels came from: under which terms, and how their units were decided."""

    collection: str
    provider: str  # the row of dialects.py that its items were read by
    licence: str  # SPDX identifier, "other", or what the item says
    attribution: tuple[str, ...] = ()
    decided: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImageSeries:
    """All dates of one modality of one sample, on the sample's grid, in order of time.

    H = grid_h * px_per_cell and W = grid_w * px_per_cell, so series of all modalities cover one window.
    """

    pixels: np.ndarray  # (T, C, H, W) in the modality's dtype and unit; meaningless where not valid
    valid: np.ndarray  # (T, H, W) bool: neither nodata nor cloud nor padding
    day_of_year: np.ndarray  # (T,) int16, 1-366; 0 = unknown
    source_items: tuple[str, ...]  # (T,) href of the raster each date was read from


@dataclass(frozen=True)
class Sample:
    """One place in one period.

    The window is a grid of squares in `crs`; row 0 is north. A modality that is absent has no key in
    `series`; what was there but could not be used, a modality or some of its dates, is named in `dropped`.
    """

    sample_id: str  # stable id of the place; tiles of a large chip are `place#row_col`
    h3_cell: int  # H3 cell of the footprint's centre at the table's resolution, below 2**63
    lon_deg: float  # footprint's centre
    lat_deg: float
    start: datetime  # UTC, the period [start, end)
    end: datetime
    footprint: tuple[tuple[float, float], ...]  # closed counter-clockwise ring of lon/lat; may pass +-180
    crs: str  # "EPSG:32632"
    origin_m: tuple[float, float]  # x, y of the window's upper left corner in `crs`
    grid_shape: tuple[int, int]  # (grid_h, grid_w) in grid squares
    series: Mapping[str, ImageSeries]  # by modality name
    valid_fraction: float  # share of pixels, over modalities and dates, that are valid; padding not counted
    cloud_fraction: float  # share of cloud over the optical dates used; NaN = unknown
    dropped: tuple[tuple[str, str], ...] = ()  # (modality, reason)
    notes: tuple[tuple[str, str], ...] = ()  # (modality, what was decided of its units from its values)
    imagery: tuple[Imagery, ...] = ()  # of all scenes that were read

    @property
    def source_items(self) -> tuple[str, ...]:
        """Hrefs of every raster that was read, by modality and date."""
        return tuple(href for series in self.series.values() for href in series.source_items)
