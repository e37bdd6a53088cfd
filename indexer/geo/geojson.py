"""Polygons, from GeoJSON and back, on the globe: no jumps at the antimeridian, closed over a pole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from ..errors import QueryError

GRID_DEG = 1e-7  # a centimetre: what was one line before it was turned around the globe is one again


def read_polygons(source: str | Path | Mapping[str, Any]) -> list[shapely.Polygon]:
    """All polygons of a GeoJSON object or file, each `on_globe`. Raises `QueryError`."""
    return [on_globe(polygon) for polygon in _polygons(_read_geojson(source))]


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
        raise QueryError(f"the area is a {kind}: expected a Polygon or MultiPolygon, or features of them")
    if not polygons or any(polygon.is_empty for polygon in polygons):
        raise QueryError("the area is empty: expected at least one polygon, and corners in each")
    return polygons


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


def cut_at_antimeridian(polygon: shapely.Geometry) -> shapely.Geometry:
    """What lies on the globe as others want it: in parts within -180 to 180 degrees (RFC 7946, 3.1.9)."""
    turns = [shapely.transform(polygon, lambda xy, x=x: np.add(xy, (x, 0))) for x in (-360, 0, 360)]
    parts = [shapely.intersection(turned, shapely.box(-180, -90, 180, 90)) for turned in turns]
    return shapely.union_all([part for part in parts if part.area > 0], grid_size=GRID_DEG)
