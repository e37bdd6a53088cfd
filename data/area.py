"""An area in lon/lat, checked, and the H3 cells whose centres lie in it."""

from itertools import pairwise

import h3
import h3.api.numpy_int as h3_int
import numpy as np
import shapely

from .grid import EQUATOR_DEGREE_M
from .sample import InputError

MAX_CELLS = 20_000_000  # of one plan
_STRIP_DEG = 60  # H3 takes polygons wider than 180 degrees for ones across the antimeridian


def check_area(area: shapely.Geometry) -> shapely.Geometry:
    """The area, if it is a valid (multi)polygon in lon/lat with some surface. Raises InputError otherwise."""
    if area.geom_type not in ("Polygon", "MultiPolygon"):
        raise InputError(f"the area is a {area.geom_type}; expected a polygon or multipolygon in lon/lat")
    if area.is_empty:
        raise InputError("the area is empty; expected a polygon in lon/lat")
    west, south, east, north = area.bounds
    if not (west >= -180 and east <= 180 and south >= -90 and north <= 90):
        raise InputError(
            f"the area spans x {west:g}..{east:g}, y {south:g}..{north:g}; expected longitudes within +-180"
            " and latitudes within +-90: reproject it to OGC:CRS84, and cut it in two at the antimeridian"
        )
    if not area.is_valid:
        raise InputError(f"the area is not a valid polygon ({shapely.is_valid_reason(area)}): mend it first")
    if area.area == 0:
        raise InputError("the area has no surface; expected a polygon with some")
    return area


def cells_in(area: shapely.Geometry, resolution: int) -> np.ndarray:
    """H3 cells (N,) uint64, ascending, whose centres lie in a (multi)polygon in lon/lat, poles included.

    Raises InputError when there are more than MAX_CELLS.
    """
    if area.is_empty:
        return np.empty(0, np.uint64)
    count = _estimated_count(area, resolution)
    if count > MAX_CELLS:
        raise InputError(
            f"the area has about {count:,.0f} cells; {MAX_CELLS:,} at most: choose a smaller one"
        )
    parts = [
        h3_int.h3shape_to_cells(h3_int.geo_to_h3shape(polygon), resolution)
        for west in range(-180, 180, _STRIP_DEG)
        for polygon in _polygons(area.intersection(shapely.box(west, -90, west + _STRIP_DEG, 90)))
    ]
    return np.unique(np.concatenate(parts)) if parts else np.empty(0, np.uint64)


def cell_centres(cells: np.ndarray) -> np.ndarray:
    """(N, 2) lon, lat in degrees."""
    return np.array([h3_int.cell_to_latlng(cell)[::-1] for cell in cells]).reshape(-1, 2)


def _estimated_count(area: shapely.Geometry, resolution: int) -> float:
    """By the surface of the area in 32 bands of latitude, and of an average cell: within a third."""
    west, south, east, north = area.bounds
    surface_km2 = sum(
        area.intersection(shapely.box(west, low, east, high)).area
        * np.cos(np.radians((low + high) / 2))
        * (EQUATOR_DEGREE_M / 1000) ** 2
        for low, high in pairwise(np.linspace(south, north, 33))
    )
    return float(surface_km2 / h3.average_hexagon_area(resolution, unit="km^2"))


def _polygons(geometry: shapely.Geometry) -> list[shapely.Polygon]:
    return [part for part in shapely.get_parts(geometry) if part.geom_type == "Polygon" and part.area > 0]
