"""Where rows near a place may lie."""

import h3
import numpy as np
import pytest

from indexer.geo.cells import cells_at
from indexer.search.locate import surroundings


@pytest.mark.parametrize("radius_km", [0.3, 5.0, 60.0])
@pytest.mark.parametrize(("lon_deg", "lat_deg"), [(11.0, 48.0), (179.99, -17.0), (0.0, 89.9)])
def test_all_within_a_distance_lies_in_the_surroundings(
    lon_deg: float, lat_deg: float, radius_km: float
) -> None:
    cell = int(cells_at(np.array([lon_deg]), np.array([lat_deg]), 10)[0])
    around = [h3.int_to_str(coarse) for coarse in surroundings(cell, radius_km)]
    assert len(around) in (6, 7)  # fewer around a pentagon
    resolution = h3.get_resolution(around[0])
    assert h3.average_hexagon_edge_length(resolution, "km") >= radius_km
    if resolution < 10:
        assert h3.average_hexagon_edge_length(resolution + 1, "km") < radius_km
    bearing = np.radians(np.arange(0, 360, 10))
    reach = np.degrees(radius_km / 6371)
    near_lat = lat_deg + reach * np.cos(bearing)
    near_lon = lon_deg + reach * np.sin(bearing) / np.cos(np.radians(lat_deg))
    known = near_lat <= 90
    near = zip(near_lat[known], (near_lon[known] + 180) % 360 - 180, strict=True)
    assert {h3.latlng_to_cell(lat, lon, resolution) for lat, lon in near} <= set(around)
