"""The view of one browser session: read from the link when the page opens, written back after every run.

What a person changes is a step of the browser's history, so that Back shows what was there before; Undo takes
questions back without it. How steps get into the browser: history.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlencode
from uuid import uuid4

import streamlit as st

from indexer.table.embedding_table import EmbeddingTable

from ..page_settings import page_settings
from .plain import plain
from .url_state import View, read_view

_KEY = "view"
_STEPS, _COUNT = "steps", "steps so far"  # number and link of the last few; the browser has the first of them
_HEARD = "heard"  # the last of the browser's navigations that was taken up
_SESSION = "session"  # what tells this session from others of the same window
_PAST = "past"  # questions before the current one, the last at the end
_TABLES = "of tables"
MAX_PAST = 100
MAX_STEPS = 20  # between two runs that come to their end


def current() -> View:
    """What the page shows now; on the first run, what the link asks for."""
    if _KEY not in st.session_state:
        _read({name: st.query_params.get_all(name) for name in st.query_params})
    view: View = st.session_state[_KEY]
    return view


def change(**changes: Any) -> None:
    """Show something else from the next run on; for the callbacks of widgets."""
    before = current()
    after = replace(before, **changes)
    if before.marks == after.marks and not {*before.like, *before.unlike} & {*after.like, *after.unlike}:
        after = replace(after, marks="")  # they are about another question
    show(after)


def bound(name: str, shown: Any = None, key: str = "") -> dict[str, Any]:
    """What ties a widget to a word of the view: it shows what the view has, or `shown`, and changes it."""
    key = key or name
    st.session_state[key] = getattr(current(), name) if shown is None else shown
    return {"key": key, "on_change": _take, "args": (name, key)}


def look_for(*places: str) -> None:
    """Ask for what is like some places, and nothing else; for the callbacks of widgets."""
    change(like=places, unlike=(), tab="map", area="")


def show(view: View) -> None:
    """Show another view from the next run on; where it asks something else, that is a step."""
    before = current()
    if view.question != before.question:
        st.session_state[_PAST] = [*_past(), before][-MAX_PAST:]
    st.session_state[_KEY] = view
    if view != before:
        _step()


def settle(**changes: Any) -> None:
    """What the page itself makes of a view: no step of anybody's."""
    st.session_state[_KEY] = replace(current(), **changes)


def of_table(table: EmbeddingTable) -> dict[str, Any]:
    """What this session knows of one table, and no link tells; it waits while another table is shown."""
    known: dict[str, dict[str, Any]] = st.session_state.setdefault(_TABLES, {})
    return known.setdefault(table.storage.root, {})


def can_undo() -> bool:
    """Whether there was another question before this one."""
    return bool(_past())


def undo() -> None:
    """Ask the question before this one again; for the callbacks of widgets."""
    if can_undo():
        *st.session_state[_PAST], st.session_state[_KEY] = _past()
        _step()


def go_to(query: str, number: int) -> None:
    """Show what the query of a link asks: the browser went back or forth, for the so many-th time.

    That was the last that anybody did: a step before it that the browser does not have comes to nothing.
    """
    if number <= st.session_state.get(_HEARD, 0):
        return  # it was told twice
    st.session_state[_HEARD], st.session_state[_STEPS] = number, []
    before = current()
    _read(parse_qs(query.removeprefix("?")))
    after, past = current(), _past()
    if past and past[-1].question == after.question:
        st.session_state[_PAST] = past[:-1]
    elif after.question != before.question:
        st.session_state[_PAST] = [*past, before][-MAX_PAST:]


def link_of_page() -> dict[str, Any]:
    """What the browser's history is to be; history.js reads it."""
    return {
        "session": st.session_state.setdefault(_SESSION, uuid4().hex),
        "heard": st.session_state.get(_HEARD, 0),
        "steps": st.session_state.get(_STEPS, []),
        "query": _query(current()),
    }


def _take(name: str, key: str) -> None:
    change(**{name: st.session_state[key]})


def _read(params: Mapping[str, Sequence[str]]) -> None:
    view, problems = read_view(params)
    names = [*page_settings().named]
    if len(names) == 1 and view.table == names[0]:
        view = replace(view, table="")
    elif len(names) > 1 and not view.table:
        view = replace(view, table=names[0])
    st.session_state[_KEY] = view
    for problem in problems:
        st.toast(plain(problem), icon=":material/link_off:", duration="long")


def _past() -> list[View]:
    past: list[View] = st.session_state.get(_PAST, [])
    return past


def _step() -> None:
    """The view as the next step."""
    number = st.session_state[_COUNT] = st.session_state.get(_COUNT, 0) + 1
    step = {"number": number, "query": _query(current())}
    st.session_state[_STEPS] = [*st.session_state.get(_STEPS, []), step][-MAX_STEPS:]


def _query(view: View) -> str:
    """As `location.search` has it."""
    query = urlencode(view.to_params(), doseq=True)
    return f"?{query}" if query else ""
