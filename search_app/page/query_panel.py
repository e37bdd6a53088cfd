"""What is looked for: words that people type, the query and filter they mean, the sidebar for them."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from functools import reduce
from operator import and_

import numpy as np
import streamlit as st

from indexer.errors import QueryError
from indexer.geo.cells import Cells, parse_cell
from indexer.prototypes.regional import Prototypes
from indexer.search.filter import Filter, Region
from indexer.search.query import Cell, LonLat, Query, Vector

from .background import Extent
from .coordinates import parse_lonlat
from .gazetteer import CREDIT
from .plain import plain
from .session import change, current
from .shapes import is_shape, outside, region_of
from .typed_place import read_typed
from .url_state import COLOURS, MAX_K, View, parse_bbox, write_bbox
from .words import WORDS

PROTOTYPE = "prototype:"
_PLACE, _PLACE_ERROR, _PLACE_NOTE, _BOX, _BOX_ERROR = "place", "place error", "place note", "box", "box error"


def place_label(place: str) -> str:
    """A place in few letters."""
    if place.startswith(PROTOTYPE):
        region, _, number = place.removeprefix(PROTOTYPE).partition("/")
        return f"prototype {number} of {region.rstrip('f')}"
    if is_shape(place):
        return "cells in a shape"
    if place.startswith(WORDS):
        return f"“{place.removeprefix(WORDS)}”"
    return place.replace(",", ", ")


def part_of(
    place: str,
    prototypes: Prototypes | None,
    mean_within: Callable[[Region], np.ndarray],
    of_words: Callable[[str], np.ndarray],
) -> Cell | LonLat | Vector:
    """A place, as the URL keeps it, as part of a query.

    Args:
        place: a cell, `lon,lat`, a prototype, a shape or words.
        prototypes: those of the table.
        mean_within: the mean vector (d,) of the table's rows in a region.
        of_words: the vector (d,) of words.

    Raises:
        QueryError: it cannot be read, or names a prototype that the table does not have.
    """
    if place.startswith(PROTOTYPE):
        return Vector(prototype_vector(prototypes, place.removeprefix(PROTOTYPE)))
    if is_shape(place):
        return Vector(mean_within(region_of(place)))
    if place.startswith(WORDS):
        return Vector(of_words(place.removeprefix(WORDS)))
    lonlat = parse_lonlat(place)
    if lonlat:
        return LonLat(lonlat.lon_deg, lonlat.lat_deg)
    return Cell(parse_cell(place))


def prototype_vector(prototypes: Prototypes | None, name: str) -> np.ndarray:
    """The vector (d,) of `REGION/NUMBER`. Raises `QueryError`."""
    region, _, number = name.partition("/")
    if prototypes is None:
        raise QueryError("the table has no prototypes: run `skyhex prototypes fit`")
    vectors = prototypes.of_region(parse_cell(region))
    if not number.isdecimal() or int(number) >= len(vectors):
        raise QueryError(f"region {region} has no prototype {number!r}: expected 0 to {len(vectors) - 1}")
    vector: np.ndarray = vectors[int(number)]
    return vector


def to_query(
    view: View,
    prototypes: Prototypes | None,
    mean_within: Callable[[Region], np.ndarray],
    of_words: Callable[[str], np.ndarray],
) -> Query | None:
    """What the view looks for, or alone what it keeps away from; None when neither. Raises `QueryError`."""
    if not (view.like or view.unlike):
        return None
    likes, unlikes = (
        tuple(part_of(place, prototypes, mean_within, of_words) for place in places)
        for places in (view.like, view.unlike)
    )
    return Query(positives=likes, negatives=unlikes) if likes else Query(positives=unlikes)


def to_filter(view: View) -> Filter:
    """Where and when the view looks. Raises `QueryError`."""
    regions = [Region.from_bbox(*view.bbox)] if view.bbox else []
    regions += [region_of(view.within)] if view.within else []
    return _filter(view, regions)


def to_search_filter(view: View) -> Filter:
    """The same without the shapes that are examples: what looks like them is wanted elsewhere."""
    asked = to_filter(view)
    examples = [outside(place) for place in (*view.like, *view.unlike) if is_shape(place)]
    return _filter(view, [*([asked.region] if asked.region else []), *examples])


def _filter(view: View, regions: Sequence[Region]) -> Filter:
    return Filter(
        region=reduce(and_, regions) if regions else None,
        start=_midnight(view.start),
        end=_midnight(view.end),
    )


def draw_query(cells: Cells, on_place: Callable[[Extent | None], None]) -> None:
    """A box for a place, and a button to drop each that is looked for.

    Args:
        cells: the table's (n,), in order.
        on_place: runs after a new place, with what is to be seen where it is a town.
    """
    view = current()
    if _PLACE_ERROR not in st.session_state:
        st.session_state[_PLACE] = ""
    st.text_input(
        "Look for places like",
        key=_PLACE,
        placeholder="town, lon, lat or cell",
        icon=":material/search:",
        on_change=_take_place,
        args=(cells, on_place),
        help="An H3 cell such as 891f1d4801bffff, or a place in any usual writing, such as 9.96, 52.09 or "
        f"52°05′24″N 9°57′36″E: it is looked for. A town such as Bern, CH is shown on the map. {CREDIT}",
    )
    if st.session_state.get(_PLACE_NOTE):
        st.caption(plain(st.session_state[_PLACE_NOTE]))
    if _PLACE_ERROR in st.session_state:
        st.error(plain(st.session_state[_PLACE_ERROR]), icon=":material/error:")
    for sign, name, places in (("+", "like", view.like), ("−", "unlike", view.unlike)):
        for place in places:
            label = plain(f"{sign} {place_label(place)}")
            st.button(
                label, icon=":material/close:", icon_position="right", on_click=_drop, args=(name, place),
                key=f"drop {name} {place}", help=f"Drop this place from the search ({name})", width="stretch",
            )  # fmt: skip


def draw_options(has_prototypes: bool) -> None:
    """How many results, and what colours mean."""
    st.session_state["k"] = current().k
    st.session_state["colour"] = current().colour
    st.slider(
        "Results", 1, 100 if current().k <= 100 else MAX_K, key="k",
        on_change=lambda: change(k=st.session_state["k"]),
    )  # fmt: skip
    st.segmented_control(
        "Colour by", COLOURS, key="colour", required=True, width="stretch", disabled=not has_prototypes,
        format_func=str.capitalize, on_change=lambda: change(colour=st.session_state["colour"]),
        help=None if has_prototypes else "This table has no prototypes yet: run `skyhex prototypes fit`.",
    )  # fmt: skip


def draw_filters() -> None:
    """Box and dates."""
    view = current()
    active = [view.bbox, view.within or None, view.start, view.end]
    count = sum(part is not None for part in active)
    # Neither its name nor its place changes with what is chosen in it: it would close.
    with st.expander("Filters", key="filters", icon=":material/filter_alt:"):
        if _BOX_ERROR not in st.session_state:
            st.session_state[_BOX] = write_bbox(view.bbox) if view.bbox else ""
        st.text_input("Box in degrees", key=_BOX, placeholder="west south east north", on_change=_take_box)
        if _BOX_ERROR in st.session_state:
            st.error(plain(st.session_state[_BOX_ERROR]), icon=":material/error:")
        st.session_state["start"], st.session_state["end"] = view.start, view.end
        first, last = st.columns(2)
        first.date_input("From", key="start", format="YYYY-MM-DD", on_change=_take_dates, value=None)
        last.date_input("Until before", key="end", format="YYYY-MM-DD", on_change=_take_dates, value=None)
        if count:
            st.button("Clear filters", on_click=_clear_filters, width="stretch", type="tertiary")
    if count:
        st.caption(f"Filters · {count} on")


def _take_place(cells: Cells, on_place: Callable[[Extent | None], None]) -> None:
    text = st.session_state[_PLACE]
    st.session_state.pop(_PLACE_ERROR, None)
    st.session_state.pop(_PLACE_NOTE, None)
    if not text.strip():
        return
    try:
        typed = read_typed(text, cells)
    except QueryError as error:
        st.session_state[_PLACE_ERROR] = f"{error}."
        return
    st.session_state[_PLACE_NOTE] = typed.note
    if typed.place:
        change(like=(typed.place,), unlike=(), tab="map", area="")
    else:
        change(tab="map")
    on_place(typed.extent)


def _take_box() -> None:
    text = st.session_state[_BOX]
    st.session_state.pop(_BOX_ERROR, None)
    try:
        change(bbox=parse_bbox(text) if text.strip() else None)
    except ValueError as error:
        st.session_state[_BOX_ERROR] = f"{error}."


def _take_dates() -> None:
    change(start=st.session_state["start"], end=st.session_state["end"])


def _clear_filters() -> None:
    st.session_state.pop(_BOX_ERROR, None)
    change(bbox=None, within="", start=None, end=None)


def _drop(name: str, place: str) -> None:
    view = current()
    change(**{name: tuple(other for other in getattr(view, name) if other != place)})


def _midnight(day: date | None) -> datetime | None:
    return datetime.combine(day, time(), UTC) if day else None
