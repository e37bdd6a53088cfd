"""One labelled item of a published set: its imagery by date, and the truth of its kind."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

IGNORED = -1  # code of pixels that no score counts


@dataclass(frozen=True)
class Imagery:
    """One sensor's series of one scene."""

    pixels: np.ndarray  # (T, C, H, W) in the modality's bands, dtype and unit (data/modality.py)
    valid: np.ndarray  # (T, H, W) bool
    day_of_year: np.ndarray  # (T,) int16, 1-366; 0 = unknown

    @classmethod
    def of(cls, pixels: np.ndarray, day_of_year: int = 0) -> "Imagery":
        """One date (C, H, W), all of it valid."""
        shape = (1, *pixels.shape[1:])
        return cls(pixels[None], np.ones(shape, dtype=bool), np.array([day_of_year], dtype=np.int16))


@dataclass(frozen=True)
class Boxes:
    """Objects of one image. n objects."""

    corners: np.ndarray  # (n, 4, 2) float64 x, y in pixels, in order around the box
    code: np.ndarray  # (n,) int, positions in the set's classes
    difficult: np.ndarray  # (n,) bool: neither asked for nor held against who finds them

    @classmethod
    def upright(cls, bounds: np.ndarray, code: np.ndarray, difficult: np.ndarray | None = None) -> "Boxes":
        """Boxes along the axes: (n, 4) x_min, y_min, x_max, y_max."""
        bounds = np.asarray(bounds, dtype=np.float64).reshape(-1, 4)
        corners = bounds[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
        spared = np.zeros(len(bounds), dtype=bool) if difficult is None else difficult
        return cls(corners, np.asarray(code, dtype=np.int64), spared)

    @property
    def bounds(self) -> np.ndarray:
        """(n, 4) x_min, y_min, x_max, y_max."""
        return np.concatenate([self.corners.min(axis=1), self.corners.max(axis=1)], axis=1)

    def take(self, rows: np.ndarray) -> "Boxes":
        """The boxes of `rows`."""
        return Boxes(self.corners[rows], self.code[rows], self.difficult[rows])

    def moved(self, x: float, y: float) -> "Boxes":
        """The same boxes, shifted."""
        return Boxes(self.corners + np.array([x, y]), self.code, self.difficult)


Truth = np.ndarray | Boxes  # (L,) bool labels; (H, W) int codes or IGNORED; boxes
Views = tuple[Mapping[str, Imagery], ...]  # imagery by modality: one view, or two that a change lies between


@dataclass(frozen=True)
class Scene:
    """What is read of one item."""

    views: Views
    truth: Truth


def nowhere() -> tuple[float, float]:
    """The position of what the set does not place."""
    return float("nan"), float("nan")


@dataclass(frozen=True)
class Entry:
    """One item of a set before its pixels are read."""

    id: str
    place: str  # items of one place are held out and resampled together
    load: Callable[[], Scene]  # raises InputError for what cannot be read
    locate: Callable[[], tuple[float, float]] = nowhere  # longitude and latitude, degrees; NaN = not known
    label: str = ""  # of the entry where it is known without reading: scenes by folder
