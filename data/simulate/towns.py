"""Settlement: streets around blocks of lots with houses and gardens, works at the edge, roads between."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .noise import Field

Ids = NDArray[np.int32]

BLOCK_M = (104.0, 72.0)  # from street to street
STREET_M = 8.0
LOTS = (4, 2)  # in one block
_PERIOD = 16  # street blocks have ids modulo 16 in both directions
STREET_BLOCKS = _PERIOD * _PERIOD
HOUSES = STREET_BLOCKS * LOTS[0] * LOTS[1]


@dataclass(frozen=True)
class TownUnits:
    """Unit ids; where many, the first of them."""

    house: int  # HOUSES roofs
    garden: int  # HOUSES lawns
    works: int  # STREET_BLOCKS large roofs
    asphalt: int
    tree: int


@dataclass(frozen=True)
class Buildings:
    """How each lot and street block is built on."""

    half_m: Field  # (HOUSES, 2) half of the house's sides
    offset_m: Field  # (HOUSES, 2) of the house from the lot's centre
    use: Field  # (STREET_BLOCKS,) uniform in 0..1: low is a park, high are works


def make_buildings(rng: np.random.Generator) -> Buildings:
    half_m = rng.uniform((4.0, 3.5), (8.0, 6.0), (HOUSES, 2)) * (rng.random((HOUSES, 1)) < 0.93)
    offset_m = rng.uniform(-3, 3, (HOUSES, 2))
    return Buildings(
        half_m.astype(np.float32), offset_m.astype(np.float32), rng.random(STREET_BLOCKS, np.float32)
    )


def town_units(
    buildings: Buildings, ids: TownUnits, u: Field, v: Field, out: Field, trees: NDArray[np.bool_]
) -> Ids:
    """The unit at each point of a town.

    u, v are metres along its streets from its centre; `out` is 0 at the centre and 1 at the edge; gardens
    have trees where `trees` is true.
    """
    (bu, fu), (bv, fv) = (_divide(p, size) for p, size in zip((u, v), BLOCK_M, strict=True))
    street = (fu < STREET_M) | (fv < STREET_M)
    block = (bu % _PERIOD) * _PERIOD + bv % _PERIOD
    lot_m = tuple((size - STREET_M) / n for size, n in zip(BLOCK_M, LOTS, strict=True))
    (lu, au), (lv, av) = (_divide(f - STREET_M, size) for f, size in zip((fu, fv), lot_m, strict=True))
    lot = block * (LOTS[0] * LOTS[1]) + np.clip(lu, 0, LOTS[0] - 1) * LOTS[1] + np.clip(lv, 0, LOTS[1] - 1)

    half_m = buildings.half_m[lot] * (1 + 0.5 * (out < 0.35))[..., None]
    from_centre = np.stack([au - lot_m[0] / 2, av - lot_m[1] / 2], axis=-1) - buildings.offset_m[lot]
    house = (np.abs(from_centre) < half_m).all(axis=-1)
    unit = np.where(house, ids.house + lot, np.where(trees, ids.tree, ids.garden + lot))

    use = buildings.use[block]
    park, works = use < 0.07, (use > 0.72) & (out > 0.5)
    unit = np.where(park, np.where(trees, ids.tree, ids.garden + block), unit)
    hall = (fu > 24) & (fu < 88) & (fv > 20) & (fv < 60)
    unit = np.where(works, np.where(hall, ids.works + block, ids.asphalt), unit)
    return np.where(street, ids.asphalt, unit).astype(np.int32)


def distance_to_road(x: Field, y: Field, stops: tuple[tuple[float, float], ...]) -> Field:
    """Metres from the polyline through the stops."""
    nearest = np.full(x.shape, np.inf, np.float32)
    for (x0, y0), (x1, y1) in pairwise(stops):
        dx, dy = x1 - x0, y1 - y0
        along = np.clip(((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy), 0, 1)
        nearest = np.minimum(nearest, np.hypot(x - x0 - along * dx, y - y0 - along * dy))
    return nearest


def _divide(position_m: Field, size_m: float) -> tuple[Ids, Field]:
    index = np.floor(position_m / size_m)
    return index.astype(np.int32), position_m - index * np.float32(size_m)
