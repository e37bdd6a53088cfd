"""The view of one browser session: read from the URL when the page opens, written back after every run."""

from dataclasses import replace
from typing import Any

import streamlit as st

from .url_state import View, read_view

_KEY = "view"


def current() -> View:
    """What the page shows now; on the first run, what the link asks for."""
    if _KEY not in st.session_state:
        params = {name: st.query_params.get_all(name) for name in st.query_params}
        st.session_state[_KEY], problems = read_view(params)
        for problem in problems:
            st.toast(problem, icon=":material/link_off:", duration="long")
    view: View = st.session_state[_KEY]
    return view


def change(**changes: Any) -> None:
    """Show something else from the next run on; for the callbacks of widgets."""
    st.session_state[_KEY] = replace(current(), **changes)


def keep_in_url() -> None:
    """Write the view into the URL."""
    params = current().to_params()
    if {name: st.query_params.get_all(name) for name in st.query_params} != {
        name: [value] if isinstance(value, str) else value for name, value in params.items()
    }:
        st.query_params.from_dict(params)
