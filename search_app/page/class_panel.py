"""The labels tab: classes given to cells on the map or by a file, what they teach, areas of classes."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import streamlit as st

from indexer.errors import QueryError, TableError
from indexer.geo.cells import cells_to_text, parse_cell
from indexer.labels.area import check_sample, estimate_areas
from indexer.labels.classifier import BLOCKS_COARSER
from indexer.labels.label_files import ReadLabels, read_cell_rows, read_label_file
from indexer.labels.store import label_sets
from indexer.table.embedding_table import EmbeddingTable

from ..form import Format
from ..output import encode
from .cached import read_areas, read_cells
from .class_map import Lesson, Taught, class_names, taught
from .label_place import draw_problem, keep, newest, place_of, where
from .map_cells import extent_of
from .map_component import Ask, Marks, Scene, mount_map
from .plain import plain
from .results import MEDIA_TYPES, draw_downloads
from .session import change, current, of_table
from .shapes import is_shape, region_of

Read = TypeVar("Read")
DEFAULT_SET = "labels"
ERASE = "no class"
LABELS, CLASSES, CONFIDENCE = "Labels", "Classes", "Confidence"
UPLOADS = ["geojson", "json", "csv", "parquet"]
MAX_UNDO = 100
_SET, _CLASS, _NEW, _NAMED, _PAINTED, _SAID = (
    "label set", "label class", "new class", "named classes", "painted", "labels said",
)  # fmt: skip
_LESSON, _SHOWN, _BLOCKS = "lesson", "classes shown", "blocks"


def draw_classes(table: EmbeddingTable) -> None:
    """The whole tab."""
    left, right = st.columns([11, 9], gap="medium")
    with right:
        name = _draw_set(table)
        try:
            version, labels = newest(table, name)
        except TableError as error:
            draw_problem(table)
            st.error(plain(f"{error}."), icon=":material/error:")
            return
        chosen = _draw_class(table, labels)
        _draw_import(table, name, labels)
        draw_problem(table)
        learnt = _draw_teaching(table, name, version, labels)
    with left:
        _draw_map(table, name, version, labels, chosen, learnt)


def _draw_set(table: EmbeddingTable) -> str:
    """Which set; a new one is made by its first mark."""
    name = current().labels or next(iter(label_sets(place_of(table))), DEFAULT_SET)
    known = sorted({name, *label_sets(place_of(table))})
    st.session_state[_SET] = name
    st.selectbox(
        "Labels",
        known,
        key=_SET,
        accept_new_options=True,
        on_change=lambda: change(labels=st.session_state[_SET] or ""),
        help="A set of labels. Type a name to begin another.",
    )
    return name


def _draw_class(table: EmbeddingTable, labels: pa.Table) -> str:
    """The class that clicks and shapes give; counts beside each."""
    counts = {row["values"]: row["counts"] for row in labels["label"].value_counts().to_pylist()}
    names = list(dict.fromkeys([*class_names(labels), *of_table(table).get(_NAMED, [])]))
    st.text_input("New class", key=_NEW, placeholder="forest", on_change=_take_new_class, args=(table,))
    if not names:
        st.info("Name a class, then click cells or draw a shape around some.", icon=":material/brush:")
        return ""
    if st.session_state.get(_CLASS) not in (*names, ERASE):
        st.session_state[_CLASS] = names[0]
    st.pills(
        "Clicks and shapes give",
        [*names, ERASE],
        key=_CLASS,
        required=True,
        format_func=lambda name: ERASE if name == ERASE else plain(f"{name} · {counts.get(name, 0):,}"),
    )
    return str(st.session_state[_CLASS])


def _take_new_class(table: EmbeddingTable) -> None:
    named = st.session_state[_NEW].strip()
    st.session_state[_NEW] = ""
    if named:
        of_table(table)[_NAMED] = list(dict.fromkeys([*of_table(table).get(_NAMED, []), named]))
        st.session_state[_CLASS] = named


def _draw_import(table: EmbeddingTable, name: str, labels: pa.Table) -> None:
    with (
        st.expander("Import a file", icon=":material/upload_file:"),
        st.form("import labels", clear_on_submit=True, border=False),
    ):
        st.caption("GeoJSON of polygons or points, CSV or GeoParquet of points, cells or shapes.")
        file = st.file_uploader("File", UPLOADS, label_visibility="collapsed")
        column = st.text_input("Column of the class", placeholder="label, class or name")
        if st.form_submit_button("Add to the set") and file is not None:
            of_table(table)[_SAID] = _take_file(table, name, labels, (file.name, file.getvalue()), column)
            st.rerun()
    for sort, text in of_table(table).get(_SAID, []):
        (st.error if sort == "error" else st.success)(plain(text))


def _take_file(
    table: EmbeddingTable, name: str, labels: pa.Table, file: tuple[str, bytes], column: str
) -> list[tuple[str, str]]:
    """What came of a file: lines to tell."""
    try:
        with st.spinner(f"Reading {plain(file[0])}"):
            read = read_upload(table, *file, column=column.strip() or None)
    except QueryError as error:
        return [("error", f"{error}.")]
    if not read.marks:
        return [
            ("error", f"{file[0]} labels no cell of the table: {read.outside:,} labels lie outside of it.")
        ]
    if not _paint(table, name, read.marks):
        return []
    said = f"{len(read.marks):,} cells marked."
    if read.outside:
        said += f" {read.outside:,} labels lie where the table has no cell."
    if read.contradicted:
        said += f" {read.contradicted:,} cells have several classes in the file: the last is taken."
    new = sorted({*read.marks.values()} - {*labels["label"].to_pylist()})
    if new and len(labels):
        said += f" New in this set: {', '.join(new)}."
    return [("success", said)]


def read_upload(table: EmbeddingTable, name: str, content: bytes, column: str | None = None) -> ReadLabels:
    """The labels of a file that came through the browser. Raises `QueryError`."""
    return _as_file(name, content, lambda path: read_label_file(path, table, column))


def _as_file(name: str, content: bytes, read: Callable[[Path], Read]) -> Read:
    """What is read of bytes as of a file of their name, which alone errors tell. Raises `QueryError`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"upload{Path(name).suffix}"
        path.write_bytes(content)
        try:
            return read(path)
        except QueryError as error:
            raise QueryError(str(error).replace(str(path), name)) from error


