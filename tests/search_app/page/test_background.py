"""Degrees in words, and the land."""

import json

import pytest
import shapely

from search_app.page.background import LAND, degrees


def test_land_is_where_land_is() -> None:
    world = shapely.union_all([shapely.Polygon(ring).buffer(0) for ring in json.loads(LAND.read_text())])
    for lon, lat in ((10, 47), (-55, -12), (135, -25), (-100, 40)):
        assert world.contains(shapely.Point(lon, lat))
    for lon, lat in ((-30, 40), (80, -20), (-140, 0)):
        assert not world.contains(shapely.Point(lon, lat))


@pytest.mark.parametrize(
    ("value", "letters", "text"),
    [(9.25, "EW", "9.25° E"), (-3.0, "NS", "3° S"), (181.0, "EW", "179° W"), (-181.5, "EW", "178.5° E")],
)
def test_degrees_in_words(value: float, letters: str, text: str) -> None:
    assert degrees(value, letters) == text
