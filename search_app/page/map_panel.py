"""The map with what belongs to it: where it looks, what a click means."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from math import cos, radians
from urllib.parse import urlencode

import h3
import numpy as np
import streamlit as st

from indexer.geo.cells import Cells, parse_cell, resolution_of
from indexer.labels.feedback import RIGHT, WRONG
from indexer.table.embedding_table import EmbeddingTable

from .background import Extent, degrees
from .brought import is_upload, shape_of_upload
from .cached import read_areas, read_cells
from .feedback_panel import mark_one
from .map_cells import Area, MapCells, extent_of
from .map_component import Ask, Marks, Scene, mount_map
from .session import can_undo, change, current, settle, undo
from .shapes import WITHIN, is_shape
from .url_state import View

ALL = "all"
MAX_PILLS = 6
WIDTH_PX, HEIGHT_PX = 580, 560  # of the map, about
DEGREE_M = 111_320
SMALLEST_HEXAGON_PX = 3.0  # across; smaller ones are looked at area by area
_LOOKS, _EXTENT, _SEEN, _MAP, _AREA, _FOLLOW = "looks", "extent", "seen", "map", "area", "follow"


def focus_cells(key: str, areas: Sequence[Area]) -> Cells:
    """The coarse cells (m,) that a key names: an area's, or the one that was zoomed to; none for "all"."""
    for area in areas:
        if area.key == key:
            return area.cells
    ids = [h3.str_to_int(key)] if h3.is_valid_cell(key) else []
    return np.array(ids, np.uint64)


def choose_focus(wanted: str, areas: Sequence[Area], cells: MapCells, query: str) -> str:
    """The key of what to look at: a coarse cell's hex id, or "all".

    What the link wants, if the table has it; else everything, where cells are scattered; else the query's
    area; else everything, where its hexagons would be seen; else the largest area.
    """
    if wanted == ALL or (len(focus := focus_cells(wanted, areas)) and len(cells.within(focus))):
        return wanted
    if len(areas) < 2 or cells.scattered:
        return ALL
    asked = area_of(query, areas) if query else None
    if asked:
        return asked.key
    edge_m = h3.average_hexagon_edge_length(resolution_of(int(cells.cell[0])), "m")
    return ALL if 2 * edge_m / metres_per_px(extent_of(cells.cell)) >= SMALLEST_HEXAGON_PX else areas[0].key


def metres_per_px(extent: Extent) -> float:
    """Ground covered by a pixel of a map that shows the whole extent."""
    lat_deg = (extent.south + extent.north) / 2
    width_m = (extent.east - extent.west) * DEGREE_M * cos(radians(lat_deg))
    return max(width_m / WIDTH_PX, (extent.north - extent.south) * DEGREE_M / HEIGHT_PX, 1e-3)


def area_of(cell: str, areas: Sequence[Area]) -> Area | None:
    """The area that a cell, by its hex id, lies in."""
    for area in areas:
        if h3.str_to_int(h3.cell_to_parent(cell, resolution_of(int(area.cells[0])))) in area.cells:
            return area
    return None


def look_at_chosen() -> None:
    """Show the area of the result that was just picked, from the next run on."""
    st.session_state[_FOLLOW] = True


def look_again() -> None:
    """Move the map back to what it is to show, from wherever the reader has moved it."""
    st.session_state[_LOOKS] = looks() + 1


def looks() -> int:
    """How often maps were moved back, or on: a new number moves them."""
    return int(st.session_state.get(_LOOKS, 0))


def look_at(extent: Extent | None) -> None:
    """Move the map to an extent; None, to what it is to show."""
    st.session_state[_EXTENT] = extent
    look_again()


def draw_map(table: EmbeddingTable, areas: Sequence[Area], marks: Marks, kind_labels: Sequence[str]) -> None:
    """The map of all cells, coloured as the view says."""
    view, cells = current(), read_cells(table)
    follow = marks.chosen and st.session_state.pop(_FOLLOW, False) and view.area != ALL
    asked = marks.chosen or next(iter((*marks.like, *marks.results)), "")
    focus = choose_focus("" if follow else view.area, areas, cells, asked)
    if focus != view.area:
        settle(area=focus)
    seen = (view.table, focus)
    if seen != st.session_state.setdefault(_SEEN, seen):
        st.session_state[_SEEN] = seen
        look_at(None)
    draw_areas(areas, focus, marks.results)
    scene = Scene(
        snapshot=table.snapshot,
        question=question_address(view),
        marks=marks,
        home=st.session_state.get(_EXTENT) or extent_of(cells.within(focus_cells(focus, areas))),
        look=looks(),
        colour=view.colour,
        kinds=kind_labels,
        canUndo=can_undo(),
        teaches=bool(view.like or view.unlike),
        outlines=outlines(view),
    )
    mount_map(scene, _MAP, take)
    st.caption(_scale_note(cells))