def _paint(table: EmbeddingTable, name: str, marks: Mapping[int, str | None]) -> bool:
    """Give cells their classes, so that Undo knows those that they had."""
    _, before = newest(table, name)
    had = dict(zip(before["h3_cell"].to_pylist(), before["label"].to_pylist(), strict=True))
    if not keep(table, name, marks):
        return False
    done = (name, {cell: had.get(cell) for cell in marks})
    of_table(table)[_PAINTED] = [*of_table(table).get(_PAINTED, []), done][-MAX_UNDO:]
    return True


def _draw_map(
    table: EmbeddingTable, name: str, version: int, labels: pa.Table, chosen: str, learnt: Lesson | None
) -> None:
    shown = LABELS
    if learnt is not None:
        st.session_state.setdefault(_SHOWN, CLASSES)
        st.segmented_control("The map shows", [LABELS, CLASSES, CONFIDENCE], key=_SHOWN, required=True)
        shown = str(st.session_state[_SHOWN])
    layer = f"labels={name}/{version}&at={where(table)}" if version else "labels="
    if learnt is not None and shown == CLASSES:
        layer = learnt.address("classes", where(table))
    paints = "" if shown == CONFIDENCE else chosen
    scene = Scene(
        snapshot=table.snapshot,
        question=learnt.address("confidence", where(table)) if learnt and shown == CONFIDENCE else "",
        marks=Marks(),
        home=extent_of(largest_area(table)),
        colour="similarity" if shown == CONFIDENCE else "prototype",
        layer=layer,
        kinds=class_names(labels),
        asks=bool(paints),
        paints=paints,
        measure="confidence" if shown == CONFIDENCE else "similarity",
        canUndo=bool(of_table(table).get(_PAINTED)),
    )
    mount_map(scene, "class map", lambda ask: _take_ask(table, name, ask))
    if paints:
        st.caption(plain(f"A click marks a cell as {paints}, a shape all that have their centre in it."))


def largest_area(table: EmbeddingTable) -> np.ndarray:
    """The cells (n,) that the map opens on."""
    areas, cells = read_areas(table), read_cells(table)
    return cells.within(areas[0].cells) if len(areas) > 1 and not cells.scattered else cells.cell


def _take_ask(table: EmbeddingTable, name: str, ask: Ask) -> None:
    of_table(table).pop(_SAID, None)
    if ask.does == "undo":
        _undo(table)
    elif ask.does == "paint":
        label = st.session_state.get(_CLASS)
        cells = cells_of(table, ask.place)
        if cells and label:
            _paint(table, name, dict.fromkeys(cells, None if label == ERASE else label))


