"""Shapes on the globe, and the rows that lie in them.

Rows are sorted by cell, and the descendants of a cell are one range of them. So a shape's rows are found by
going down the H3 tree: a cell whose whole family of centres lies inside gives its range, one that lies
outside is dropped, and only the rows near the border are tested one by one. Children poke out of their
parents, so a family's centres are bounded by a cap around the parent's centre, never by its hexagon.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import h3
import numpy as np
import shapely
from numpy.typing import NDArray

from .cells import Cells, boundary, cell_ranges, centres, child_range, children, resolution_of
from .footprints import Geometries
from .geojson import cell_on_globe, turned
from .great_circle import KM_PER_DEGREE, Floats, distance_km
from .row_ranges import Mask, RowRanges

# No descendant's centre is farther from its ancestor's than this many mean edges of the ancestor's
# resolution, with room to spare: tests/indexer/geo/test_search_area.py looks at many families.
FAMILY_EDGES = 1.3
SEGMENT_DEG = 0.01  # a footprint's edges, straight in lon/lat, are measured in steps no longer than this
ROWS_TESTED_PER_CELL = 8  # below this many rows per border cell, testing rows is cheaper than going down


class Shape(Protocol):
    """A part of the globe."""

    def rows(self, cells: Cells) -> RowRanges:
        """The rows of a sorted key column (n,) whose cell's centre lies in the shape."""

    def meets(self, footprints: Geometries) -> Mask:
        """Which footprints (n,), lon/lat, have a point in the shape."""

    def box_sides(self, boxes: Geometries) -> tuple[Mask, Mask]:
        """Which lon/lat boxes (n,) are certainly inside, and which certainly outside."""


@dataclass(frozen=True)
class Families:
    """Cells with all their descendants."""

    cells: Cells

    def rows(self, cells: Cells) -> RowRanges:
        """See `Shape.rows`; a cell finer than the rows' own is refused, for it holds no row."""
        if len(cells) == 0:
            return RowRanges.all_of(0)
        lowest, highest = cell_ranges(self.cells.tolist(), resolution_of(int(cells[0]))).T
        return RowRanges.merged(np.searchsorted(cells, lowest), np.searchsorted(cells, highest, "right"))

    @cached_property
    def _area(self) -> Area:
        """The hexagons themselves, from which descendants poke out."""
        rings = map(boundary, self.cells.tolist())
        return Area(shapely.union_all([cell_on_globe(shapely.Polygon(ring)) for ring in rings]))

    def meets(self, footprints: Geometries) -> Mask:
        """See `Shape.meets`; of the cells' own hexagons."""
        return self._area.meets(footprints)

    def box_sides(self, boxes: Geometries) -> tuple[Mask, Mask]:
        """See `Shape.box_sides`."""
        return self._area.box_sides(boxes)


@dataclass(frozen=True)
class Area:
    """A geometry in lon/lat; longitudes may go on beyond 180."""

    geometry: shapely.Geometry

    @cached_property
    def _repeated(self) -> shapely.Geometry:
        """The geometry and its copies one turn east and west: what a box over the antimeridian meets."""
        area = shapely.clip_by_rect(shapely.union_all(turned(self.geometry)), -361, -91, 361, 91)
        shapely.prepare(area)
        return area

    def rows(self, cells: Cells) -> RowRanges:
        """See `Shape.rows`."""
        return _descend(self, cells)

    def holds(self, lon_deg: Floats, lat_deg: Floats) -> Mask:
        """Whether points (n,) lie inside or on the border."""
        return np.asarray(shapely.intersects_xy(self._repeated, lon_deg, lat_deg))

    def sides(self, lon_deg: Floats, lat_deg: Floats, radius_km: float) -> tuple[Mask, Mask]:
        """Whether caps (n,) of a radius lie wholly inside, and wholly outside."""
        return self.box_sides(_boxes_around(lon_deg, lat_deg, radius_km))

    def meets(self, footprints: Geometries) -> Mask:
        """See `Shape.meets`."""
        return np.asarray(shapely.intersects(self._repeated, footprints))

    def box_sides(self, boxes: Geometries) -> tuple[Mask, Mask]:
        """See `Shape.box_sides`."""
        return shapely.contains(self._repeated, boxes), ~shapely.intersects(self._repeated, boxes)


