"""Where the map looks, and what it is told of the question."""

from urllib.parse import parse_qs

import h3
import numpy as np
import pytest

from search_app.page import map_panel
from search_app.page.map_cells import MapCells, find_areas, group_by_cell
from search_app.page.map_component import Ask
from search_app.page.map_panel import ALL, area_of, choose_focus, focus_cells, outlines, question_address
from search_app.page.url_state import View, read_view


def disk(lat: float, lon: float, radius: int) -> list[int]:
    return [h3.str_to_int(cell) for cell in h3.grid_disk(h3.latlng_to_cell(lat, lon, 9), radius)]


def cells_of(*parts: list[int]) -> MapCells:
    return group_by_cell(np.array(sorted(cell for part in parts for cell in part), np.uint64))


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


def test_the_address_of_a_question_asks_the_same() -> None:
    view = View(like=("891f1d4801bffff", "within:1 2,3 2,3 4"), unlike=("9.5,47",), k=7, tab="map", area=ALL)
    params = parse_qs(question_address(view))
    assert read_view(params) == (view.question, [])
    assert question_address(View(k=7, area=ALL, colour="prototype")) == ""


def test_the_shapes_of_a_question_are_outlined() -> None:
    view = View(like=("891f1d4801bffff", "within:1 2,3 2,3 4"), within="5 6,7 6,7 8")
    assert outlines(view) == ["1 2,3 2,3 4", "5 6,7 6,7 8"]


@pytest.mark.parametrize(
    ("does", "place", "changed"),
    [
        (
            "like",
            "c",
            {"like": ("c",), "unlike": (), "marks": ""},
        ),  # a new question keeps nothing of the old one
        ("add", "c", {"like": ("a", "c"), "unlike": ("b",)}),
        ("add", "b", {"like": ("a", "b"), "unlike": ()}),
        ("unlike", "c", {"like": ("a",), "unlike": ("b", "c")}),
        ("unlike", "a", {"like": (), "unlike": ("b", "a")}),
        ("only", "within:1 2,3 2,3 4", {"within": "1 2,3 2,3 4"}),
    ],
)
def test_what_is_done_on_the_map_becomes_the_question(
    does: str, place: str, changed: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: dict[str, object] = {}
    monkeypatch.setattr(map_panel, "current", lambda: View(like=("a",), unlike=("b",)))
    monkeypatch.setattr(map_panel, "change", said.update)
    map_panel.take(Ask(does, place))
    assert said == changed
