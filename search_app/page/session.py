"""The view of one browser session: read from the URL when the page opens, written back after every run.

Each question is a step of the URL's history, so that the browser's Back asks the one before again; Undo takes
questions back without it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import streamlit as st

from .plain import plain
from .url_state import View, read_view

_KEY = "view"
_URL = "url"  # its parameters, as they were last read or written
_PAST = "past"  # questions before the current one, the last at the end
MAX_PAST = 100


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


def show(view: View) -> None:
    """Show another view from the next run on; where it asks something else, that is a step."""
    before = current()
    if view.question != before.question:
        st.session_state[_PAST] = [*_past(), before][-MAX_PAST:]
    st.session_state[_KEY] = view


def can_undo() -> bool:
    """Whether there was another question before this one."""
    return bool(_past())


def undo() -> None:
    """Ask the question before this one again; for the callbacks of widgets."""
    if can_undo():
        *st.session_state[_PAST], st.session_state[_KEY] = _past()


def go_to(query: str) -> None:
    """Show what the query of a URL asks: the browser went back or forth."""
    before = current()
    _read(parse_qs(query.removeprefix("?")))
    after, past = current(), _past()
    if past and past[-1].question == after.question:
        st.session_state[_PAST] = past[:-1]
    elif after.question != before.question:
        st.session_state[_PAST] = [*past, before][-MAX_PAST:]


def keep_in_url() -> None:
    """Write the view into the URL, if it is not the one that was last read or written."""
    params = current().to_params()
    wanted = {name: [value] if isinstance(value, str) else value for name, value in params.items()}
    if wanted != st.session_state[_URL]:
        st.query_params.from_dict(params)
        st.session_state[_URL] = wanted


def _read(params: Mapping[str, Sequence[str]]) -> None:
    st.session_state[_KEY], problems = read_view(params)
    st.session_state[_URL] = {name: [*values] for name, values in params.items()}
    for problem in problems:
        st.toast(plain(problem), icon=":material/link_off:", duration="long")


def _past() -> list[View]:
    past: list[View] = st.session_state.get(_PAST, [])
    return past
