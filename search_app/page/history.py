"""The browser's Back and Forward: an element that shows nothing, writes the page's link, tells where it went.

A run may be under way, its link be written at its end, and a person go back meanwhile. Streamlit's own
writing of links would then put that of the unfinished question in the place of the one gone back to, and an
element is deaf between two runs. So the page numbers its steps and the browser its navigations: a step is
written once, and only when the page has heard of the last navigation; what it has not heard of is told again,
by the clock, too. Who navigates last wins.
"""

from pathlib import Path

import streamlit as st

from .session import go_to, link_of_page

_KEY = "history"
_mount = st.components.v2.component(
    "skyhex_history", js=Path(__file__).with_name("history.js").read_text(encoding="utf-8")
)


def keep_history() -> None:
    """Write what the page shows into the link, and take up where the browser went; once, when a run ends."""

    def take() -> None:
        went = st.session_state[_KEY].went
        if went:
            go_to(str(went["to"]), int(went["number"]))

    with st.container(height=1, border=False):
        _mount(key=_KEY, data=link_of_page(), on_went_change=take)
