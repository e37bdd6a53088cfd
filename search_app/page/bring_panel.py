"""Many examples at once, or one's own: pasted places, images, vectors, areas."""

import streamlit as st

from indexer.errors import QueryError
from indexer.geo.cells import Cells
from indexer.table.embedding_table import EmbeddingTable

from .plain import plain
from .session import change, current, look_for
from .upload_box import UploadBox
from .uploads import TYPES, read_places, read_upload

HOW = {"like": "Look for", "add": "Add", "unlike": "Not like"}
_HOW, _PASTED, _BOX = "bring how", "pasted", UploadBox("upload")


def draw_bring(table: EmbeddingTable, cells: Cells) -> None:
    """The panel; `cells`: the table's (n,), in order."""
    _take_files(table)
    with st.expander("Several places, or your own", key="bring", icon=":material/upload:"):
        st.segmented_control(
            "What you bring", HOW, key=_HOW, default="like", required=True, format_func=HOW.__getitem__,
            width="stretch", help="Look for it alone, add it to what is looked for, or keep away from it.",
        )  # fmt: skip
        with st.form("paste", border=False, enter_to_submit=False):
            st.text_area(
                "Cells or places, one a line", key=_PASTED, height=110,
                placeholder="891f1d4801bffff\n9.96, 52.09\nprototype:841f1d4ffffffff/3",
            )  # fmt: skip
            st.form_submit_button("Take these", on_click=_take_pasted, args=(cells,), width="stretch")
        _BOX.draw("A GeoTIFF, a vector, or a GeoJSON to look in", TYPES, several=True)


def take_places(how: str, places: list[str]) -> None:
    """Make places examples in one of the ways of HOW."""
    view = current()
    if how == "like":
        look_for(*places)
    elif how == "add":
        change(like=(*view.like, *places), tab="map")
    else:
        change(unlike=(*view.unlike, *places), tab="map")


def _take_pasted(cells: Cells) -> None:
    try:
        take_places(st.session_state[_HOW], read_places(st.session_state[_PASTED], cells))
    except QueryError as error:
        _BOX.say(f"{error}.")
        return
    st.session_state[_PASTED] = ""
    _BOX.say()


def _take_files(table: EmbeddingTable) -> None:
    """Read what was uploaded since the last run."""
    files = _BOX.take()
    if files is None:
        return
    examples, notes = list[str](), list[str]()
    try:
        for file in files:
            with st.spinner(f"Reading {plain(file.name)}"):
                taken = read_upload(table, file.name, file.getvalue())
            examples += taken.examples
            notes += [taken.note] if taken.note else []
            if taken.within:
                change(within=taken.within, tab="map")
    except QueryError as error:
        _BOX.say(f"{error}.")
        return
    if examples:
        take_places(st.session_state.get(_HOW, "like"), examples)
    _BOX.say(notes=notes)
    st.rerun()
