"""What the hexagons lie on without a base map: land, and a graticule that names its degrees."""

import json
from functools import cache
from math import floor, log2
from pathlib import Path
from typing import NamedTuple

Ring = list[list[float]]  # [lon_deg, lat_deg] pairs, closed
STEPS_DEG = (30.0, 10.0, 5.0, 2.0, 1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01)
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
    """Meridians and parallels over the extent and one step beyond, and labels where they cross its edges.

    Returns:
        paths, each of [lon_deg, lat_deg]; labels as (position, text).
    """
    step = step_deg(extent)
    west, south = floor(extent.west / step) - 1, max(floor(extent.south / step) - 1, -MAX_LAT_DEG / step)
    east, north = floor(extent.east / step) + 2, min(floor(extent.north / step) + 2, MAX_LAT_DEG / step)
    lons = [round(i * step, 6) for i in range(west, east + 1)]
    lats = [round(i * step, 6) for i in range(round(south), round(north) + 1)]
    paths = [[[lon, lats[0]], [lon, lats[-1]]] for lon in lons]
    paths += [[[lons[0], lat], [lons[-1], lat]] for lat in lats]
    labels = [([lon, lats[0]], degrees(lon, "EW")) for lon in lons[1:-1]]
    labels += [([lons[0], lat], degrees(lat, "NS")) for lat in lats[1:-1]]
    return paths, labels


def degrees(value: float, letters: str) -> str:
    """`9.25° E` for (9.25, "EW"), `3° S` for (-3, "NS"); longitudes past 180 wrap."""
    if letters == "EW":
        value = (value + 180) % 360 - 180
    return f"{abs(value):g}° {letters[value < 0]}"
