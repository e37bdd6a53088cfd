"""Land and graticule."""

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from search_app.page.background import STEPS_DEG, Extent, degrees, graticule, land, step_deg


def test_land_is_where_land_is() -> None:
    world = shapely.union_all([shapely.Polygon(ring).buffer(0) for ring in land()])
    for lon, lat in ((10, 47), (-55, -12), (135, -25), (-100, 40)):
        assert world.contains(shapely.Point(lon, lat))
    for lon, lat in ((-30, 40), (80, -20), (-140, 0)):
        assert not world.contains(shapely.Point(lon, lat))


@given(st.floats(-180, 179), st.floats(-84, 80), st.floats(0.02, 60), st.floats(0.02, 4))
def test_lines_cover_the_extent_and_labels_stay_beside_it(
    west: float, south: float, width: float, height: float
) -> None:
    extent = Extent(west, south, west + width, south + height)
    paths, labels = graticule(extent)
    points = [point for path in paths for point in path]
    assert min(lon for lon, _ in points) <= extent.west
    assert max(lon for lon, _ in points) >= extent.east
    assert all(abs(lat) <= 85 for _, lat in points)
    assert len(paths) < 60
    for (lon, lat), text in labels:
        assert lon <= extent.east
        assert lat <= extent.north
        assert "°" in text


def test_about_five_lines_whatever_the_size() -> None:
    for step in STEPS_DEG:
        assert step_deg(Extent(0, 0, 5 * step, step)) == step


@pytest.mark.parametrize(
    ("value", "letters", "text"),
    [(9.25, "EW", "9.25° E"), (-3.0, "NS", "3° S"), (181.0, "EW", "179° W"), (-181.5, "EW", "178.5° E")],
)
def test_degrees_in_words(value: float, letters: str, text: str) -> None:
    assert degrees(value, letters) == text
