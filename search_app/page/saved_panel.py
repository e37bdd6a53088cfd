"""Questions under names, and the project file that takes them to others."""

from collections.abc import Mapping

import streamlit as st

from indexer.errors import QueryError, TableError
from indexer.table.embedding_table import EmbeddingTable

from .plain import plain
from .project import open_project, read_project, write_project
from .session import current, show
from .upload_box import UploadBox
from .url_state import View

_saved: dict[str, dict[str, View]] = {}  # by table, until the server ends: a project file keeps them
_NAME, _BOX = "save as", UploadBox("project")
MOST_LETTERS = 80


def saved_of(table: EmbeddingTable) -> Mapping[str, View]:
    """What was saved of a table, by name."""
    return _saved.get(table.storage.root, {})


def save(table: EmbeddingTable, name: str, view: View) -> None:
    """Keep a view under a name, in the place of one that had it."""
    _saved[table.storage.root] = {**saved_of(table), name: view}


def draw_saved(table: EmbeddingTable) -> None:
    """The panel."""
    _take_file(table)
    with st.expander("Saved questions and project", key="saved", icon=":material/bookmark:"):
        st.text_input(
            "Save what is shown as", key=_NAME, placeholder="a name", max_chars=MOST_LETTERS,
            on_change=_take_name, args=(table,),
        )  # fmt: skip
        for name, view in saved_of(table).items():
            with st.container(horizontal=True, wrap=False, vertical_alignment="center", gap="xsmall"):
                st.button(
                    plain(name), key=f"open {name}", on_click=show, args=(view,), width="stretch",
                    help="Show it again. SQL waits for Run.",
                )  # fmt: skip
                st.button(
                    ":material/close:", key=f"forget {name}", on_click=_forget, args=(table, name),
                    type="tertiary", help="Forget it",
                )  # fmt: skip
        st.download_button(
            "Project file", lambda: _project(table), "skyhex-project.json", "application/json",
            on_click="ignore", icon=":material/download:", width="stretch",
            help="The question, what was saved, marks and uploads: a colleague opens it with the same table.",
        )  # fmt: skip
        _BOX.draw("Open a project file", ["json"])


def _project(table: EmbeddingTable) -> bytes:
    return write_project(table, current(), saved_of(table))


def _take_name(table: EmbeddingTable) -> None:
    if name := st.session_state[_NAME].strip():
        save(table, name, current())
        st.session_state[_NAME] = ""


def _forget(table: EmbeddingTable, name: str) -> None:
    _saved[table.storage.root] = {other: view for other, view in saved_of(table).items() if other != name}


def _take_file(table: EmbeddingTable) -> None:
    """Open what was uploaded since the last run."""
    file = _BOX.take()
    if file is None:
        return
    try:
        opened = open_project(table, read_project(file.name, file.getvalue()), current().table)
    except (QueryError, TableError) as error:
        _BOX.say(f"{error}.")
        return
    _BOX.say(notes=opened.notes)
    for name, view in opened.saved.items():
        save(table, name, view)
    show(opened.view)
    st.rerun()