def question_address(view: View) -> str:
    """What the view asks, as the query of an address; empty where it leaves all cells as they are."""
    asks = view.like or view.unlike or view.conditions
    return urlencode(view.question.to_params(), doseq=True) if asks else ""


def outlines(view: View) -> list[str]:
    """The shapes that the question is about."""
    examples = dict.fromkeys(place for place in (*view.like, *view.unlike) if is_shape(place))
    limits = [shape_of_upload(view.within) if is_upload(view.within) else view.within]
    return [shape for shape in (*(place.removeprefix(WITHIN) for place in examples), *limits) if shape]


def take(ask: Ask) -> None:
    """What a person did on the map becomes the next question."""
    view = current()
    if ask.does == "undo":
        undo()
    elif ask.does == "look":
        change(seen=ask.place)
    elif ask.does == "pick":
        change(picked=ask.place)
    elif ask.does in (RIGHT, WRONG):
        mark_one(parse_cell(ask.place), ask.does)
    elif ask.does == "only":
        change(within=ask.place.removeprefix(WITHIN))
    elif ask.does == "like":
        change(like=(ask.place,), unlike=(), marks="")
    elif ask.does == "add":
        change(like=_with(view.like, ask.place), unlike=_without(view.unlike, ask.place))
    elif ask.does == "unlike":
        change(like=_without(view.like, ask.place), unlike=_with(view.unlike, ask.place))


def _with(places: tuple[str, ...], place: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*places, place)))


def _without(places: tuple[str, ...], place: str) -> tuple[str, ...]:
    return tuple(other for other in places if other != place)


def draw_areas(areas: Sequence[Area], focus: str, results: Sequence[str] = ()) -> None:
    """Buttons, or a list where there are many, to jump to a part of the table."""
    hits = Counter(area.key for cell in results if (area := area_of(cell, areas)))
    labels = {ALL: "All areas"} | {area.key: area_label(area, hits[area.key]) for area in areas}
    labels.setdefault(focus, f"Zoomed to {focus.rstrip('f')}")
    if len(labels) < 3:
        return
    st.session_state[_AREA] = focus
    draw = partial(st.pills, required=True) if len(labels) <= MAX_PILLS else st.selectbox
    draw(
        "Jump to an area",
        list(labels),
        key=_AREA,
        format_func=labels.__getitem__,
        on_change=_jump,
        label_visibility="collapsed",
    )


def _jump() -> None:
    change(area=st.session_state[_AREA])
    look_at(None)


def draw_focus(table: EmbeddingTable, query: str = "") -> Extent:
    """The areas' buttons; what of the table a map is to show: what the link wants, or as `choose_focus`."""
    areas, cells = read_areas(table), read_cells(table)
    focus = choose_focus(current().area, areas, cells, query)
    draw_areas(areas, focus)
    return extent_of(cells.within(focus_cells(focus, areas)))


def area_label(area: Area, hits: int = 0) -> str:
    """Where an area lies, and what it holds."""
    place = f"{degrees(round(area.lat_deg, 1), 'NS')} {degrees(round(area.lon_deg, 1), 'EW')}"
    return f"{place} · {hits} found" if hits else f"{place} · {area.rows:,} rows"


def _scale_note(cells: MapCells) -> str:
    """How large a cell is, and what is drawn where it is too small to see."""
    resolution = resolution_of(int(cells.cell[0]))
    edge_m = h3.average_hexagon_edge_length(resolution, "m")
    across = f"{float(f'{2 * edge_m:.2g}'):,.0f} m" if edge_m < 500 else f"{2 * edge_m / 1000:,.0f} km"
    size = f"A cell is about {across} across (H3 resolution {resolution})."
    if cells.scattered:
        return f"{size} Dots mark those too small to see."
    return f"{size} From afar, larger hexagons show the best cell in each."
