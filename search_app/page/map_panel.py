"""The map with what belongs to it: where it looks, what a click means, its legend."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from math import log

import h3
import numpy as np
import streamlit as st

from indexer.geo.cells import Cells, centres, resolution_of

from .background import Extent, degrees
from .colours import amount_colours, amount_legend, kind_colours, kind_legend, stretch_limits
from .hexagon_map import HEIGHT_PX, Marks, build_map, clicked_cell, fit, metres_per_px
from .map_cells import MAX_DRAWN, Area, MapCells, coarsen, extent_of
from .session import change, current

ALL = "all"
MAX_PILLS = 6
DRAWN_LEVELS = int(log(MAX_DRAWN, 7))  # how much coarser a cell may be and hold no more cells than are drawn
MARGIN_DEG = 1e-4  # so that rounding leaves no cell out
SMALLEST_HEXAGON_PX = 3.0  # across; smaller ones are looked at area by area
_CLICKS, _LOOKS, _MAP, _AREA, _FOLLOW = "clicks", "looks", "map", "area", "follow"


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
    if wanted == ALL or (len(focus := focus_cells(wanted, areas)) and len(cells.within(focus).cell)):
        return wanted
    if len(areas) < 2 or cells.scattered:
        return ALL
    asked = area_of(query, areas) if query else None
    if asked:
        return asked.key
    edge_m = h3.average_hexagon_edge_length(resolution_of(int(cells.cell[0])), "m")
    across_px = 2 * edge_m / metres_per_px(fit(extent_of(cells.cell)))
    return ALL if across_px >= SMALLEST_HEXAGON_PX else areas[0].key


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
    st.session_state[_LOOKS] = st.session_state.get(_LOOKS, 0) + 1


def draw_map(cells: MapCells, areas: Sequence[Area], marks: Marks, kind_labels: Sequence[str]) -> None:
    """The map of cells (all of the table's, at its own resolution), coloured as the view says."""
    view = current()
    follow = marks.chosen and st.session_state.pop(_FOLLOW, False) and view.area != ALL
    focus = choose_focus("" if follow else view.area, areas, cells, marks.chosen or next(marks.places, ""))
    if focus != view.area:
        change(area=focus)
    _draw_areas(areas, focus, marks.results)
    inside = cells.within(focus_cells(focus, areas))
    drawn = coarsen(cells if len(cells.cell) <= MAX_DRAWN else inside)
    rgb = _draw_legend(drawn, view.colour, kind_labels)
    extent = extent_of(inside.cell)
    deck = build_map(
        drawn,
        rgb,
        _notes(drawn, kind_labels),
        marks,
        fit(extent, st.session_state.get(_LOOKS, 0)),
        extent,
        layer=str(st.session_state.get(_CLICKS, 0)),
    )
    st.pydeck_chart(
        deck,
        key=_MAP,
        height=HEIGHT_PX,
        on_select=partial(_take_click, resolution_of(int(cells.cell[0]))),
        selection_mode="single-object",
        alt="Hexagon map of the table",
    )
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.caption(_scale_note(drawn, cells))
        if focus != ALL:
            st.button(
                "Search only here", icon=":material/crop_free:", type="tertiary", on_click=_search_only_in,
                args=(extent,), help="Makes this area the box of the filters",
            )  # fmt: skip


def _search_only_in(extent: Extent) -> None:
    west, south, east, north = extent
    east = east - 360 if east > 180 else east
    change(bbox=(west - MARGIN_DEG, south - MARGIN_DEG, east + MARGIN_DEG, north + MARGIN_DEG))


def _same_resolution(drawn: MapCells, cells: MapCells) -> bool:
    return resolution_of(int(drawn.cell[0])) == resolution_of(int(cells.cell[0]))


def _take_click(resolution: int) -> None:
    """A click on a cell of the table: look for places like it. On one that stands for many: zoom in.

    A click beside the hexagons asks nothing.
    """
    cell = clicked_cell(st.session_state[_MAP].selection)
    if not cell:
        return
    st.session_state[_CLICKS] = st.session_state.get(_CLICKS, 0) + 1  # a new layer forgets the click
    if h3.get_resolution(cell) == resolution:
        change(like=(cell,), unlike=())
    else:
        change(area=zoom_target(cell, resolution))


def zoom_target(cell: str, resolution: int) -> str:
    """What a click on a coarse cell zooms to: as much around it as can be drawn cell by cell."""
    coarse: str = h3.cell_to_parent(cell, min(h3.get_resolution(cell), max(0, resolution - DRAWN_LEVELS)))
    return coarse


def _draw_areas(areas: Sequence[Area], focus: str, results: Sequence[str]) -> None:
    """Buttons, or a list where there are many, to jump to a part of the table."""
    found = Counter(area.key for cell in results if (area := area_of(cell, areas)))
    labels = {ALL: "All areas"} | {area.key: _area_label(area, found[area.key]) for area in areas}
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
    look_again()


def _area_label(area: Area, found: int) -> str:
    place = f"{degrees(round(area.lat_deg, 1), 'NS')} {degrees(round(area.lon_deg, 1), 'EW')}"
    return f"{place} · {found} found" if found else f"{place} · {area.rows:,} rows"


def _draw_legend(drawn: MapCells, colour: str, kind_labels: Sequence[str]) -> np.ndarray:
    """The legend; returns the colours (n, 3) that it explains."""
    searched = not np.isnan(drawn.value).all()
    if kind_labels and (colour == "prototype" or not searched):
        st.html(kind_legend(list(kind_labels), "Prototypes"))
        return kind_colours(drawn.kind)
    if not searched:
        st.html('<div class="legend"><span>Click a hexagon to colour the map by likeness to it.</span></div>')
    else:
        st.html(amount_legend("Similarity", *stretch_limits(drawn.value)))
    return amount_colours(drawn.value, *stretch_limits(drawn.value))


def _notes(drawn: MapCells, kind_labels: Sequence[str]) -> list[str]:
    """The text (n,) of each cell's tooltip."""
    columns = zip(
        *(degree.tolist() for degree in centres(drawn.cell)),
        drawn.rows.tolist(),
        drawn.value.tolist(),
        drawn.kind.tolist(),
        strict=True,
    )
    notes = []
    for lon, lat, rows, value, kind in columns:
        lines = [f"{abs(lat):.4f}° {'NS'[lat < 0]} {abs(lon):.4f}° {'EW'[lon < 0]}"]
        lines += [f"similarity {value:.3f}"] if value == value else []
        lines += [f"{kind_labels[kind]}"] if kind >= 0 else []
        lines += [f"{rows:,} rows"] if rows > 1 else []
        notes.append("\n".join(lines))
    return notes


def _scale_note(drawn: MapCells, cells: MapCells) -> str:
    """How large a hexagon is, and what it stands for."""
    resolution = resolution_of(int(drawn.cell[0]))
    edge_m = h3.average_hexagon_edge_length(resolution, "m")
    across = f"{float(f'{2 * edge_m:.2g}'):,.0f} m" if edge_m < 500 else f"{2 * edge_m / 1000:,.0f} km"
    size = f"A hexagon is about {across} across (H3 resolution {resolution})."
    if drawn.scattered:
        return f"{size} Dots mark those too small to see."
    if _same_resolution(drawn, cells):
        return size
    return (
        f"{len(cells.cell):,} cells are shown as {len(drawn.cell):,} coarser ones, by the best in each. "
        f"{size} Click one to zoom in to its cells."
    )
