"""Where the map looks."""

import h3
import numpy as np

from search_app.page.map_cells import MAX_DRAWN, MapCells, find_areas, group_by_cell
from search_app.page.map_panel import ALL, area_of, choose_focus, focus_cells, zoom_target


def disk(lat: float, lon: float, radius: int) -> list[int]:
    return [h3.str_to_int(cell) for cell in h3.grid_disk(h3.latlng_to_cell(lat, lon, 9), radius)]


def cells_of(*parts: list[int]) -> MapCells:
    cell = np.array(sorted(cell for part in parts for cell in part), np.uint64)
    return group_by_cell(cell, np.full(len(cell), np.nan, np.float32), np.full(len(cell), -1))


ALPS, AMAZON, NEARBY = disk(47, 10, 12), disk(-12, -55, 10), disk(47.2, 10.3, 10)
APART = cells_of(ALPS, AMAZON)
AREAS = find_areas(APART.cell)
IN_AMAZON = h3.int_to_str(AMAZON[0])


def test_far_apart_the_largest_area_is_looked_at_first() -> None:
    assert choose_focus("", AREAS, APART, "") == AREAS[0].key
    assert area_of(h3.int_to_str(ALPS[0]), AREAS) is AREAS[0]


def test_a_query_takes_the_map_to_its_area() -> None:
    assert choose_focus("", AREAS, APART, IN_AMAZON) == AREAS[1].key


def test_what_the_link_wants_comes_first_if_the_table_has_it() -> None:
    assert choose_focus(ALL, AREAS, APART, IN_AMAZON) == ALL
    assert choose_focus(AREAS[1].key, AREAS, APART, "") == AREAS[1].key
    inside = h3.cell_to_parent(IN_AMAZON, 6)
    assert choose_focus(inside, AREAS, APART, "") == inside
    elsewhere = h3.latlng_to_cell(60, 100, 6)
    for wanted in (elsewhere, "nonsense"):
        assert choose_focus(wanted, AREAS, APART, "") == AREAS[0].key


def test_one_area_and_scattered_cells_are_seen_whole() -> None:
    together = cells_of(ALPS, NEARBY)
    assert choose_focus("", find_areas(together.cell), together, "") == ALL
    chips = cells_of([h3.str_to_int(h3.latlng_to_cell(lat, lon, 9)) for lat in (10, 50) for lon in (0, 90)])
    assert choose_focus("", find_areas(chips.cell), chips, "") == ALL


def test_the_cells_of_a_key() -> None:
    assert np.array_equal(focus_cells(AREAS[0].key, AREAS), AREAS[0].cells)
    assert focus_cells(ALL, AREAS).tolist() == []
    assert focus_cells(IN_AMAZON, AREAS).tolist() == [AMAZON[0]]


def test_a_coarse_cell_zooms_to_what_can_be_drawn() -> None:
    cell = h3.int_to_str(ALPS[0])
    assert zoom_target(h3.cell_to_parent(cell, 7), 9) == h3.cell_to_parent(cell, 4)
    assert zoom_target(h3.cell_to_parent(cell, 2), 9) == h3.cell_to_parent(cell, 2)
    assert h3.cell_to_children_size(zoom_target(h3.cell_to_parent(cell, 7), 9), 9) <= MAX_DRAWN
    assert zoom_target(h3.cell_to_parent(cell, 1), 3) == h3.cell_to_parent(cell, 0)
