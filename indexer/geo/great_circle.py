"""Distance on the globe, taken for a sphere: the one place that knows how large it is."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

EARTH_RADIUS_KM = 6371.007180918475  # of the sphere with the area of WGS 84, as in the H3 library
KM_PER_DEGREE = np.pi / 180 * EARTH_RADIUS_KM
METRES_PER_DEGREE = 1000 * KM_PER_DEGREE

Floats = NDArray[np.float64]


def distance_km(lon1: ArrayLike, lat1: ArrayLike, lon2: ArrayLike, lat2: ArrayLike) -> Floats:
    """Great-circle distance by the haversine formula; degrees in, kilometres out."""
    lon1, lat1, lon2, lat2 = (np.radians(np.asarray(x, np.float64)) for x in (lon1, lat1, lon2, lat2))
    haversine = np.sin((lat2 - lat1) / 2) ** 2 + np.cos(lat1) * np.cos(lat2) * np.sin((lon2 - lon1) / 2) ** 2
    return np.asarray(2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.minimum(haversine, 1.0))))
