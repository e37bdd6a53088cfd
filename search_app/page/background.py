"""Boxes and degrees, and where the outline of the land is kept."""

from pathlib import Path
from typing import NamedTuple

# Outer rings of the land masses, from Natural Earth 1:110m (public domain), good to about 0.1 degree.
LAND = Path(__file__).parent / "land.json"


class Extent(NamedTuple):
    """A box in degrees; west is below east also across the antimeridian, where lon runs past 180."""

    west: float
    south: float
    east: float
    north: float


def degrees(value: float, letters: str) -> str:
    """`9.25° E` for (9.25, "EW"), `3° S` for (-3, "NS"); longitudes past 180 wrap."""
    if letters == "EW":
        value = (value + 180) % 360 - 180
    return f"{abs(value):g}° {letters[int(value < 0)]}"
