"""From rows of a table to the cells that a map shows: few enough to draw, each with one value."""

from collections import deque
from dataclasses import dataclass, replace

import h3
import numpy as np

from indexer.geo.cells import Cells, cells_to_text, centres, parents, resolution_of

from .background import Extent

MAX_DRAWN = 20_000  # cells a browser draws and redraws without stutter
SIBLINGS = 2.0  # cells per parent below which they lie apart; side by side there are up to 7
AREA_RESOLUTION = 3  # cells about 120 km across; areas with an empty one between them are apart


@dataclass(frozen=True)
class MapCells:
    """One entry per cell, in order of cell."""

    cell: Cells  # (n,) uint64 of one resolution
    rows: np.ndarray  # (n,) int64, rows of the table in the cell
    value: np.ndarray  # (n,) float32, the best similarity of its rows; NaN = none
    kind: np.ndarray  # (n,) int64, group of its commonest prototype; -1 = none

    @property
    def scattered(self) -> bool:
        """Whether cells lie apart, as chips do, and not side by side: few have a sibling."""
        resolution = resolution_of(int(self.cell[0])) if len(self.cell) else 0
        if resolution == 0:
            return False
        return len(self.cell) < SIBLINGS * len(np.unique(parents(self.cell, resolution - 1)))

    def within(self, focus: Cells) -> "MapCells":
        """The cells that descend from `focus`, (m,) cells of one coarser resolution."""
        if not len(self.cell) or not len(focus):
            return self
        inside = np.isin(parents(self.cell, resolution_of(int(focus[0]))), focus)
        return replace(self, **{name: column[inside] for name, column in vars(self).items()})


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


def group_by_cell(cell: Cells, value: np.ndarray, kind: np.ndarray) -> MapCells:
    """Rows (n,) in order of cell to one entry per cell: best value, commonest kind, count."""
    if not len(cell):
        return MapCells(cell, np.zeros(0, np.int64), value, kind)
    first = np.flatnonzero(np.r_[True, cell[1:] != cell[:-1]])
    rows = np.diff(np.r_[first, len(cell)])
    best = np.fmax.reduceat(value, first)
    return MapCells(cell[first], rows, best, _commonest(kind, first, rows))


def coarsen(cells: MapCells, max_drawn: int = MAX_DRAWN) -> MapCells:
    """The same cells, or their ancestors at the finest resolution that has at most `max_drawn` of them."""
    if len(cells.cell) <= max_drawn:
        return cells
    for resolution in range(resolution_of(int(cells.cell[0])) - 1, -1, -1):
        up = parents(cells.cell, resolution)
        first = np.flatnonzero(np.r_[True, up[1:] != up[:-1]])
        if len(first) <= max_drawn or resolution == 0:
            counts = np.diff(np.r_[first, len(up)])
            return MapCells(
                up[first],
                np.add.reduceat(cells.rows, first),
                np.fmax.reduceat(cells.value, first),
                _commonest(cells.kind, first, counts),
            )
    return cells


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


def _commonest(kind: np.ndarray, first: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The commonest kind (m,) of each run of (n,) entries; -1 only where a run has nothing else."""
    run = np.repeat(np.arange(len(first)), counts)
    known = kind >= 0
    width = int(kind.max(initial=0)) + 1
    votes = np.bincount(run[known] * width + kind[known], minlength=len(first) * width).reshape(-1, width)
    return np.where(votes.any(axis=1), votes.argmax(axis=1), -1)
