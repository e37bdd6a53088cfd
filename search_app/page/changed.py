"""How far each cell of the map has changed between two periods, and which rows changed most."""

import numpy as np
import pyarrow as pa
import streamlit as st

from indexer.search.changes import changes, scan_changes, timeline
from indexer.search.words import period_of
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import KEY

from .cached import BY_SNAPSHOT, read_cells
from .map_bytes import similarity_codes
from .question import to_filter
from .results import row_keys, rows_by_key
from .url_state import View


@st.cache_data(max_entries=8, show_spinner=False, hash_funcs=BY_SNAPSHOT)
def change_codes(table: EmbeddingTable, asked: View) -> bytes:
    """The code (two bytes) of each cell's greatest change less 1, in the order of the cells.

    Raises:
        QueryError: a period that cannot be read.
    """
    cells = read_cells(table).cell
    greatest = np.full(len(cells), np.nan, np.float32)
    periods = period_of(asked.before), period_of(asked.after)
    for rows in scan_changes(table, *periods, filter=to_filter(asked)):
        np.fmax.at(greatest, np.searchsorted(cells, rows["h3_cell"].to_numpy()), rows["change"].to_numpy())
    return similarity_codes(greatest - 1).tobytes()


@st.cache_data(max_entries=16, show_spinner="Comparing the periods", hash_funcs=BY_SNAPSHOT)
def greatest_changes(table: EmbeddingTable, asked: View, k: int) -> pa.Table:
    """As `indexer.search.changes.changes` has them. Raises `QueryError`."""
    return changes(table, period_of(asked.before), period_of(asked.after), k, filter=to_filter(asked))


def sides_of(table: EmbeddingTable, rows: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The rows before and after (n,) of changes (n,), with what their pictures need."""
    names = [[*KEY[:2], *(f"{when}_{name}" for name in KEY[2:])] for when in ("before", "after")]
    before, after = (rows_by_key(table, row_keys(rows, side)) for side in names)
    return before, after


def through_time(table: EmbeddingTable, cell: int) -> tuple[pa.Table, pa.Table]:
    """The timeline of a cell (n,), and its rows (n,) with what their pictures need. Raises `QueryError`."""
    periods = timeline(table, cell)
    return periods, rows_by_key(table, row_keys(periods))
