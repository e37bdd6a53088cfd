"""What the hexagons lie on without a base map: land, and a graticule that names its degrees."""

import json
from functools import cache
from math import floor, log2
from pathlib import Path
from typing import NamedTuple

Ring = list[list[float]]  # [lon_deg, lat_deg] pairs, closed
STEPS_DEG = (30.0, 10.0, 5.0, 2.0, 1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01)
LABELS_OFF = 0.09  # of the extent's side, between it and its labels
MAX_LAT_DEG = 85.0  # Web Mercator ends here


class Extent(NamedTuple):
    """A box in degrees; west is below east also across the antimeridian, where lon runs past 180."""

    west: float
    south: float
    east: float
    north: float


@cache
def land() -> list[Ring]:
    """Outer rings of the land masses, from Natural Earth 1:110m (public domain), good to about 0.1 degree."""
    rings: list[Ring] = json.loads((Path(__file__).parent / "land.json").read_text())
    return rings


def step_deg(extent: Extent) -> float:
    """Spacing of the graticule that puts about five lines across the extent."""
    span = max(extent.east - extent.west, extent.north - extent.south)
    return min(STEPS_DEG, key=lambda step: abs(log2(span / step / 5)) if span else step)


def graticule(extent: Extent) -> tuple[list[Ring], list[tuple[list[float], str]]]:
    """Meridians and parallels over the extent and three steps beyond, and labels below and beside it.

    Returns:
        paths, each of [lon_deg, lat_deg]; labels as (position, text).
    """
    step = step_deg(extent)
    west, south = floor(extent.west / step) - 3, max(floor(extent.south / step) - 3, -MAX_LAT_DEG / step)
    east, north = floor(extent.east / step) + 4, min(floor(extent.north / step) + 4, MAX_LAT_DEG / step)
    lons = [round(i * step, 6) for i in range(west, east + 1)]
    lats = [round(i * step, 6) for i in range(round(south), round(north) + 1)]
    paths = [[[lon, lats[0]], [lon, lats[-1]]] for lon in lons]
    paths += [[[lons[0], lat], [lons[-1], lat]] for lat in lats]
    below = max(extent.south - LABELS_OFF * (extent.north - extent.south), -MAX_LAT_DEG)
    beside = extent.west - LABELS_OFF * (extent.east - extent.west)
    labels = [([lon, below], degrees(lon, "EW")) for lon in lons if extent.west <= lon <= extent.east]
    labels += [([beside, lat], degrees(lat, "NS")) for lat in lats if extent.south <= lat <= extent.north]
    return paths, labels


def degrees(value: float, letters: str) -> str:
    """`9.25° E` for (9.25, "EW"), `3° S` for (-3, "NS"); longitudes past 180 wrap."""
    if letters == "EW":
        value = (value + 180) % 360 - 180
    return f"{abs(value):g}° {letters[int(value < 0)]}"
