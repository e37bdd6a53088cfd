"""An answer in SQL that names cells: on the map, in pictures, and as the next question."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import streamlit as st

from indexer.errors import QueryError
from indexer.geo.cells import cell_to_text, cells_to_text, parent, parse_cell, resolution_of
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import KEY

from .cached import read_cells
from .map_cells import extent_of
from .map_component import Marks, Scene, mount_map
from .map_panel import question_address
from .results import PICTURE_PX, PICTURED, period, picture, quicklook_folder, subjects
from .session import change, look_for
from .uploads import MOST_PLACES
from .url_state import View

CELL = "h3_cell"
MOST_CELLS = 500  # of an answer that are taken to the map: they are part of a link
SHOWN = 8
RANKED = 100  # cells that have numbers on the map


def cells_in(rows: pa.Table, resolution: int) -> list[int]:
    """The distinct cells of an answer's column `h3_cell`, in order; finer ones as their parents there.

    What is no cell is left out.
    """
    cells: dict[int, None] = {}
    for value in rows[CELL].to_pylist() if CELL in rows.column_names else ():
        try:
            cell = parse_cell(value)
        except (QueryError, TypeError):
            continue
        cells[parent(cell, resolution) if resolution_of(cell) > resolution else cell] = None
    return list(cells)


def latest_rows(table: EmbeddingTable, cells: Sequence[int]) -> pa.Table:
    """The latest row of each of some cells that the table has, in their order, with what pictures need."""
    rows = pa.Table.from_batches(table.scan(PICTURED, cells=cells), table.schema_of(PICTURED))
    latest: dict[int, int] = {}
    for place in np.argsort(rows["end_datetime"].to_numpy(), kind="stable").tolist():
        latest[rows[CELL][place].as_py()] = place
    return rows.take(pa.array([latest[cell] for cell in cells if cell in latest], pa.int64()))


def draw_places(table: EmbeddingTable, rows: pa.Table) -> None:
    """Map, pictures and what may come next; nothing for an answer without cells."""
    cells = cells_in(rows, table.h3_resolution)
    if not cells:
        return
    some = cells_to_text(cells[:MOST_CELLS])
    left, right = st.columns([1, 1], gap="medium")
    with left:
        _draw_map(table, some)
        if len(cells) > MOST_CELLS:
            st.caption(f"The first {MOST_CELLS} of {len(cells):,} cells.")
    with right:
        _draw_next(some)
        _draw_pictures(table, cells[:SHOWN])


def _draw_map(table: EmbeddingTable, cells: Sequence[str]) -> None:
    """The cells alone, numbered in the order of the answer."""
    own = read_cells(table).cell
    here = own[np.isin(own, np.array([parse_cell(cell) for cell in cells], np.uint64))]
    scene = Scene(
        snapshot=table.snapshot,
        question=question_address(View(cells=tuple(cells))),
        marks=Marks(results=cells[:RANKED]),
        home=extent_of(here if len(here) else own),
        look=hash(tuple(cells)) % 2**31,
        asks=False,
    )
    mount_map(scene, "sql map", lambda ask: None)


def _draw_next(cells: Sequence[str]) -> None:
    with st.container(horizontal=True, gap="small"):
        st.button(
            "Search only in these", on_click=change, kwargs={"cells": tuple(cells), "tab": "map"},
            help="The cells become a filter of the question.",
        )  # fmt: skip
        st.button(
            "Places like these", on_click=look_for, args=tuple(cells), disabled=len(cells) > MOST_PLACES,
            help=f"The mean of their rows is looked for; of {MOST_PLACES} cells at most.",
        )  # fmt: skip


def _draw_pictures(table: EmbeddingTable, cells: Sequence[int]) -> None:
    rows = latest_rows(table, cells)
    columns = st.columns(4, wrap=False, gap="xsmall")
    for number, (row, subject) in enumerate(
        zip(rows.select([CELL, *KEY[2:]]).to_pylist(), subjects(table, rows), strict=True)
    ):
        shown = picture(subject, quicklook_folder(table), "", PICTURE_PX)
        caption = f"{cell_to_text(row[CELL])} · {period(row)}"
        columns[number % 4].image(shown.png, caption=caption, width="stretch")
