"""A raster of vectors: whose they are, where its pixels lie, and what a window of it holds."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..grid import PixelGrid
from .pixel_cells import LonLatBox, Window

Formula = Literal["linear", "signed-square"]

SIGNED_SQUARE_FULL = 127.5  # the code of 1
READ_PX = 1 << 20  # of a block, about; the unit of memory


@dataclass(frozen=True)
class Product:
    """What vectors are: those of two products, or of two versions or variants of one, are never compared."""

    name: str  # "alphaearth-foundations"
    version: str = ""  # "v1"; empty: not said
    variant: str = ""  # "cambridge"; empty: there is one, or it is not said
    licence: str = "other"  # SPDX identifier
    attribution: str = ""  # the sentence that the licence demands, or that the publisher asks for
    comparable_years: bool | None = (
        None  # whether the publisher says that years may be compared; None: no word
    )
    notes: tuple[str, ...] = field(default=(), compare=False)  # what a user should know

    @property
    def model(self) -> str:
        """The name under which a table keeps them."""
        return "-".join(part for part in (self.name, self.version) if part) + (
            f"/{self.variant}" if self.variant else ""
        )


@dataclass(frozen=True)
class Codes:
    """The pixels of a window as they are stored, and how to bring them back to vectors.

    "linear": code * scale + offset. "signed-square": (code / 127.5)**2 with the sign of the code.
    """

    values: NDArray[np.number]  # (d, h, w) # type: ignore[type-arg]
    valid: NDArray[np.bool_]  # (h, w) every band has data
    formula: Formula = "linear"
    scale: float | NDArray[np.float32] = 1.0  # of all, or of each pixel (h, w)
    offset: float = 0.0

    @property
    def factor(self) -> float:
        """What `terms` are still to be multiplied by."""
        return SIGNED_SQUARE_FULL**-2 if self._squares_exactly else 1.0

    @property
    def _squares_exactly(self) -> bool:
        return self.formula == "signed-square" and self.values.dtype == np.int8

    def terms(self, bands: int | slice, rows: slice) -> NDArray[np.int16] | NDArray[np.float32]:
        """A band of some rows (rows, w), or several (m, rows, w): `factor` times it is the vector.

        Exact for 8-bit squares.

        Of pixels without data it is any finite number.
        """
        values = self.values[bands, rows]
        if self._squares_exactly:
            wide = values.astype(np.int16)
            wide *= np.abs(wide)
            return wide
        real = np.where(self.valid[rows], values, 0).astype(np.float32)
        if self.formula == "signed-square":
            real /= np.float32(SIGNED_SQUARE_FULL)
            return np.asarray(real * np.abs(real))
        if isinstance(self.scale, np.ndarray):
            real *= self.scale[rows]
        elif self.scale != 1.0:
            real *= np.float32(self.scale)
        if self.offset:
            real += np.float32(self.offset)
        return real


@dataclass(frozen=True)
class VectorRaster(ABC):
    """One tile, or one zone of a store. Small and picklable: it opens its file where it is read."""

    href: str
    name: str  # what reports call it
    product: Product
    start: datetime  # UTC, the period [start, end)
    end: datetime
    grid: PixelGrid
    dimension: int
    block: tuple[int, int]  # (height, width) of what is read at once by the file's own layout
    box: LonLatBox | None = None  # the pixels it owns; others count where they are another raster's
    bytes_per_pixel: float = 0.0  # stored, of all bands
    requests_per_block: int = 1  # of a remote file
    told_by_length: bool = False  # no name says whose the vectors are: they are, if of length 1

    @abstractmethod
    def read(self, window: Window) -> Codes:
        """What a window inside the grid holds. Raises InputError for what cannot be read."""

    @property
    @abstractmethod
    def stamp(self) -> str:
        """Changes when the content does."""

    @cached_property
    def extent(self) -> Window:
        return Window(0, 0, *self.grid.shape)

    def blocks(self, window: Window) -> Iterator[Window]:
        """The window cut along the file's blocks, several of them at once up to READ_PX."""
        block_h, block_w = self.block
        step_w = min(block_w * max(1, READ_PX // (block_h * block_w)), _up(window.width, block_w))
        step_h = block_h * max(1, READ_PX // (block_h * step_w))
        for top in _edges(window.row, window.end_row, step_h):
            for left in _edges(window.col, window.end_col, step_w):
                yield Window(top[0], left[0], top[1] - top[0], left[1] - left[0])

    def chunks(self, side_px: int) -> Iterator[Window]:
        """The raster in squares of a side, counted from its north-western corner on the ground.

        A copy whose rows run the other way round is cut in the same places.
        """
        height, width = self.grid.shape
        south_up = self.grid.transform[4] > 0
        for top in range(0, height, side_px):
            tall = min(side_px, height - top)
            for left in range(0, width, side_px):
                row = height - top - tall if south_up else top
                yield Window(row, left, tall, min(side_px, width - left))


def year_period(year: int) -> tuple[datetime, datetime]:
    """[start, end) of a calendar year, UTC."""
    return datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)


def _edges(start: int, stop: int, step: int) -> Iterator[tuple[int, int]]:
    """[start, stop) cut at the multiples of a step."""
    while start < stop:
        end = min((start // step + 1) * step, stop)
        yield start, end
        start = end


def _up(value: int, step: int) -> int:
    return math.ceil(value / step) * step
