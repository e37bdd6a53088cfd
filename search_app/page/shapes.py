"""Shapes drawn on the map, as the URL keeps them: `within:LON LAT,LON LAT,...`, `;` between several rings.

A place lies in a shape when it lies in one of its rings, in a ring that crosses itself when a line from there
to the east crosses it an odd number of times. The browser counts in the same way (`map/src/inside.ts`).
"""

import numpy as np
import shapely

from indexer.errors import QueryError
from indexer.geo.search_area import Region
from indexer.geo.shapes import Area

WITHIN = "within:"
PLANE = "plane:"  # of a shape on a plane of rows, `plane:METHOD:X Y,X Y,...`: see plane.py
MAX_CORNERS = 1000


def is_shape(place: str) -> bool:
    """Whether a place of a URL is a shape."""
    return place.startswith(WITHIN)


def is_plane(place: str) -> bool:
    """Whether a place of a URL is a shape on a plane of rows."""
    return place.startswith(PLANE)


def region_of(shape: str) -> Region:
    """Where a shape lies. Raises `QueryError`."""
    return Region((Area(polygon_of(shape)),))


def polygon_of(shape: str) -> shapely.Geometry:
    """What a shape encloses, in degrees; beyond 180 if it crosses the antimeridian. Raises `QueryError`."""
    rings = [_ring(text) for text in shape.removeprefix(WITHIN).split(";")]
    if sum(map(len, rings)) > MAX_CORNERS:
        raise QueryError(f"a shape of {sum(map(len, rings)):,} corners: expected at most {MAX_CORNERS:,}")
    drawn = shapely.union_all([shapely.make_valid(shapely.Polygon(ring)) for ring in rings])
    if not drawn.area:
        raise QueryError(f"the shape {shape[:60]!r} holds nothing: expected corners that enclose something")
    return drawn


def _ring(text: str) -> np.ndarray:
    """Corners (n, 2) in degrees; longitudes may go on beyond 180."""
    try:
        ring = np.array([[float(degrees) for degrees in pair.split()] for pair in text.split(",")])
    except ValueError:
        raise QueryError(f"{text[:60]!r} is no shape: expected lon lat,lon lat,... in degrees") from None
    if ring.ndim != 2 or ring.shape[1] != 2 or len(ring) < 3:
        raise QueryError(f"{text[:60]!r} is no shape: expected three corners or more, each lon lat")
    if not ((np.abs(ring[:, 0]) <= 540).all() and (np.abs(ring[:, 1]) <= 90).all()):
        raise QueryError(f"{text[:60]!r} is no shape: expected degrees of longitude and latitude")
    return ring
