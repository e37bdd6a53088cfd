"""From rows of a table to its cells, each with one value, and to the areas in which they lie."""

from collections import deque
from dataclasses import dataclass

import h3
import numpy as np

from indexer.geo.cells import Cells, cells_to_text, centres, parents, resolution_of

from .background import Extent

SIBLINGS = 2.0  # cells per parent below which they lie apart; side by side there are up to 7
AREA_RESOLUTION = 3  # cells about 120 km across; areas with an empty one between them are apart


@dataclass(frozen=True)
class MapCells:
    """Each cell of a table once, in order of cell, and where its rows begin."""

    cell: Cells  # (m,) uint64 of one resolution
    first: np.ndarray  # (m,) int64, the first of each cell's rows
    rows: np.ndarray  # (m,) int64, how many they are

    @property
    def scattered(self) -> bool:
        """Whether cells lie apart, as chips do, and not side by side: few have a sibling."""
        resolution = resolution_of(int(self.cell[0])) if len(self.cell) else 0
        if resolution == 0:
            return False
        return len(self.cell) < SIBLINGS * len(np.unique(parents(self.cell, resolution - 1)))

    def within(self, focus: Cells) -> Cells:
        """The cells that descend from `focus`, (k,) of one coarser resolution; all where it is empty."""
        if not len(self.cell) or not len(focus):
            return self.cell
        return self.cell[np.isin(parents(self.cell, resolution_of(int(focus[0]))), focus)]

    def best(self, value: np.ndarray) -> np.ndarray:
        """The greatest value (m,) of each cell's rows (n,); NaN where none has one."""
        return np.fmax.reduceat(value, self.first) if len(self.cell) else value

    def commonest(self, kind: np.ndarray) -> np.ndarray:
        """The commonest kind (m,) of each cell's rows (n,) counted from 0; -1 where none has one."""
        cell = np.repeat(np.arange(len(self.cell)), self.rows)
        known = kind >= 0
        width = int(kind.max(initial=0)) + 1
        votes = np.bincount(cell[known] * width + kind[known], minlength=len(self.cell) * width)
        votes = votes.reshape(-1, width)
        return np.where(votes.any(axis=1), votes.argmax(axis=1), -1)


@dataclass(frozen=True)
class Area:
    """A part of the table that lies apart from the rest."""

    cells: Cells  # (m,) coarse cells of one resolution
    rows: int
    lon_deg: float  # somewhere in its middle
    lat_deg: float

    @property
    def key(self) -> str:
        """Its first coarse cell, as hex."""
        return cells_to_text(self.cells[:1])[0]


def group_by_cell(cell: Cells) -> MapCells:
    """The cells of rows (n,) in order of cell."""
    first = np.flatnonzero(np.r_[True, cell[1:] != cell[:-1]][: len(cell)])
    return MapCells(cell[first], first, np.diff(np.r_[first, len(cell)]))


def find_areas(cell: Cells) -> list[Area]:
    """Connected groups of the coarse cells that hold rows (n,), the largest first."""
    if not len(cell):
        return []
    coarse, rows = np.unique(
        parents(cell, min(AREA_RESOLUTION, resolution_of(int(cell[0])))), return_counts=True
    )
    rows_of = dict(zip(cells_to_text(coarse), rows.tolist(), strict=True))
    areas = []
    while rows_of:
        members = _take_connected(rows_of)
        ids = np.array(sorted(h3.str_to_int(member) for member in members), np.uint64)
        lon, lat = middle(cell[np.isin(parents(cell, resolution_of(int(ids[0]))), ids)])
        areas.append(Area(ids, sum(members.values()), lon, lat))
    return sorted(areas, key=lambda area: -area.rows)


def middle(cell: Cells) -> tuple[float, float]:
    """Longitude and latitude of the middle of cells (n,): of the mean of their directions."""
    lon, lat = (np.radians(degrees) for degrees in centres(cell))
    x, y, z = (np.cos(lat) * np.cos(lon)).mean(), (np.cos(lat) * np.sin(lon)).mean(), np.sin(lat).mean()
    return float(np.degrees(np.arctan2(y, x))), float(np.degrees(np.arctan2(z, np.hypot(x, y))))


def extent_of(cell: Cells) -> Extent:
    """The box around the centres of cells (n,); across the antimeridian where that is narrower."""
    lon, lat = centres(cell)
    east_of_zero = np.where(lon < 0, lon + 360, lon)
    if np.ptp(east_of_zero) < np.ptp(lon) - 1:
        lon = east_of_zero
    return Extent(float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max()))


def _take_connected(rows_of: dict[str, int]) -> dict[str, int]:
    """Remove and return one connected group of the coarse cells."""
    start = next(iter(rows_of))
    taken = {start: rows_of.pop(start)}
    waiting = deque([start])
    while waiting:
        for neighbour in h3.grid_disk(waiting.popleft(), 1):
            if neighbour in rows_of:
                taken[neighbour] = rows_of.pop(neighbour)
                waiting.append(neighbour)
    return taken
