"""The area of a command: a box, or the polygons of a GeoJSON file."""

from pathlib import Path

import shapely

from data.sample import InputError
from indexer.geo.geojson import cut_at_antimeridian, read_polygons


def given_area(aoi: Path | None, bbox: tuple[float, float, float, float] | None) -> shapely.Geometry | None:
    """Polygons in lon/lat within +-180 degrees; None where neither was given.

    Raises:
        InputError: both were given, or a box that is none.
        QueryError: a file that holds no polygon.
    """
    if aoi is not None and bbox is not None:
        raise InputError("Give --aoi FILE or --bbox W S E N, not both.")
    if aoi is not None:
        return cut_at_antimeridian(shapely.union_all(read_polygons(aoi)))
    return None if bbox is None else _box(*bbox)


def _box(west: float, south: float, east: float, north: float) -> shapely.Geometry:
    if not (-90 <= south < north <= 90 and -180 <= west <= 180 and -180 <= east <= 180) or west == east:
        raise InputError(
            f"--bbox came as {west} {south} {east} {north}; expected W S E N in degrees, south below north, "
            "longitudes from -180 to 180 (W > E crosses the antimeridian)."
        )
    return cut_at_antimeridian(shapely.box(west, south, east if west < east else east + 360, north))
