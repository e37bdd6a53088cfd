"""Rows become cells, each with one value."""

import h3
import numpy as np

from search_app.page.map_cells import extent_of, find_areas, group_by_cell, middle


def disk(lat: float, lon: float, resolution: int, radius: int) -> np.ndarray:
    cells = h3.grid_disk(h3.latlng_to_cell(lat, lon, resolution), radius)
    return np.array(sorted(map(h3.str_to_int, cells)), np.uint64)


ALPS, AMAZON = disk(47, 10, 7, 6), disk(-12, -55, 7, 3)


def test_a_cell_takes_the_best_value_and_the_commonest_kind_of_its_rows() -> None:
    cells = group_by_cell(np.repeat(ALPS[:3], [3, 1, 2]))
    value = np.array([0.1, np.nan, 0.7, np.nan, 0.2, 0.3], np.float32)
    assert cells.cell.tolist() == ALPS[:3].tolist()
    assert cells.rows.tolist() == [3, 1, 2]
    assert np.array_equal(cells.best(value), np.array([0.7, np.nan, 0.3], np.float32), equal_nan=True)
    assert cells.commonest(np.array([2, 0, 2, -1, -1, 1])).tolist() == [2, -1, 1]


def test_an_empty_table_has_no_cells() -> None:
    empty = group_by_cell(np.zeros(0, np.uint64))
    assert len(empty.cell) == 0
    assert len(empty.best(np.zeros(0, np.float32))) == 0
    assert find_areas(empty.cell) == []
    assert not empty.scattered


def test_areas_are_what_lies_apart_the_largest_first() -> None:
    areas = find_areas(np.sort(np.r_[ALPS, AMAZON]))
    assert [area.rows for area in areas] == [len(ALPS), len(AMAZON)]
    assert abs(areas[0].lon_deg - 10) < 0.1
    assert abs(areas[0].lat_deg - 47) < 0.1
    both = group_by_cell(np.sort(np.r_[ALPS, AMAZON]))
    assert both.within(areas[1].cells).tolist() == AMAZON.tolist()
    assert both.within(np.zeros(0, np.uint64)).tolist() == both.cell.tolist()


def test_cells_side_by_side_are_not_scattered_and_chips_are() -> None:
    assert not group_by_cell(ALPS).scattered
    chips = np.array(
        sorted(h3.str_to_int(h3.latlng_to_cell(lat, 10, 12)) for lat in range(40, 60)), np.uint64
    )
    assert group_by_cell(chips).scattered


def test_the_extent_and_the_middle_hold_across_the_antimeridian() -> None:
    fiji = disk(-17, 180, 7, 3)
    extent = extent_of(fiji)
    assert 179 < extent.west < 180 < extent.east < 181
    lon, lat = middle(fiji)
    assert abs(abs(lon) - 180) < 0.05
    assert abs(lat + 17) < 0.05
    assert extent_of(ALPS).east < 11
