"""What people bring along: images, vectors and areas, by their contents. A link names them, and holds none.

They stay in the server's memory, so that Back and a reload find them; a project file carries them to others.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from indexer.errors import QueryError
from indexer.recent import Recent
from indexer.search.query import Vector

UPLOAD = "upload:"
MOST_BYTES = 256 << 20  # of all together
MOST_OF_A_FILE = 64 << 20  # bytes
MOST_DRAWN = 1000  # corners of an area on the map
MOST_LETTERS = 60  # of a name in a link


@dataclass(frozen=True)
class Brought:
    """A vector or an area, and what its file was called."""

    name: str
    vector: np.ndarray | None = None  # (d,) float32
    sensors: Sequence[str] = ()  # that the vector was made from
    area: shapely.Geometry | None = None  # in lon/lat, within -180 to 180

    @property
    def content(self) -> bytes:
        """What tells it from others."""
        return shapely.to_wkb(self.area) if self.vector is None else self.vector.astype("<f4").tobytes()


_kept: Recent[Brought] = Recent(MOST_BYTES, lambda brought: len(brought.content))


def check_size(name: str, content: bytes) -> None:
    """Raises `QueryError` for a file that is larger than is taken."""
    if len(content) > MOST_OF_A_FILE:
        size, most = len(content) / 1e6, MOST_OF_A_FILE / 1e6
        raise QueryError(f"{name} has {size:,.0f} MB: expected {most:.0f} at most")


def is_upload(place: str) -> bool:
    """Whether a place of a URL is something that was brought."""
    return place.startswith(UPLOAD)


def bring(brought: Brought) -> str:
    """Keep it; the place that stands for it in a view."""
    digest = hashlib.sha256(brought.content).hexdigest()[:16]
    _kept.get(digest, lambda: brought)
    return f"{UPLOAD}{digest}/{brought.name[-MOST_LETTERS:]}"


def name_of(place: str) -> str:
    """What an upload was called."""
    return place.removeprefix(UPLOAD).partition("/")[2] or "upload"


def find_brought(place: str) -> Brought:
    """Raises `QueryError` for what is not, or no longer, here."""
    digest = place.removeprefix(UPLOAD).partition("/")[0]

    def missing() -> Brought:
        raise QueryError(
            f"{name_of(place)!r} was uploaded elsewhere, or before this page was started: upload it again, "
            "or open the project file of the question"
        )

    return _kept.get(digest, missing)


def vector_of(place: str) -> Vector:
    """An upload as an example. Raises `QueryError`."""
    brought = find_brought(place)
    if brought.vector is None:
        raise QueryError(f"{name_of(place)!r} is an area, no example: take it as a limit")
    return Vector(brought.vector, brought.sensors)


def area_of_upload(place: str) -> shapely.Geometry:
    """An upload as an area. Raises `QueryError`."""
    brought = find_brought(place)
    if brought.area is None:
        raise QueryError(f"{name_of(place)!r} is an example, no area: look for what is like it")
    return brought.area


def shape_of_upload(place: str) -> str:
    """An area's outer rings as the map draws shapes, to a thousandth of its width; "" if it is not here."""
    try:
        area = area_of_upload(place)
    except QueryError:
        return ""
    west, south, east, north = area.bounds
    if shapely.get_num_coordinates(area) > MOST_DRAWN:
        area = shapely.simplify(area, max(east - west, north - south) / MOST_DRAWN)
    rings = [shapely.get_coordinates(shapely.get_exterior_ring(part)) for part in shapely.get_parts(area)]
    return ";".join(",".join(f"{lon:.6g} {lat:.6g}" for lon, lat in ring[:-1]) for ring in rings)
