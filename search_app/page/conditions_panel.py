"""Where, when and which rows: the conditions of a question, in the sidebar."""

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from indexer.geo.cells import cells_to_text
from indexer.table.embedding_table import EmbeddingTable

from .agreed import agree
from .map_cells import Area
from .map_panel import area_label
from .plain import plain
from .question import place_label
from .session import bound, change, current
from .shapes import WITHIN
from .url_state import SENSORS, View, parse_bbox, parse_near, write_bbox

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ERROR = " error"


def draw_conditions(table: EmbeddingTable, areas: Sequence[Area]) -> None:
    """All of them; each that is set narrows the answer."""
    count = len(current().conditions)
    # Neither its name nor its place changes with what is chosen in it: it would close.
    with st.expander("Filters", key="filters", icon=":material/filter_alt:"):
        _draw_where(areas)
        _draw_when()
        _draw_quality(table)
        _draw_sql()
        if count:
            st.button("Clear filters", on_click=_clear, width="stretch", type="tertiary")
    if count:
        st.caption(f"Filters · {count} on")


def draw_held() -> None:
    """The SQL condition of a link or a project file, and what it waits for."""
    where = current().where
    st.warning(
        "This question came with an SQL condition. Read it: nothing is searched until you agree, or drop it.",
        icon=":material/front_hand:",
    )
    st.code(where, language="sql", wrap_lines=True)
    with st.container(horizontal=True, gap="small"):
        st.button("Use this condition", type="primary", on_click=agree, args=(where,))
        st.button("Drop it", on_click=change, kwargs={"where": ""})


def _draw_where(areas: Sequence[Area]) -> None:
    view = current()
    _text("bbox", "Box in degrees", "west south east north", write_bbox, parse_bbox, key="box")
    _text("near", "Within km of a place", "lon lat km", write_bbox, parse_near)
    named = {area.key: tuple(cells_to_text(area.cells)) for area in areas}
    _text(
        "cells", "Below these cells", "841f1d4ffffffff, ...", ", ".join,
        lambda text: tuple(text.replace(",", " ").split()),
        help="H3 cells of any resolution: rows of all cells below them.",
    )  # fmt: skip
    if len(areas) > 1:
        chosen = next((key for key, cells in named.items() if cells == view.cells), None)
        st.session_state["only area"] = chosen
        labels = {area.key: area_label(area) for area in areas}
        st.selectbox(
            "Only in one area", [*named], key="only area", format_func=labels.__getitem__, index=None,
            placeholder="any: choose one for its analogues there",
            on_change=lambda: change(cells=named.get(st.session_state["only area"], ())),
        )  # fmt: skip
    if view.within:
        label = plain(place_label(view.within if ":" in view.within else f"{WITHIN}{view.within}"))
        st.button(
            f"In {label}", icon=":material/close:", icon_position="right", key="drop within",
            on_click=change, kwargs={"within": ""}, help="Look everywhere again", width="stretch",
        )  # fmt: skip
    st.toggle(
        "Where footprints reach, not centres", **bound("footprint"),
        help="A row lies where its footprint meets the area.",
    )  # fmt: skip


def _draw_when() -> None:
    view = current()
    first, last = st.columns(2)
    first.date_input("From", **bound("start"), format="YYYY-MM-DD", value=None)
    last.date_input("Until before", **bound("end"), format="YYYY-MM-DD", value=None)
    st.session_state["months"] = [*view.months]
    st.pills(
        "Months of any year", range(1, 13), key="months", selection_mode="multi",
        format_func=lambda month: MONTHS[month - 1],
        on_change=lambda: change(months=tuple(sorted(st.session_state["months"]))),
    )  # fmt: skip


def _draw_quality(table: EmbeddingTable) -> None:
    view = current()
    st.session_state["modalities"] = [*view.modalities]
    st.pills(
        "Made with all of", SENSORS, key="modalities", selection_mode="multi", format_func=str.upper,
        on_change=lambda: change(
            modalities=tuple(sensor for sensor in SENSORS if sensor in st.session_state["modalities"])
        ),
    )  # fmt: skip
    _percent("cloud", "Cloud in its input, at most", 100)
    _percent("valid", "Of its input usable, at least", 0)


def _draw_sql() -> None:
    st.session_state["where"] = current().where
    st.text_area(
        "SQL condition", key="where", height=80, on_change=_take_sql,
        placeholder="prototype = 3 AND n_s2 >= 4",
        help="A predicate of DuckDB over the columns of the view `embeddings`, and `prototype` and "
        "`region_cell` where prototypes were fitted. A link's is shown, and not answered until you agree.",
    )  # fmt: skip


def _text(
    name: str,
    label: str,
    placeholder: str,
    write: Callable[[Any], str],
    read: Callable[[str], Any],
    key: str = "",
    help: str | None = None,
) -> None:
    """A field for a condition that is text; what cannot be read stays there with the reason."""
    key = key or name
    empty, value = getattr(View, name), getattr(current(), name)
    if key + _ERROR not in st.session_state:
        st.session_state[key] = "" if value == empty else write(value)

    def take() -> None:
        text = st.session_state[key].strip()
        st.session_state.pop(key + _ERROR, None)
        try:
            change(**{name: read(text) if text else empty})
        except ValueError as error:
            st.session_state[key + _ERROR] = f"{error}."

    st.text_input(label, key=key, placeholder=placeholder, on_change=take, help=help)
    if key + _ERROR in st.session_state:
        st.error(plain(st.session_state[key + _ERROR]), icon=":material/error:")


def _percent(name: str, label: str, anything: int) -> None:
    """A share as a slider; at `anything` it is no condition."""
    value = getattr(current(), name)
    st.session_state[name] = anything if value is None else round(100 * value)

    def take() -> None:
        percent = st.session_state[name]
        change(**{name: None if percent == anything else percent / 100})

    st.slider(label, 0, 100, key=name, format="%d %%", on_change=take)


def _take_sql() -> None:
    """What a person types here is agreed to."""
    where = st.session_state["where"].strip()
    agree(where)
    change(where=where)


def _clear() -> None:
    for key in ("box", "near", "cells"):
        st.session_state.pop(key + _ERROR, None)
    change(**{name: getattr(View, name) for name in current().conditions})
