"""The browser's Back and Forward: an element that shows nothing and tells the page where they went.

The URL that comes with a run may be older than what the page has written since, so a run's URL alone does not
say that a person went back.
"""

from collections.abc import Callable

import streamlit as st

LISTENER = """\
const listening = new WeakMap();
export default function ({ parentElement, setTriggerValue }) {
  removeEventListener("popstate", listening.get(parentElement));
  const listen = () => setTriggerValue("went", { to: location.search, at: performance.now() });
  listening.set(parentElement, listen);
  addEventListener("popstate", listen);
  return () => removeEventListener("popstate", listening.get(parentElement));
}
"""
_KEY = "history"
_mount = st.components.v2.component("skyhex_history", js=LISTENER)


def listen_to_history(went: Callable[[str], None]) -> None:
    """Call `went` with the query of the URL that the browser went to."""

    def take() -> None:
        if st.session_state[_KEY].went:
            went(str(st.session_state[_KEY].went["to"]))

    with st.container(height=1, border=False):
        _mount(key=_KEY, on_went_change=take)
