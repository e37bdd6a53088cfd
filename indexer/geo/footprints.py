"""True footprints: rings of lon/lat to WKB, with their boxes and centres, as GeoParquet wants them."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray
from shapely import affinity

Ring = Sequence[tuple[float, float]]  # closed or open, (lon_deg, lat_deg)
Geometries = NDArray[np.object_]
WKB_KINDS = {3: "Polygon", 6: "MultiPolygon"}
BBOX_FIELDS = ("xmin", "ymin", "xmax", "ymax")


def polygons(rings: Sequence[Ring]) -> Geometries:
    """Polygons in OGC:CRS84, counter-clockwise. A ring across the antimeridian becomes two parts.

    A ring crosses when it runs on past +-180, or spans more than 180 degrees of longitude and holds no pole,
    which is how RFC 7946 (3.1.9) reads it; its parts lie on either side. Rings that `faulty` finds are not
    taken.
    """
    points, sizes = _flat(rings)
    shapes = shapely.polygons(shapely.linearrings(points, indices=np.repeat(np.arange(len(sizes)), sizes)))
    bounds = shapely.bounds(shapes)
    crossing = (_width(bounds) > 180) | (bounds[:, 0] < -180) | (bounds[:, 2] > 180)
    for i in np.flatnonzero(crossing).tolist():
        shapes[i] = _split(np.asarray(rings[i], np.float64))
    return np.asarray(shapely.orient_polygons(shapes))


def faulty(rings: Sequence[Ring]) -> NDArray[np.bool_]:
    """Which rings cannot be footprints: too few points, or not lon/lat degrees. (n,)."""
    points, sizes = _flat(rings)
    outside = ~(np.abs(points) <= (360.0, 90.0)).all(axis=1)
    strays = np.bincount(np.repeat(np.arange(len(sizes)), sizes), weights=outside, minlength=len(sizes))
    return np.asarray((sizes < 4) | (strays > 0))


def _flat(rings: Sequence[Ring]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """All points (m, 2) of rings one after the other, and how many each ring has (n,)."""
    sizes = np.fromiter((len(ring) for ring in rings), np.int64, len(rings))
    points = np.array([point for ring in rings for point in ring], np.float64).reshape(-1, 2)
    return points, sizes


def bbox_array(shapes: Geometries) -> pa.StructArray:
    """The `bbox` covering column of GeoParquet 1.1: planar bounds, degrees."""
    bounds = shapely.bounds(shapes)  # (n, 4)
    fields = [pa.field(name, pa.float64(), nullable=False) for name in BBOX_FIELDS]
    return pa.StructArray.from_arrays([pa.array(column) for column in bounds.T], fields=fields)


def centroids(shapes: Geometries) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centre of each footprint, lon (n,), lat (n,) in degrees."""
    crossing = np.flatnonzero(_width(shapely.bounds(shapes)) > 180)
    joined = shapes.copy()
    joined[crossing] = [in_one_piece(shape) for shape in shapes[crossing]]
    middle = shapely.centroid(joined)
    lon = shapely.get_x(middle)
    return np.where(lon > 180, lon - 360, lon), shapely.get_y(middle)


def geometry_types(wkb: NDArray[np.object_]) -> list[str]:
    """The kinds of geometry there are, by their GeoParquet names; from the headers, which hold them."""
    headers = {shape[:5] for shape in wkb}  # byte order, then the kind as uint32
    kinds = {int.from_bytes(header[1:], "little" if header[0] else "big") for header in headers}
    return [WKB_KINDS[kind] for kind in sorted(kinds)]


def _width(bounds: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(bounds[:, 2] - bounds[:, 0])


def _split(points: NDArray[np.float64]) -> shapely.Geometry:
    """A ring that jumps from +180 to -180, cut there."""
    east = points.copy()
    east[east[:, 0] < 0, 0] += 360  # one piece, lon 0..360
    shape = shapely.Polygon(east)
    left = shapely.intersection(shape, shapely.box(0, -90, 180, 90))
    right = affinity.translate(shapely.intersection(shape, shapely.box(180, -90, 360, 90)), xoff=-360)
    return shapely.MultiPolygon([part for part in (left, right) if part.area > 0])


def in_one_piece(shape: shapely.Geometry) -> shapely.Geometry:
    """A shape that the antimeridian cuts, joined again east of it, where longitudes run on; others as is."""
    if shape.bounds[2] - shape.bounds[0] <= 180:
        return shape
    parts = shapely.get_parts(shape)
    return shapely.union_all(
        [affinity.translate(part, xoff=360 if part.bounds[0] < 0 else 0) for part in parts]
    )
