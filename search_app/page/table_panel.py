"""Which of several tables is shown: a choice that is a step, as a question is."""

from dataclasses import replace

import streamlit as st

from indexer.errors import TableError
from indexer.table.embedding_table import EmbeddingTable

from ..page_settings import page_settings
from .carried import carry
from .plain import plain
from .session import current, show
from .url_state import View

_CHOICE, _LEFT = "table", "left behind"


def open_chosen() -> EmbeddingTable:
    """The newest snapshot of the table that the view is of. Raises `TableError`."""
    return EmbeddingTable.open(page_settings().find(current().table))


def draw_choice() -> None:
    """A box where there are several, else the name; and what of a question did not fit the table chosen."""
    names, shown = [*page_settings().named], current().table
    if len(names) == 1 and not shown:
        st.markdown(plain(names[0]))
        return
    st.session_state[_CHOICE] = shown or names[0]
    st.selectbox(
        "Table", list(dict.fromkeys([*names, st.session_state[_CHOICE]])), key=_CHOICE, on_change=_take,
        label_visibility="collapsed", filter_mode=None,
    )  # fmt: skip
    asked, note = st.session_state.get(_LEFT, (None, ""))
    if note and asked == current().question:
        st.caption(plain(note))


def _take() -> None:
    """Take along what the other table can be asked."""
    name, before = st.session_state[_CHOICE], current()
    try:
        to = EmbeddingTable.open(page_settings().find(name))
    except TableError:  # which the page says
        show(replace(before, table=name))
        return
    view, note = carry(before, name, to, _digest(before))
    st.session_state[_LEFT] = view.question, note
    show(view)


def _digest(view: View) -> str:
    """Of the model of a view's table; "" where that cannot be opened."""
    try:
        return EmbeddingTable.open(page_settings().find(view.table)).model.digest
    except TableError:
        return ""
