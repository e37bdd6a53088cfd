"""What may be trained on: no test or validation place, nothing near a test place, no share-alike licence."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pystac
import shapely
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from .sample import InputError
from .sphere import METRES_PER_DEGREE, on_sphere

BUFFER_M = 5000.0
LICENCES = frozenset(
    {"MIT", "CC-BY-4.0", "CDLA-Permissive-1.0", "CC0-1.0"}
)  # of imagery behind shipped weights


@dataclass(frozen=True)
class SplitRules:
    """The places of a `split.json`."""

    test: frozenset[str]
    validation: frozenset[str]
    unused: frozenset[str]

    @classmethod
    def read(cls, path: Path) -> "SplitRules":
        """Reads the lists `test`, `validation` and `unused_in_training`. Raises InputError without them."""
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            return cls(*(frozenset(values[name]) for name in ("test", "validation", "unused_in_training")))
        except (OSError, ValueError, KeyError) as error:
            raise InputError(
                f"{path} is no split of places ({error}): expected test, validation and unused_in_training"
            ) from error


@dataclass(frozen=True)
class Ground:
    """One place of a catalog: where it lies and under which terms."""

    place: str
    footprints: tuple[BaseGeometry, ...]  # lon/lat degrees, one per item
    licences: frozenset[str]


def read_grounds(catalog: Path) -> dict[str, Ground]:
    """The places of a STAC catalog, by name. An item without `place` is a place of its own."""
    items: dict[str, list[pystac.Item]] = {}
    for item in pystac.Catalog.from_file(str(catalog)).get_items(recursive=True):
        items.setdefault(item.properties.get("place", item.id), []).append(item)
    return {
        place: Ground(
            place,
            tuple(shape(item.geometry) for item in members),
            frozenset(str(item.properties.get("license")) for item in members),
        )
        for place, members in items.items()
    }


def refusals(
    grounds: Mapping[str, Ground], test: Sequence[BaseGeometry], rules: SplitRules
) -> dict[str, str]:
    """Why each place that may not be trained on may not: by place.

    Args:
        grounds: Places to judge.
        test: Footprints of all test places, of this catalog and of others.
        rules: The split.
    """
    why = {place: _refusal(ground, test, rules) for place, ground in grounds.items()}
    return {place: reason for place, reason in why.items() if reason}


def _refusal(ground: Ground, test: Sequence[BaseGeometry], rules: SplitRules) -> str:
    if ground.place in rules.test:
        return "test place"
    if ground.place in rules.validation:
        return "validation place"
    if ground.place in rules.unused:
        return "unused in training"
    if foreign := ground.licences - LICENCES:
        return f"terms {', '.join(sorted(foreign))}"
    nearest = min((distance_m(a, b) for a in ground.footprints for b in test), default=math.inf)
    return f"{nearest / 1000:.1f} km from a test place" if nearest <= BUFFER_M else ""


def distance_m(a: BaseGeometry, b: BaseGeometry) -> float:
    """Metres between two lon/lat geometries on a plane around `a`: true to 2 % over 20 km below 75 deg."""
    centre = a.centroid
    return float(_flat(a, centre.x, centre.y).distance(_flat(b, centre.x, centre.y)))


def _flat(geometry: BaseGeometry, lon_deg: float, lat_deg: float) -> BaseGeometry:
    """Metres east and north of a point."""
    scale = np.array([math.cos(math.radians(lat_deg)), 1.0]) * METRES_PER_DEGREE

    def project(lonlat: np.ndarray) -> np.ndarray:
        offset = lonlat - (lon_deg, lat_deg)
        offset[:, 0] = (offset[:, 0] + 180) % 360 - 180  # the short way over the antimeridian
        return np.asarray(offset * scale)

    return shapely.transform(geometry, project)


def far_from_footprints(
    lonlat: np.ndarray, footprints: Sequence[BaseGeometry], metres: float = BUFFER_M
) -> np.ndarray:
    """True for each point (n, 2) in degrees that lies farther than `metres` from all footprints."""
    far = np.ones(len(lonlat), dtype=bool)
    for footprint in footprints:
        centre = footprint.centroid
        points = _flat(shapely.multipoints(lonlat), centre.x, centre.y)
        distance = shapely.distance(shapely.get_parts(points), _flat(footprint, centre.x, centre.y))
        far &= distance > metres
    return far


def far_from_points(lonlat: np.ndarray, others: np.ndarray, metres: float = BUFFER_M) -> np.ndarray:
    """True for each point (n, 2) in degrees that lies farther than `metres` from all others (m, 2)."""
    limit = math.cos(math.radians(metres / METRES_PER_DEGREE))
    unit, other_unit = on_sphere(*lonlat.T), on_sphere(*others.T)
    far = np.ones(len(lonlat), dtype=bool)
    for start in range(0, len(lonlat), 4096):
        cosine = unit[start : start + 4096] @ other_unit.T  # (4096, m)
        far[start : start + 4096] = (cosine < limit).all(axis=1)
    return far
