"""Where an item says that its pixels lie: in the projection extension, its bbox and its geometry."""

from datetime import UTC, datetime

import numpy as np
import pystac
import pytest
import shapely

from data.grid import PixelGrid
from data.item_grid import MAX_SIDE_PX, _agree, _bounds, _said, item_grid
from data.sample import InputError

TRANSFORM = [10, 0, 600_000, 0, -10, 5_600_000]
GRID = PixelGrid("EPSG:32632", (10, 0, 600_000, 0, -10, 5_600_000), (64, 32))


def item(bbox: list[float] | None = None, geometry: object = None, **properties: object) -> pystac.Item:
    said = {name.replace("_", ":", 1): value for name, value in properties.items()}
    return pystac.Item("i", geometry, bbox, datetime(2024, 1, 1, tzinfo=UTC), said)  # type: ignore[arg-type]


def asset(**fields: object) -> pystac.Asset:
    return pystac.Asset("a.tif", extra_fields={n.replace("_", ":", 1): v for n, v in fields.items()})


FULL = {"proj_code": "EPSG:32632", "proj_transform": TRANSFORM, "proj_shape": [64, 32]}


def test_the_grid_is_the_assets_or_else_the_items() -> None:
    assert item_grid(item(**FULL), asset()) == (GRID, "")
    assert item_grid(item(), asset(**FULL)) == (GRID, "")
    mixed = item_grid(item(**FULL), asset(proj_shape=[32, 16]))
    assert mixed == (PixelGrid(GRID.crs, GRID.transform, (32, 16)), "")
    longer = item_grid(item(**FULL), asset(proj_transform=[*TRANSFORM, 0, 0, 1]))
    assert longer == (GRID, "")


@pytest.mark.parametrize("missing", FULL)
def test_what_is_not_told_whole_is_not_told(missing: str) -> None:
    assert item_grid(item(**{n: v for n, v in FULL.items() if n != missing}), asset()) is None


def test_a_projection_by_code_number_or_text() -> None:
    rest = {n: v for n, v in FULL.items() if n != "proj_code"}
    assert item_grid(item(**rest, proj_epsg=32632), asset()) == (GRID, "")
    found = item_grid(item(**rest, proj_wkt2="EPSG:32632"), asset())
    assert found == (GRID, "")
    both = item_grid(item(**FULL, proj_epsg=4326, proj_wkt2="EPSG:3857"), asset())
    assert both == (GRID, "")


@pytest.mark.parametrize(
    ("shape", "stands"),
    [([1, 1], True), ([0, 5], False), ([5, 0], False), ([-1, 5], False),
     ([MAX_SIDE_PX + 1, 1], False), ([1, MAX_SIDE_PX + 1], False)],
)  # fmt: skip
def test_a_side_has_a_pixel_and_no_more_than_the_equator(shape: list[int], stands: bool) -> None:
    if stands:
        found = item_grid(item(**FULL), asset(proj_shape=shape))
        assert found is not None
        assert found[0].shape == tuple(shape)
    else:
        with pytest.raises(InputError, match="has proj:shape"):
            item_grid(item(**FULL), asset(proj_shape=shape))


def test_gdals_order_is_taken_where_the_place_proves_it() -> None:
    gdal = [600_000, 10, 0, 5_600_000, 0, -10]
    here = [10.40, 50.53, 10.43, 50.55]
    found = item_grid(item(here, **FULL | {"proj_transform": gdal}), asset())
    assert found is not None
    assert found[0] == GRID
    assert "GDAL's order" in found[1]
    with pytest.raises(InputError, match=r"bbox or geometry \(W 40.000 S 1.000 E 41.000 N 2.000"):
        item_grid(item([40, 1, 41, 2], **FULL | {"proj_transform": gdal}), asset())
    with pytest.raises(InputError, match="none given"):
        item_grid(item(**FULL | {"proj_transform": [0, 0, 0, 0, 0, 0]}), asset())


def test_where_an_item_lies() -> None:
    square = shapely.geometry.mapping(shapely.box(1, 2, 3, 4))
    assert _said(item()) is None
    assert _said(item([5, 6, 7, 8])).bounds == (5, 6, 7, 8)  # type: ignore[union-attr]
    assert _said(item([5, 6, 0, 7, 8, 100])).bounds == (5, 6, 7, 8)  # type: ignore[union-attr]
    assert _said(item([170, 6, -170, 8])).bounds == (170, 6, 190, 8)  # type: ignore[union-attr]
    assert _said(item([5, 6, 5, 8])).bounds == (5, 6, 5, 8)  # type: ignore[union-attr]
    assert _said(item([5, 6, 7, 8], square)).bounds == (1, 2, 3, 4)  # type: ignore[union-attr]
    assert _bounds(None) == "none given"


@pytest.mark.parametrize(
    ("said", "agree"),
    [
        ((7.9, 0, 9, 1), True),  # a degree away at most
        ((8.1, 0, 9, 1), False),
        ((0, 7.9, 1, 9), True),
        ((0, 8.1, 1, 9), False),
        ((360, 0, 361, 1), True),
        ((-360, 0, -359, 1), True),
        ((-1.1, -1.1, -1.05, -1.05), False),
    ],
)
def test_what_an_item_says_is_near_its_grid(said: tuple[float, float, float, float], agree: bool) -> None:
    assert _agree(shapely.box(0, 0, 7, 7), shapely.box(*said)) is agree


@pytest.mark.parametrize(
    ("size", "box", "agree"),
    [
        ((7.9, 7.9), 0.1, True),  # not large
        ((8.1, 1), 0.1, False),
        ((1, 8.1), 0.1, False),
        ((16, 16), 2.1, True),  # large, and not eight times as large
        ((16, 1), 1.9, False),
        ((1, 16), 1.9, False),
    ],
)
def test_a_grid_is_not_out_of_all_proportion(size: tuple[float, float], box: float, agree: bool) -> None:
    assert _agree(shapely.box(0, 0, *size), shapely.box(0, 0, box, box)) is agree


def test_a_grid_beyond_its_projection_is_none() -> None:
    far = [10, 0, 1e9, 0, -10, 5_600_000]
    with pytest.raises(InputError, match="contradicts"):
        item_grid(item(**FULL | {"proj_transform": far}), asset())
    south = {"proj_code": "EPSG:4326", "proj_shape": [10, 10]}
    for top, stands in ((90.0, True), (90.1, False)):
        given = item(**south, proj_transform=[1e-3, 0, 0, 0, -1e-3, top])
        if stands:
            assert item_grid(given, asset()) is not None
        else:
            with pytest.raises(InputError, match="contradicts"):
                item_grid(given, asset())
    assert np.isfinite(GRID.footprint().area)
