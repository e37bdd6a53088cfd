"""What a person means by a typed place: a cell or coordinates to look for, or a town to look at."""

from collections.abc import Sequence
from dataclasses import dataclass

import h3
import numpy as np

from indexer.errors import QueryError
from indexer.geo.cells import (
    Cells,
    cell_at,
    cell_to_text,
    centres,
    parents,
    parse_cell,
    resolution_of,
)
from indexer.geo.great_circle import distance_km

from .background import Extent, degrees
from .coordinates import LonLatText, parse_lonlat
from .gazetteer import Town, towns_named

# Of cells about 17 km across: a place without rows in its own or one beside it has none near.
NEAR_RESOLUTION = 5
TOWN_DEG = 0.08  # shown around a town, half of the height
OTHERS = 3  # towns of the same name that are told


@dataclass(frozen=True)
class Typed:
    """What was typed, understood."""

    place: str = ""  # to look for, as the URL keeps it
    extent: Extent | None = None  # to look at
    note: str = ""  # to tell


def read_typed(text: str, cells: Cells) -> Typed:
    """What a text means on a table of some cells (n,), in order.

    Raises:
        QueryError: it is no cell, no coordinates and no town.
    """
    place = parse_lonlat(text)
    if place:
        return _of_lonlat(place, cells)
    try:
        return Typed(cell_to_text(parse_cell(text)))
    except QueryError:
        towns = towns_named(text)
    if not towns:
        raise QueryError(
            f"{text.strip()!r} is not an H3 cell, not a longitude and a latitude such as 9.96, 52.09, and no "
            "town that is known here"
        )
    return _of_towns(towns, cells)


def write_lonlat(lon_deg: float, lat_deg: float) -> str:
    """`lon,lat` as the URL keeps it, to a tenth of a metre."""
    return ",".join(f"{angle:.6f}".rstrip("0").rstrip(".") for angle in (lon_deg, lat_deg))


def _of_lonlat(place: LonLatText, cells: Cells) -> Typed:
    """Two bare numbers are taken the other way round where the table has rows there and none here."""
    lon, lat = place.lon_deg, place.lat_deg
    swapped = abs(lon) <= 90 and not place.sure and not _near(lon, lat, cells) and _near(lat, lon, cells)
    if swapped:
        note = f"Read as latitude {lon:g}, longitude {lat:g}: the table has nothing near the other way round."
        return Typed(write_lonlat(lat, lon), note=note)
    return Typed(write_lonlat(lon, lat), note=f"{place.note.capitalize()}." if place.note else "")


def _of_towns(towns: Sequence[Town], cells: Cells) -> Typed:
    town, *others = towns
    lon, lat = town.lon_deg, town.lat_deg
    note = f"{town.name}, {town.country}, {degrees(round(lat, 2), 'NS')} {degrees(round(lon, 2), 'EW')}."
    if not _near(lon, lat, cells):
        away_km = float(distance_km(lon, lat, *centres(cells)).min()) if len(cells) else np.inf
        note += f" The table has no cell near it: the nearest is {away_km:,.0f} km away."
    if others:
        named = ", ".join(f"{other.name}, {other.country}" for other in others[:OTHERS])
        note += f" Others of the name: {named}; add the country."
    wide = TOWN_DEG / max(np.cos(np.radians(lat)), 0.1)
    return Typed(extent=Extent(lon - wide, lat - TOWN_DEG, lon + wide, lat + TOWN_DEG), note=note)


def _near(lon_deg: float, lat_deg: float, cells: Cells) -> bool:
    """Whether any cell lies within some ten kilometres of a place."""
    if not len(cells):
        return False
    resolution = min(NEAR_RESOLUTION, resolution_of(int(cells[0])))
    around = h3.grid_disk(cell_to_text(cell_at(lon_deg, lat_deg, resolution)), 1)
    there = np.array([h3.str_to_int(cell) for cell in around], np.uint64)
    return bool(np.isin(there, parents(cells, resolution)).any())
