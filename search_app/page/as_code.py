"""What the page shows, as a command line and as Python that give the same rows."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

import shapely
import streamlit as st

from indexer.table.embedding_table import EmbeddingTable

from .shapes import polygon_of
from .url_state import View

AREA_FILE = "area.geojson"


def conditions_of(view: View) -> dict[str, Any]:
    """Where a view looks, in the words of `Conditions`."""
    words: dict[str, Any] = {}
    if view.bbox:
        words["bbox"] = view.bbox
    if view.within:
        words["within"] = json.loads(shapely.to_geojson(polygon_of(view.within)))
    return words


def command_line(command: str, table: EmbeddingTable, words: Mapping[str, Any]) -> str:
    """`skyhex COMMAND` with an option for each word; an area in GeoJSON is written into a file before it."""
    parts, lines = ["skyhex", command, "-t", table.storage.root], []
    for name, value in words.items():
        if isinstance(value, Mapping):
            lines.append(f"echo {shlex.quote(json.dumps(value))} > {AREA_FILE}")
            value = AREA_FILE
        values = value if isinstance(value, tuple) else (value,)
        parts += [f"-{name}" if len(name) == 1 else f"--{name}", *map(str, values)]
    return "\n".join([*lines, shlex.join(parts)])


def python_call(function: str, table: EmbeddingTable, words: Mapping[str, Any]) -> str:
    """The same through `import skyhex`."""
    asked = "".join(f", {name}={value!r}" for name, value in words.items())
    return f"import skyhex\n\nrows = skyhex.{function}({table.storage.root!r}{asked})"


def draw_code(name: str, table: EmbeddingTable, words: Mapping[str, Any]) -> None:
    """Both, folded away; `name` is that of the command and of the function."""
    with st.expander("Command line and Python", icon=":material/terminal:"):
        st.code(command_line(name, table, words), language="shell", wrap_lines=True)
        st.code(python_call(name, table, words), language="python", wrap_lines=True)
