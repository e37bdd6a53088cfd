import h3
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from data import area as area_module
from data.area import cells_in, check_area
from data.sample import InputError

from ..tolerance import gamma

EDGE_DEG = 180 * gamma(100, np.float64)  # degrees to radians, back, and where an edge crosses: 100 roundings


@settings(deadline=None, max_examples=15)
@given(st.floats(-179, 178), st.floats(-85, 84), st.floats(0.05, 1.0))
def test_cells_are_those_whose_centre_lies_in_the_area(west, south, size):
    hole = shapely.box(west + size / 4, south + size / 4, west + size / 2, south + size / 2)
    area = shapely.box(west, south, west + size, south + size) - hole
    middle = h3.latlng_to_cell(south + size / 2, west + size / 2, 6)
    ring = 2 + int(size * 111_000 / h3.average_hexagon_edge_length(6, unit="m"))
    centres = {
        h3.str_to_int(cell): shapely.Point(h3.cell_to_latlng(cell)[::-1])
        for cell in h3.grid_disk(middle, ring)
    }
    inside, not_outside = (
        {cell for cell, centre in centres.items() if area.buffer(margin).covers(centre)}
        for margin in (-EDGE_DEG, EDGE_DEG)
    )
    found = cells_in(area, 6)
    assert inside <= set(found.tolist()) <= not_outside
    assert (np.diff(found.astype(np.int64)) > 0).all()


def test_areas_wider_than_half_the_globe_and_around_a_pole():
    band = cells_in(shapely.box(-180, 60, 180, 62), 2)
    assert len(band) == sum(
        60 <= h3.cell_to_latlng(c)[0] <= 62 for c in h3.uncompact_cells(h3.get_res0_cells(), 2)
    )
    cap = cells_in(shapely.box(-180, 85, 180, 90), 3)
    pole = h3.str_to_int(h3.latlng_to_cell(90, 0, 3))
    assert pole in cap or h3.cell_to_latlng(h3.int_to_str(pole))[0] < 85
    assert len(cap) > 10


def test_an_area_in_two_parts_at_the_antimeridian():
    area = shapely.union_all([shapely.box(179.9, 10, 180, 10.2), shapely.box(-180, 10, -179.9, 10.2)])
    lons = [h3.cell_to_latlng(h3.int_to_str(int(c)))[1] for c in cells_in(area, 7)]
    assert min(lons) < -179.9
    assert max(lons) > 179.9


@pytest.mark.parametrize(
    ("area", "message"),
    [
        (shapely.Point(1, 2), "is a Point"),
        (shapely.Polygon(), "empty"),
        (shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]), "not a valid polygon .*Self-intersection"),
        (shapely.box(500_000, 5_600_000, 501_000, 5_601_000), "OGC:CRS84"),
        (shapely.box(170, 0, 190, 1), "cut it in two at the antimeridian"),
    ],
)
def test_what_is_no_area_in_lon_lat_is_an_input_error(area, message):
    with pytest.raises(InputError, match=message):
        check_area(area)


def test_an_absurd_number_of_cells_is_refused():
    with pytest.raises(InputError, match="20,000,000 at most"):
        cells_in(shapely.box(-180, -90, 180, 90), 9)


@pytest.mark.parametrize("area", [shapely.box(5, 45, 9, 49), shapely.box(-100, -60, -40, 0)])
def test_cells_are_counted_before_they_are_made(area):
    assert area_module._estimated_count(area, 4) == pytest.approx(len(cells_in(area, 4)), rel=0.05)


@pytest.mark.parametrize(("most", "taken"), [(1.2, True), (0.8, False)])
def test_an_area_has_so_many_cells_at_most(monkeypatch, most, taken):
    area = shapely.box(5, 45, 6, 46)
    count = area_module._estimated_count(area, 6)
    monkeypatch.setattr(area_module, "MAX_CELLS", most * count)
    if taken:
        assert 0.8 * count < len(cells_in(area, 6)) < 1.2 * count
    else:
        with pytest.raises(InputError, match=f"about {count:,.0f} cells"):
            cells_in(area, 6)


@pytest.mark.parametrize(
    ("box", "taken"),
    [((-180, -90, 180, 90), True), ((-180.1, 0, 0, 1), False), ((0, 0, 180.1, 1), False),
     ((0, -90.1, 1, 0), False), ((0, 0, 1, 90.1), False)],
)  # fmt: skip
def test_an_area_lies_on_the_globe(box, taken):
    if taken:
        assert check_area(shapely.box(*box)).bounds == box
    else:
        with pytest.raises(InputError, match="the area spans x"):
            check_area(shapely.box(*box))


def test_cells_of_parts_and_across_strips_come_once_in_order():
    wide = shapely.box(-10, 10, 130, 12)  # over three strips of 60 degrees
    west, east = shapely.box(-10, 10, 50, 12), shapely.box(50, 10, 130, 12)
    both = cells_in(wide, 4)
    assert (both[1:] > both[:-1]).all()
    assert both.tolist() == sorted({*cells_in(west, 4).tolist(), *cells_in(east, 4).tolist()})
    assert len(cells_in(shapely.Polygon(), 4)) == 0
