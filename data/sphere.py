"""The Earth as a sphere, for rooms that do not know `indexer.geo.great_circle`, which has the same radius."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

EARTH_RADIUS_M = 6_371_007.180918475  # of the sphere with the area of WGS 84
METRES_PER_DEGREE = np.pi / 180 * EARTH_RADIUS_M  # of latitude


def on_sphere(lon_deg: ArrayLike, lat_deg: ArrayLike) -> NDArray[np.float64]:
    """Degrees (...) -> unit vectors (..., 3): towards 0 and 90 degrees east, and north."""
    lon, lat = (np.radians(np.asarray(degrees, np.float64)) for degrees in (lon_deg, lat_deg))
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
