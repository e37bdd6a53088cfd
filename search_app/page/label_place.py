"""Where the page keeps labels: with the table, or in a folder that a person names, until the server ends.

What could not be written waits in the session, and is written once there is a place for it.
"""

from collections.abc import Mapping
from hashlib import blake2b

import pyarrow as pa
import streamlit as st

from indexer.errors import QueryError, TableError
from indexer.labels.store import SCHEMA, label_place, mark, newest_version, read_labels
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.storage import Storage

from .plain import plain
from .session import of_table

Marks = Mapping[int, str | None]
_folders: dict[str, str] = {}  # by table
_WAITING, _PROBLEM, _FOLDER = "labels waiting", "labels problem", "labels folder"


def place_of(table: EmbeddingTable) -> Storage:
    """Where labels of a table are kept. Raises `TableError`."""
    return label_place(table, _folders.get(table.storage.root))


def where(table: EmbeddingTable) -> str:
    """What tells one place of labels from another in an address."""
    return blake2b(place_of(table).root.encode(), digest_size=6).hexdigest()


def newest(table: EmbeddingTable, name: str) -> tuple[int, pa.Table]:
    """The newest version of a set of labels and what it holds; version 0 of one that is not there."""
    place = place_of(table)
    version = newest_version(place, name)
    return version, read_labels(place, name, version) if version else SCHEMA.empty_table()


def keep(table: EmbeddingTable, name: str, marks: Marks) -> bool:
    """Add marks to a set; where that cannot be, they wait, `draw_problem` says why, and False is returned."""
    waiting: dict[str, dict[int, str | None]] = of_table(table).get(_WAITING, {})
    all_marks = {**waiting.get(name, {}), **marks}
    of_table(table).pop(_PROBLEM, None)
    try:
        place = place_of(table)
        if place != table.storage and not newest_version(place, name):  # it goes on from the table's own
            all_marks = _of_table(table, name) | all_marks
        mark(place, name, all_marks, table.h3_resolution)
    except QueryError as error:
        of_table(table)[_PROBLEM] = f"{error}."
        return False
    except TableError as error:
        of_table(table)[_WAITING] = waiting | {name: all_marks}
        of_table(table)[_PROBLEM] = f"{error}."
        return False
    of_table(table)[_WAITING] = {other: rest for other, rest in waiting.items() if other != name}
    return True


def draw_problem(table: EmbeddingTable) -> None:
    """Why marks were not kept, and where they may be kept instead."""
    if _PROBLEM not in of_table(table):
        return
    st.error(plain(of_table(table)[_PROBLEM]), icon=":material/error:")
    waiting = sum(map(len, of_table(table).get(_WAITING, {}).values()))
    if waiting:
        st.text_input(
            f"{waiting:,} marks wait. Keep labels in the folder",
            key=_FOLDER,
            placeholder="/home/me/labels",
            on_change=_take_folder,
            args=(table,),
        )


def _of_table(table: EmbeddingTable, name: str) -> dict[int, str | None]:
    """What a set beside the table's rows holds."""
    if not newest_version(table.storage, name):
        return {}
    labels = read_labels(table.storage, name)
    return dict(zip(labels["h3_cell"].to_pylist(), labels["label"].to_pylist(), strict=True))


def _take_folder(table: EmbeddingTable) -> None:
    folder = st.session_state[_FOLDER].strip()
    if not folder:
        return
    _folders[table.storage.root] = folder
    if not all(keep(table, name, {}) for name in list(of_table(table).get(_WAITING, {}))):
        del _folders[table.storage.root]
