"""A box to put files in that is empty again once they were taken, and what is then to be said of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from .plain import plain


@dataclass(frozen=True)
class UploadBox:
    """`name` tells it from the page's others."""

    name: str

    @property
    def _key(self) -> str:
        return f"{self.name} {st.session_state.get(f'{self.name} round', 0)}"

    def draw(self, label: str, types: Sequence[str], several: bool = False) -> None:
        """The box, and below it what `say` was told."""
        st.file_uploader(label, type=[*types], accept_multiple_files=several, key=self._key)
        error, notes = st.session_state.get(f"{self.name} said", ("", ()))
        if error:
            st.error(plain(error), icon=":material/error:")
        for note in notes:
            st.caption(plain(note))

    def take(self) -> Any:
        """What was put in since the last run, once: a file, files where several are taken, or None."""
        files = st.session_state.get(self._key)
        if files:
            st.session_state[f"{self.name} round"] = st.session_state.get(f"{self.name} round", 0) + 1
        return files or None

    def say(self, error: str = "", notes: Sequence[str] = ()) -> None:
        """What went wrong, or what is to be known."""
        st.session_state[f"{self.name} said"] = error, notes
