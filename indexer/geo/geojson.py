"""Polygons, from GeoJSON and back, on the globe: no jumps at the antimeridian, closed over a pole."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from ..area_files import read_area
from ..errors import QueryError

MAX_CORNERS = 1_000_000
MAX_DEPTH = 32  # of collections in collections
_HOLDERS = {"FeatureCollection": "features", "Feature": "geometry", "GeometryCollection": "geometries"}
_WITHOUT_SURFACE = ("Point", "MultiPoint", "LineString", "MultiLineString")
GRID_DEG = 1e-7  # a centimetre: what was one line before it was turned around the globe is one again


def read_polygons(source: str | Path | Mapping[str, Any]) -> list[shapely.Polygon]:
    """All polygons of a GeoJSON object, or of a file that `read_area` knows, each `on_globe`.

    What has no surface (points and lines beside polygons, features without geometry) is left out, and a ring
    whose last corner is not its first is closed.

    Raises:
        QueryError: it is no GeoJSON in lon/lat, holds no polygon, or one that crosses itself.
    """
    document = source if isinstance(source, Mapping) else read_area(source)
    parts = _Parts()
    _collect(document, parts, depth=0)
    if not parts.polygons:
        kinds = ", ".join(sorted(parts.others))
        what = f"holds no polygon, but {kinds}" if kinds else "is empty"
        raise QueryError(f"the area {what}: expected at least one Polygon or MultiPolygon, with corners")
    return [on_globe(polygon) for polygon in parts.polygons]


def globe_polygons(shape: shapely.Geometry) -> list[shapely.Polygon]:
    """All polygons of a geometry in lon/lat, each `on_globe`; points and lines beside them are left out.

    Raises:
        QueryError: there is none, one crosses itself, or they have more than `MAX_CORNERS` corners.
    """
    parts = np.array([shape])
    while np.any(shapely.get_type_id(parts) >= shapely.GeometryType.MULTIPOINT):
        parts = shapely.get_parts(parts)
    polygons = parts[(shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & ~shapely.is_empty(parts)]
    if len(polygons) == 0:
        raise QueryError(
            f"the area holds no polygon, but a {shape.geom_type}: expected a Polygon or MultiPolygon"
        )
    if shapely.get_num_coordinates(polygons).sum() > MAX_CORNERS:
        raise QueryError(f"the area has more than {MAX_CORNERS:,} corners: simplify it first")
    return [on_globe(polygon) for polygon in polygons]


def whole_area(source: str | Path | Mapping[str, Any]) -> shapely.Geometry:
    """All polygons of `read_polygons` as one, in parts within -180 to 180 degrees."""
    return cut_at_antimeridian(shapely.union_all(read_polygons(source)))


@dataclass
class _Parts:
    polygons: list[shapely.Polygon] = field(default_factory=list)
    others: set[str] = field(default_factory=set)  # kinds of geometry without a surface
    corners: int = 0


def _collect(node: Any, parts: _Parts, depth: int) -> None:
    """Add what lies in a GeoJSON object of any kind."""
    if node is None:
        return
    if depth > MAX_DEPTH or not isinstance(node, Mapping | list | tuple):
        raise QueryError(f"the area is not GeoJSON: expected an object, found a {type(node).__name__}")
    if not isinstance(node, Mapping):
        for member in node:
            _collect(member, parts, depth + 1)
        return
    _refuse_other_crs(node.get("crs"))
    kind = node.get("type") if isinstance(node.get("type"), str) else None
    if kind in _HOLDERS:
        _collect(node.get(_HOLDERS[kind]), parts, depth + 1)
    elif kind == "Polygon":
        _add_polygon(node.get("coordinates"), parts)
    elif kind == "MultiPolygon":
        for part in _listed(node.get("coordinates"), "MultiPolygon"):
            _add_polygon(part, parts)
    elif kind in _WITHOUT_SURFACE:
        parts.others.add(str(kind))
    else:
        raise QueryError(
            f"the area is a {kind!s:.60}: expected a Polygon or MultiPolygon, or features of them"
        )


def _refuse_other_crs(crs: Any) -> None:
    """GeoJSON of 2008 could name another projection; RFC 7946 knows lon/lat alone."""
    name = crs.get("properties") if isinstance(crs, Mapping) else None
    text = str(name.get("name", "")) if isinstance(name, Mapping) else ""
    if text and not text.upper().endswith(("CRS84", "4326")):
        raise QueryError(f"the area is in {text:.60}, not in lon/lat degrees (OGC:CRS84): reproject it first")


def _add_polygon(rings: Any, parts: _Parts) -> None:
    shells = [_ring(ring) for ring in _listed(rings, "Polygon")]
    parts.corners += sum(map(len, shells))
    if parts.corners > MAX_CORNERS:
        raise QueryError(f"the area has more than {MAX_CORNERS:,} corners: simplify it first")
    if shells and len(shells[0]):
        parts.polygons.append(shapely.Polygon(shells[0], [hole for hole in shells[1:] if len(hole)]))


def _ring(positions: Any) -> list[tuple[float, float]]:
    """A closed ring of lon, lat; empty where it has no corner."""
    ring = [_position(position) for position in _listed(positions, "ring")]
    if ring and ring[0] != ring[-1]:
        ring.append(ring[0])
    if ring and len(ring) < 4:
        raise QueryError("the Polygon is not GeoJSON: a ring has fewer than three corners")
    return ring


def _position(position: Any) -> tuple[float, float]:
    try:
        lon, lat = position[0], position[1]
        if isinstance(lon, int | float) and isinstance(lat, int | float) and math.isfinite(lon + lat):
            return float(lon), float(lat)
    except (TypeError, IndexError, KeyError, OverflowError):
        pass
    raise QueryError(f"the Polygon is not GeoJSON: {position!r:.60} is no position of lon and lat")


def _listed(value: Any, kind: str) -> list[Any] | tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise QueryError(f"the {kind} is not GeoJSON: expected a list of coordinates, found {value!r:.60}")
    return value


def on_globe(polygon: shapely.Polygon) -> shapely.Polygon:
    """A polygon whose rings do not jump over the antimeridian and are closed over a pole.

    Raises:
        QueryError: it is not in degrees, or crosses itself.
    """
    lon, lat = shapely.get_coordinates(polygon).T
    if not (np.isfinite(lon).all() and (np.abs(lat) <= 90).all() and (np.abs(lon) <= 360).all()):
        raise QueryError("the area is not in lon/lat degrees (OGC:CRS84): reproject it first")
    unrolled = _unrolled_polygon(polygon)
    if not unrolled.is_valid:
        raise QueryError(f"the area is not a valid polygon: {shapely.is_valid_reason(unrolled)}")
    return unrolled


def cell_on_globe(cell: shapely.Polygon) -> shapely.Geometry:
    """The same of an H3 cell's outline; rounding may spoil the smallest at a pole, which is mended."""
    return shapely.make_valid(_unrolled_polygon(cell))


def _unrolled_polygon(polygon: shapely.Polygon) -> shapely.Polygon:
    shell = _unrolled(polygon.exterior)
    west, east = shell[:, 0].min(), shell[:, 0].max()
    holes = []
    for ring in polygon.interiors:
        hole = _unrolled(ring)
        turns = [360 * n for n in (0, -1, 1) if west <= hole[0, 0] + 360 * n <= east]
        holes.append(np.add(hole, (turns[0] if turns else 0, 0)))
    return shapely.Polygon(shell, holes)


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


def turned(shape: shapely.Geometry) -> list[shapely.Geometry]:
    """A shape one turn of the globe west, where it is, and one turn east."""
    return [shapely.transform(shape, lambda xy, x=x: np.add(xy, (x, 0))) for x in (-360, 0, 360)]


def cut_at_antimeridian(polygon: shapely.Geometry) -> shapely.Geometry:
    """What lies on the globe as others want it: in parts within -180 to 180 degrees (RFC 7946, 3.1.9)."""
    parts = shapely.intersection(turned(polygon), shapely.box(-180, -90, 180, 90))
    return shapely.union_all([part for part in parts if part.area > 0], grid_size=GRID_DEG)
