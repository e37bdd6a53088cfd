"""Where to search. A row lies in a region when the centre of its H3 cell does.

Rows are sorted by cell, and the descendants of a cell are one range of them. So a region is found by going
down the H3 tree: a cell whose whole family of centres lies inside gives its range, one that lies outside is
dropped, and only the rows near the border are tested one by one. Children poke out of their parents, so a
family's centres are bounded by a cap around the parent's centre, never by its hexagon.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import h3
import numpy as np
import shapely
from numpy.typing import NDArray

from .cells import (
    EARTH_RADIUS_KM,
    Cells,
    Floats,
    cell_ranges,
    centres,
    child_range,
    distance_km,
    parse_cell,
    resolution_of,
)
from .errors import QueryError
from .row_ranges import Mask, RowRanges

KM_PER_DEGREE = np.pi * EARTH_RADIUS_KM / 180
# No descendant's centre is farther from its ancestor's than this many mean edges of the ancestor's
# resolution: 1.085 is the farthest found over all cells of resolutions 0-3 and thousands of each finer one.
FAMILY_EDGES = 1.3
ROWS_TESTED_PER_CELL = 8  # below this many rows per border cell, testing rows is cheaper than going down


class Shape(Protocol):
    """A part of the globe."""

    def rows(self, cells: Cells) -> RowRanges:
        """The rows of a sorted key column (n,) whose cell's centre lies in the shape."""


@dataclass(frozen=True)
class Region:
    """Shapes that must all hold a row's centre; `a & b` narrows one by the other."""

    shapes: tuple[Shape, ...]

    @staticmethod
    def from_bbox(west: float, south: float, east: float, north: float) -> Region:
        """Floats; west > east crosses the antimeridian. Raises `QueryError`."""
        if not (-90 <= south < north <= 90 and -360 <= west <= 360 and -360 <= east <= 360 and west != east):
            raise QueryError(
                f"the box {west} {south} {east} {north} is empty or not in degrees: "
                "expected west, south, east, north with south < north"
            )
        return Region((Area(shapely.box(west, south, east if east > west else east + 360, north)),))

    @staticmethod
    def from_geojson(source: str | Path | Mapping[str, Any]) -> Region:
        """A polygon or multipolygon, or features of them: a mapping or a file. Raises `QueryError`.

        An edge that spans more than 180 degrees of longitude is read as crossing the antimeridian, and a ring
        that winds around the globe as enclosing the pole it is nearer to.
        """
        return Region((Area(shapely.union_all([_on_globe(p) for p in _polygons(_read_geojson(source))])),))

    @staticmethod
    def from_cells(cells: Iterable[int | str]) -> Region:
        """H3 cells, ids or hex strings, and all their descendants. Raises `QueryError`."""
        ids = np.unique(np.array([parse_cell(cell) for cell in cells], dtype=np.uint64))
        if len(ids) == 0:
            raise QueryError("the region names no cell: expected at least one H3 cell")
        return Region((Families(ids),))

    @staticmethod
    def from_point(lon_deg: float, lat_deg: float, radius_m: float) -> Region:
        """All within a great-circle distance of a point. Raises `QueryError`."""
        if not (abs(lat_deg) <= 90 and abs(lon_deg) <= 360 and radius_m > 0):
            raise QueryError(
                f"{radius_m} m around {lon_deg} {lat_deg}: expected degrees and a distance above zero"
            )
        return Region((Disc(lon_deg, lat_deg, radius_m / 1000),))

    def __and__(self, other: Region) -> Region:
        return Region(self.shapes + other.shapes)

    def rows(self, cells: Cells) -> RowRanges:
        """The rows of a sorted key column (n,) that lie in the region."""
        found = RowRanges.all_of(len(cells))
        for shape in self.shapes:
            found = found & shape.rows(cells)
        return found


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