def cells_of(table: EmbeddingTable, place: str) -> list[int]:
    """The cells of the table that a click or a shape means. Raises `QueryError`."""
    cells = read_cells(table).cell
    if is_shape(place):
        return [int(cell) for cell in cells[region_of(place).rows(cells).rows()]]
    cell = parse_cell(place)
    return [cell] if cell in cells else []


def _undo(table: EmbeddingTable) -> None:
    painted = of_table(table).get(_PAINTED, [])
    if painted and keep(table, *painted[-1]):
        of_table(table)[_PAINTED] = painted[:-1]


def _draw_teaching(table: EmbeddingTable, name: str, version: int, labels: pa.Table) -> Lesson | None:
    """From labels to a map of all cells; what was taught, where it was."""
    if len(class_names(labels)) < 2:
        return None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        finest = table.h3_resolution
        if st.session_state.get(_BLOCKS, finest + 1) > finest:  # of no table yet, or of a finer one
            st.session_state[_BLOCKS] = max(finest - BLOCKS_COARSER, 0)
        st.number_input(
            "Blocks left out, H3 resolution", 0, finest, key=_BLOCKS, width=220,
            help="Neighbours look alike, so the test leaves out whole blocks: coarser ones are harder.",
        )  # fmt: skip
        view, blocks = current(), int(st.session_state[_BLOCKS])
        asked = Lesson(name, version, blocks, view.start, view.end)
        if st.button("Teach a classifier", type="primary", icon=":material/school:"):
            of_table(table)[_LESSON] = asked
    lesson: Lesson | None = of_table(table).get(_LESSON)
    if lesson is None or lesson.name != name:
        return None
    try:
        made = taught(table, lesson)
    except QueryError as error:
        st.error(plain(f"{error}."), icon=":material/error:")
        return None
    if lesson != asked:
        st.caption("Labels, dates or blocks changed since: teach again to take them in.")
    _draw_taught(made)
    _draw_area(made.mapped, name)
    return lesson


def _draw_taught(made: Taught) -> None:
    fit = made.fit
    st.markdown(
        f"**{fit.accuracy:.1%}** of {fit.cells:,} labelled cells are told right when their block is left "
        f"out ({fit.folds} folds of {fit.blocks} blocks)."
    )
    if fit.without_vector:
        st.caption(f"{fit.without_vector:,} labelled cells have no row in these dates.")
    st.caption("A row for each class of the labels, a column for what was said of its cells.")
    st.dataframe(pd.DataFrame(fit.confusion, fit.classifier.classes, fit.classifier.classes))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "Classifier", fit.classifier.to_json(), "classifier.json", "application/json", on_click="ignore",
            help="Applies to any table and year of this encoder: skyhex classify apply",
        )  # fmt: skip
        cells = pa.array(cells_to_text(made.mapped["h3_cell"].to_numpy()))
        draw_downloads(made.mapped.set_column(0, "h3_cell", cells), "classes")


def _draw_area(mapped: pa.Table, name: str) -> None:
    with st.expander("Areas of the classes", icon=":material/square_foot:"):
        st.caption(
            "Cells counted are no area: the map errs. Take a sample, write what each cell is into "
            "`reference`, and bring it back."
        )
        per_class = int(st.number_input("Cells of each class to check", 2, 1000, 50))
        st.download_button(
            "Sample to check", encode(check_sample(mapped, per_class), Format.csv), f"check-{name}.csv",
            MEDIA_TYPES[Format.csv], on_click="ignore",
        )  # fmt: skip
        file = st.file_uploader("Checked sample", ["csv", "parquet"])
        if file is None:
            return
        try:
            checked = _as_file(file.name, file.getvalue(), lambda path: read_cell_rows(path, "reference"))
            areas = estimate_areas(mapped, checked)
        except QueryError as error:
            st.error(plain(f"{error}."), icon=":material/error:")
            return
        unknown = sorted({*areas.classes} - {*mapped["label"].to_pylist()})
        if unknown:
            st.warning(plain(f"Not classes of the map: {', '.join(unknown)}. A typo divides a class."))
        rows = areas.rows()
        st.dataframe(rows.to_pandas(), hide_index=True)
        st.caption(
            f"Hectares with 95 % intervals (stratified estimator, Olofsson and others 2014); overall "
            f"accuracy {areas.overall_accuracy:.1%}, each class of the map weighed by its area."
        )
        draw_downloads(rows, "areas")
