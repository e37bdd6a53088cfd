"""The area of an import: a box, or the polygons of a GeoJSON file or object."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import shapely

from data.sample import InputError
from indexer.geo.geojson import cut_at_antimeridian, read_polygons

Box = tuple[float, float, float, float]  # west, south, east, north


def given_area(polygons: str | Path | Mapping[str, Any] | None, bbox: Box | None) -> shapely.Geometry | None:
    """Polygons in lon/lat within +-180 degrees; None where neither was given.

    Raises:
        InputError: both were given, or a box that is none.
        QueryError: a file that holds no polygon.
    """
    if polygons is not None and bbox is not None:
        raise InputError("An area came as a box and as polygons: give one of the two.")
    if polygons is not None:
        return cut_at_antimeridian(shapely.union_all(read_polygons(polygons)))
    return None if bbox is None else _box(*bbox)


def _box(west: float, south: float, east: float, north: float) -> shapely.Geometry:
    if not (-90 <= south < north <= 90 and -180 <= west <= 180 and -180 <= east <= 180) or west == east:
        raise InputError(
            f"the box came as {west} {south} {east} {north}; expected W S E N in degrees, south below north, "
            "longitudes from -180 to 180 (W > E crosses the antimeridian)."
        )
    return cut_at_antimeridian(shapely.box(west, south, east if west < east else east + 360, north))
