"""Shapes in a URL."""

import numpy as np
import pytest

from indexer.errors import QueryError
from indexer.geo.cells import centres
from indexer.geo.search_area import Region
from search_app.page.question import to_search_filter
from search_app.page.shapes import WITHIN, is_shape, region_of
from search_app.page.url_state import View

from ..make_table import CELLS

IDS = np.array(CELLS, np.uint64)
LON, LAT = centres(IDS)


def holds(ring: list[tuple[float, float]], lon: float, lat: float) -> bool:
    """Whether a line to the east crosses a ring an odd number of times: what the browser counts by."""
    inside = False
    for (ax, ay), (bx, by) in zip([ring[-1], *ring[:-1]], ring, strict=True):
        if (ay > lat) != (by > lat) and lon < (bx - ax) * (lat - ay) / (by - ay) + ax:
            inside = not inside
    return inside


def written(*rings: list[tuple[float, float]]) -> str:
    return WITHIN + ";".join(",".join(f"{lon} {lat}" for lon, lat in ring) for ring in rings)


def elsewhere(shape: str) -> Region:
    """Where what looks like a shape is looked for."""
    region = to_search_filter(View(like=(shape,))).region
    assert region is not None
    return region


BOX = [(9.99, 46.99), (10.01, 46.99), (10.01, 47.003), (9.99, 47.003)]
BOW_TIE = [(9.985, 46.99), (10.015, 47.012), (10.015, 46.99), (9.985, 47.012)]  # crosses itself
APART = [(10.012, 47.0), (10.02, 47.0), (10.02, 47.01)]


@pytest.mark.parametrize("rings", [[BOX], [BOW_TIE], [BOX, APART], [BOX, BOW_TIE]])
def test_a_shape_holds_what_the_browser_says(rings: list[list[tuple[float, float]]]) -> None:
    shape = written(*rings)
    assert is_shape(shape)
    expected = [
        any(holds(ring, lon, lat) for ring in rings)
        for lon, lat in zip(LON.tolist(), LAT.tolist(), strict=True)
    ]
    found = region_of(shape).rows(IDS).rows()
    assert found.tolist() == np.flatnonzero(expected).tolist()
    assert 0 < len(found) < len(IDS)
    rest = elsewhere(shape).rows(IDS).rows()
    assert sorted([*found.tolist(), *rest.tolist()]) == list(range(len(IDS)))


def test_a_shape_over_the_antimeridian_has_an_outside() -> None:
    fiji = written([(179, -18), (181, -18), (181, -16), (179, -16)])
    lon, lat = np.array([179.5, -179.5, 178.0, -178.0]), np.full(4, -17.0)
    assert region_of(fiji).shapes[0].holds(lon, lat).tolist() == [True, True, False, False]  # type: ignore[attr-defined]
    assert elsewhere(fiji).shapes[0].holds(lon, lat).tolist() == [False, False, True, True]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ("within:", "three corners"),
        ("within:1 2,3 4", "three corners"),
        ("within:a b,c d,e f", "lon lat"),
        ("within:1 2 3,4 5 6,7 8 9", "each lon lat"),
        ("within:1 2,3 4 5,6 7", "lon lat"),
        ("within:1 2,3 nan,5 6", "degrees"),
        ("within:1 2,3 95,5 6", "degrees"),
        ("within:1 1,2 2,3 3", "holds nothing"),
        ("within:" + ",".join(["1 2"] * 1001), "at most 1,000"),
    ],
)
def test_what_is_no_shape_is_explained(shape: str, says: str) -> None:
    with pytest.raises(QueryError, match=says):
        region_of(shape)