@dataclass(frozen=True)
class Disc:
    """All within a great-circle distance of a point."""

    lon_deg: float
    lat_deg: float
    radius_km: float

    def rows(self, cells: Cells) -> RowRanges:
        """See `Shape.rows`."""
        return _descend(self, cells)

    def holds(self, lon_deg: Floats, lat_deg: Floats) -> Mask:
        """Whether points (n,) lie inside or on the border."""
        return self._away_km(lon_deg, lat_deg) <= self.radius_km

    def sides(self, lon_deg: Floats, lat_deg: Floats, radius_km: float) -> tuple[Mask, Mask]:
        """Whether caps (n,) of a radius lie wholly inside, and wholly outside."""
        away_km = self._away_km(lon_deg, lat_deg)
        return away_km + radius_km < self.radius_km, away_km - radius_km > self.radius_km

    @cached_property
    def _around(self) -> Area:
        return Area(_boxes_around(np.array([self.lon_deg]), np.array([self.lat_deg]), self.radius_km)[0])

    def meets(self, footprints: Geometries) -> Mask:
        """See `Shape.meets`; by the distance to a footprint's nearest point."""
        near = self._around.meets(footprints)
        flat = shapely.transform(shapely.segmentize(footprints[near], SEGMENT_DEG), self._flat_km)
        near[near] = shapely.dwithin(flat, shapely.Point(0, 0), self.radius_km)
        return near

    def box_sides(self, boxes: Geometries) -> tuple[Mask, Mask]:
        """See `Shape.box_sides`."""
        return np.zeros(len(boxes), bool), self._around.box_sides(boxes)[1]

    def _flat_km(self, lon_lat_deg: Floats) -> Floats:
        """Points (n, 2) on a plane that keeps distance and direction from the disc's centre, km."""
        lon, lat = np.radians(lon_lat_deg - (self.lon_deg, 0)).T
        centre = np.radians(self.lat_deg)
        east = np.cos(lat) * np.sin(lon)
        north = np.cos(centre) * np.sin(lat) - np.sin(centre) * np.cos(lat) * np.cos(lon)
        away_km = self._away_km(*lon_lat_deg.T)
        scale = away_km / np.maximum(np.hypot(east, north), 1e-15)
        return np.stack([east * scale, north * scale], axis=1)

    def _away_km(self, lon_deg: Floats, lat_deg: Floats) -> Floats:
        return distance_km(self.lon_deg, self.lat_deg, lon_deg, lat_deg)


def _boxes_around(lon_deg: Floats, lat_deg: Floats, radius_km: float) -> Any:
    """Lon/lat boxes that hold the caps (n,) of a radius; longitudes may go on beyond 180."""
    radius_deg = radius_km / KM_PER_DEGREE
    south, north = lat_deg - radius_deg, lat_deg + radius_deg
    sine = np.sin(np.radians(radius_deg)) / np.maximum(np.cos(np.radians(lat_deg)), 1e-9)
    half = np.where((south <= -90) | (north >= 90), 180, np.degrees(np.arcsin(np.minimum(sine, 1))))
    return shapely.box(lon_deg - half, np.maximum(south, -90), lon_deg + half, np.minimum(north, 90))


def _descend(shape: Area | Disc, cells: Cells) -> RowRanges:
    """Rows of a shape by going down the H3 tree, see the head of this file."""
    if len(cells) == 0:
        return RowRanges.all_of(0)
    resolution = resolution_of(int(cells[0]))
    border = np.array([h3.str_to_int(cell) for cell in h3.get_res0_cells()], dtype=np.uint64)
    inside_rows = [np.empty((2, 0), np.int64)]
    for level in range(resolution + 1):
        family_rows = _family_rows(border, cells, resolution)
        some = family_rows[1] > family_rows[0]
        border, family_rows = border[some], family_rows[:, some]
        if np.diff(family_rows, axis=0).sum() <= ROWS_TESTED_PER_CELL * len(border):
            break
        radius_km = FAMILY_EDGES * h3.average_hexagon_edge_length(level, "km")
        inside, outside = shape.sides(*centres(border), radius_km)
        inside_rows.append(family_rows[:, inside])
        border, family_rows = border[~inside & ~outside], family_rows[:, ~inside & ~outside]
        if level < resolution:
            border = children(border)
    near = RowRanges.merged(*family_rows)
    near_cells, cell_of_row = np.unique(cells[near.rows()], return_inverse=True)
    near = near.keep(shape.holds(*centres(near_cells))[cell_of_row])
    return RowRanges.merged(*np.hstack([*inside_rows, [near.starts, near.stops]]))


def _family_rows(families: Cells, cells: Cells, resolution: int) -> NDArray[np.int64]:
    """First row and one past the last, (2, m), of the descendants of cells (m,) of one resolution."""
    if len(families) == 0:
        return np.empty((2, 0), np.int64)
    any_one = int(families[0])
    low, high = (np.uint64(end - any_one) for end in child_range(any_one, resolution))
    return np.stack(
        [np.searchsorted(cells, families + low), np.searchsorted(cells, families + high, "right")]
    )
