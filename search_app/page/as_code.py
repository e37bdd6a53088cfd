"""What the page shows, as a command line and as Python that give the same rows.

Vectors and areas are files that both name; they are handed out with them.
"""

import json
import shlex
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import streamlit as st

from indexer.geo.cells import cell_to_text
from indexer.search.query import Cell, LonLat, Query, Vector
from indexer.search.words import COLUMNS
from indexer.table.embedding_table import EmbeddingTable

from .question import conditions_of, differing_of
from .url_state import View

AREA_FILE = "area.geojson"
TAUGHT_BY = ("cell", "lonlat", "vector")  # examples that `skyhex.feedback` takes
LISTED = ("cells", "months", "modalities")  # options that take several values with commas between
_WORD_OF = {column: word for word, column in COLUMNS.items()}


@dataclass(frozen=True)
class Code:
    """One question, spelled twice."""

    command: str
    python: str
    files: Mapping[str, bytes]  # that both name


def words_of(query: Query) -> dict[str, Any]:
    """A query as `skyhex.search` takes it, without what it would assume."""
    words: dict[str, Any] = {}
    for prefix, examples in (("", query.positives), ("not_", query.negatives)):
        words[f"{prefix}cell"] = [cell_to_text(e.cell) for e in examples if isinstance(e, Cell)]
        words[f"{prefix}lonlat"] = [(e.lon_deg, e.lat_deg) for e in examples if isinstance(e, LonLat)]
        vectors = [np.asarray(e.values, np.float32) for e in examples if isinstance(e, Vector)]
        words[f"{prefix}vector"] = vectors
    words["using"], words["against"] = _WORD_OF[query.using], _WORD_OF[query.against]
    words |= {name: getattr(query, name) for name in ("match", "negative_weight", "invert")}
    usual = {name: getattr(Query, name) for name in ("match", "negative_weight", "invert")}
    usual |= {"using": "fused", "against": "fused"}
    return {name: value for name, value in words.items() if value != [] and value != usual.get(name)}


def search_words(query: Query, view: View) -> dict[str, Any]:
    """What `skyhex.search` is told to find the rows that a view shows, whose query this is."""
    conditions = conditions_of(view, elsewhere=True)
    return {**words_of(query), "k": view.k, **differing_of(view), **conditions}


def feedback_words(
    query: Query, marks: Mapping[int, bool], view: View
) -> tuple[dict[str, Any], Sequence[str]]:
    """What `skyhex.feedback` is told of marks, and the words of the question that it does not take."""
    words = words_of(query)
    asked = {name: words[name] for name in TAUGHT_BY if name in words}
    left = [*(name for name in words if name not in asked), *differing_of(view)]
    if not asked:
        return {}, left
    said: dict[str, Any] = {"by": view.rule} if view.rule != View.rule else {}
    said |= {"apart_km": view.apart_km} if view.apart_km else {}
    cells = {
        name: [cell_to_text(cell) for cell, is_right in marks.items() if is_right is right]
        for name, right in (("right", True), ("wrong", False))
    }
    conditions = conditions_of(view, elsewhere=True)
    named = {name: some for name, some in cells.items() if some}
    return {**asked, **named, **said, "k": view.k, **conditions}, left


def code_of(command: str, table: EmbeddingTable, words: Mapping[str, Any]) -> Code:
    """`skyhex COMMAND` and `skyhex.COMMAND(...)` of words: what is a vector or an area becomes a file."""
    options, arguments, files = list[str](), list[str](), dict[str, bytes]()
    for name, value in words.items():
        named = _filed(name, value, files)
        options += _options(name, named)
        arguments.append(f"{name}={_python(name, named)}")
    head = ["skyhex", command, "-t", table.storage.root]
    imports = "import numpy as np\nimport skyhex" if "np." in "".join(arguments) else "import skyhex"
    body = "".join(f"    {argument},\n" for argument in arguments)
    call = f"found = skyhex.{command}(\n    {table.storage.root!r},\n{body})"
    return Code(shlex.join([*head, *options]), f"{imports}\n\n{call}", files)


def draw_code(
    command: str, table: EmbeddingTable, words: Mapping[str, Any], left: Sequence[str] = ()
) -> None:
    """Both, folded away, and the files that they name; and `left`, words that the command does not take."""
    with st.expander("Command line and Python", icon=":material/terminal:"):
        if left:
            options = ", ".join(f"`{_option(name)}`" for name in left)
            finds = "and finds other rows" if words else "and has nothing else to look for"
            st.caption(f"`skyhex {command}` takes no {options}, {finds}.")
        if not words:
            return
        code = code_of(command, table, words)
        st.code(code.command, language="shell", wrap_lines=True)
        st.code(code.python, language="python", wrap_lines=True)
        if code.files:
            st.download_button(
                f"Files that they name ({', '.join(code.files)})",
                zipped(code.files),
                f"skyhex-{command}.zip",
                "application/zip",
                on_click="ignore",
                icon=":material/folder_zip:",
            )


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Files in one archive, the same bytes for the same files."""
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(zipfile.ZipInfo(name), content)
    return archive.getvalue()


@dataclass(frozen=True)
class _File:
    name: str


def _filed(name: str, value: Any, files: dict[str, bytes]) -> Any:
    """A value, or the files that stand for what cannot be typed."""
    if isinstance(value, Mapping):
        files[AREA_FILE] = json.dumps(value).encode()
        return _File(AREA_FILE)
    if isinstance(value, list) and value and isinstance(value[0], np.ndarray):
        named = []
        for number, vector in enumerate(value, 1):
            content = BytesIO()
            np.save(content, vector)
            named.append(_File(f"{name.replace('_', '-')}-{number}.npy"))
            files[named[-1].name] = content.getvalue()
        return named
    return value


def _options(name: str, value: Any) -> list[str]:
    """`--name value`, once for each of several."""
    option = _option(name)
    if value is True:
        return [option]
    if name in LISTED:
        return [option, ",".join(map(str, value))]
    each = value if isinstance(value, list) else [value]
    return [word for one in each for word in (option, *_typed(one))]


def _option(name: str) -> str:
    return f"-{name}" if len(name) == 1 else f"--{name.replace('_', '-')}"


def _typed(value: Any) -> Sequence[str]:
    if isinstance(value, _File):
        return [value.name]
    return [*map(str, value)] if isinstance(value, tuple) else [str(value)]


def _python(name: str, value: Any) -> str:
    if isinstance(value, _File):
        return repr(value.name)
    if isinstance(value, list) and value and isinstance(value[0], _File):
        loaded = [f"np.load({file.name!r})" for file in value]
        return loaded[0] if len(loaded) == 1 else f"[{', '.join(loaded)}]"
    return repr(value)