@dataclass(frozen=True)
class Area:
    """A geometry in lon/lat; longitudes may go on beyond 180."""

    geometry: shapely.Geometry

    @cached_property
    def _repeated(self) -> shapely.Geometry:
        """The geometry and its copies one turn east and west: what a box over the antimeridian meets."""
        turns = [shapely.transform(self.geometry, lambda xy, x=x: np.add(xy, (x, 0))) for x in (-360, 0, 360)]
        area = shapely.clip_by_rect(shapely.union_all(turns), -361, -91, 361, 91)
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
        radius_deg = radius_km / KM_PER_DEGREE
        south, north = lat_deg - radius_deg, lat_deg + radius_deg
        sine = np.sin(np.radians(radius_deg)) / np.maximum(np.cos(np.radians(lat_deg)), 1e-9)
        half = np.where((south <= -90) | (north >= 90), 180, np.degrees(np.arcsin(np.minimum(sine, 1))))
        boxes = shapely.box(lon_deg - half, np.maximum(south, -90), lon_deg + half, np.minimum(north, 90))
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

    def _away_km(self, lon_deg: Floats, lat_deg: Floats) -> Floats:
        return distance_km(self.lon_deg, self.lat_deg, lon_deg, lat_deg)


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
            border = _children(border, level)
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


def _children(cells: Cells, resolution: int) -> Cells:
    """The seven ids (7 m,) one level below cells (m,); a pentagon's missing child holds no row."""
    shift = np.uint64(3 * (14 - resolution))
    parents = (cells & ~(np.uint64(7) << shift)) + (np.uint64(1) << np.uint64(52))
    return (parents[:, None] + (np.arange(7, dtype=np.uint64) << shift)).ravel()


def _read_geojson(source: str | Path | Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(source, Mapping):
        return source
    try:
        document = json.loads(Path(source).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise QueryError(f"{source}: cannot be read as GeoJSON ({error})") from error
    if not isinstance(document, dict):
        raise QueryError(f"{source}: expected a GeoJSON object, found a {type(document).__name__}")
    return document


def _polygons(document: Mapping[str, Any]) -> list[shapely.Polygon]:
    """All polygons of a GeoJSON object, in order."""
    kind = document.get("type")
    if kind == "FeatureCollection":
        polygons = [p for feature in document.get("features", ()) for p in _polygons(feature)]
    elif kind == "Feature":
        polygons = _polygons(document.get("geometry") or {})
    elif kind in ("Polygon", "MultiPolygon"):
        try:
            polygons = list(shapely.get_parts(shapely.from_geojson(json.dumps(document))))
        except (shapely.GEOSException, TypeError) as error:
            raise QueryError(f"the {kind} is not GeoJSON: {error}") from error
    else:
        raise QueryError(f"the region is a {kind}: expected a Polygon or MultiPolygon, or features of them")
    if not polygons or any(polygon.is_empty for polygon in polygons):
        raise QueryError("the region is empty: expected at least one polygon, and corners in each")
    return polygons


def _on_globe(polygon: shapely.Polygon) -> shapely.Polygon:
    """A polygon whose rings do not jump over the antimeridian and are closed over a pole."""
    lon, lat = shapely.get_coordinates(polygon).T
    if not (np.isfinite(lon).all() and (np.abs(lat) <= 90).all() and (np.abs(lon) <= 360).all()):
        raise QueryError("the region is not in lon/lat degrees (OGC:CRS84): reproject it first")
    shell = _unrolled(polygon.exterior)
    west, east = shell[:, 0].min(), shell[:, 0].max()
    holes = []
    for ring in polygon.interiors:
        hole = _unrolled(ring)
        turns = [360 * n for n in (0, -1, 1) if west <= hole[0, 0] + 360 * n <= east]
        holes.append(np.add(hole, (turns[0] if turns else 0, 0)))
    unrolled = shapely.Polygon(shell, holes)
    if not unrolled.is_valid:
        raise QueryError(f"the region is not a valid polygon: {shapely.is_valid_reason(unrolled)}")
    return unrolled


def _unrolled(ring: shapely.LinearRing) -> NDArray[np.float64]:
    """Coordinates (n, 2) of a ring without jumps, closed along the pole that it winds around."""
    lon_deg, lat_deg = shapely.get_coordinates(ring).T
    steps = np.diff(lon_deg)
    crosses = (np.abs(steps) > 180) & (np.abs(steps) < 360)
    lon_deg = lon_deg - 360 * np.r_[0, np.cumsum(np.where(crosses, np.sign(steps), 0))]
    coordinates = np.stack([lon_deg, lat_deg], axis=1)
    if abs(lon_deg[-1] - lon_deg[0]) > 180:
        pole = np.copysign(90.0, lat_deg.mean())
        coordinates = np.r_[coordinates, [[lon_deg[-1], pole], [lon_deg[0], pole], coordinates[0]]]
    return coordinates
