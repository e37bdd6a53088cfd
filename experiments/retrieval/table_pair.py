"""Two tables of the same cells, row beside row."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.sample import InputError
from indexer.geo.cells import centres
from indexer.table.columns import to_matrix
from indexer.table.embedding_table import EmbeddingTable

from .options import capped

Period = tuple[datetime, datetime]  # [start, end), UTC


@dataclass(frozen=True)
class TablePair:
    """The rows of n cells that both tables have, in order of cell."""

    names: tuple[str, str]
    cell: np.ndarray  # (n,) uint64
    lon_deg: np.ndarray  # (n,) of the cell's centre
    lat_deg: np.ndarray
    vectors: tuple[np.ndarray, np.ndarray]  # (n, d) and (n, e) float32
    notes: tuple[str, ...]  # what a reader of a table must know


def read_pair(
    first: EmbeddingTable,
    second: EmbeddingTable,
    *,
    period: Period | None = None,
    max_cells: int,
    seed: int = 0,
) -> TablePair:
    """Join two tables by cell. Memory is that of the rows taken.

    Of several rows of a cell the one whose period ends last is taken.

    Args:
        period: only rows whose own period meets it.
        max_cells: more are thinned by a seeded draw.

    Raises:
        InputError: tables of two resolutions, or without a cell in common.
    """
    if first.h3_resolution != second.h3_resolution:
        raise InputError(
            f"{first.storage.root} has cells of resolution {first.h3_resolution}, {second.storage.root} of "
            f"{second.h3_resolution}; expected two tables of the same cells: make one again with --h3-res."
        )
    tables = first, second
    rows = [_latest(table, period) for table in tables]
    cell1, cell2 = (some["h3_cell"].to_numpy() for some in rows)
    both, *at = np.intersect1d(cell1, cell2, assume_unique=True, return_indices=True)
    if not len(both):
        raise InputError(
            f"{first.storage.root} and {second.storage.root} have {len(cell1)} and {len(cell2)} cells and "
            "none in common; expected two tables of the same cells (and of the period, if one was given)."
        )
    kept = np.flatnonzero(capped(np.ones(len(both), bool), max_cells, seed))
    chosen = [some.take(pa.array(places[kept])) for some, places in zip(rows, at, strict=True)]
    names = _names(first, second)
    notes = [f"{len(both):,} cells in common of {len(cell1):,} and {len(cell2):,}"]
    notes += [f"{max_cells:,} of them drawn"] if len(both) > max_cells else []
    for name, table, some, taken in zip(names, tables, rows, chosen, strict=True):
        more = table.row_count - len(some)
        notes.append(f"{name}: {table.model}, {_span(taken)}")
        notes += [f"{more:,} further rows of {name} (another period or sample) not asked"] if more else []
    one, other = (
        _vectors(table, taken["row"].to_numpy()) for table, taken in zip(tables, chosen, strict=True)
    )
    return TablePair(names, both[kept], *centres(both[kept]), (one, other), tuple(notes))


def _latest(table: EmbeddingTable, period: Period | None) -> pa.Table:
    """Each cell once, in order, with the period and the number of the row that stands for it."""
    columns = ("h3_cell", "start_datetime", "end_datetime")
    rows = pa.Table.from_batches(table.scan(columns), pa.schema([table.schema.field(c) for c in columns]))
    rows = rows.append_column("row", pa.array(np.arange(len(rows))))
    if period is not None:
        early = pc.less(rows["start_datetime"], pa.scalar(period[1], rows["start_datetime"].type))
        late = pc.greater(rows["end_datetime"], pa.scalar(period[0], rows["end_datetime"].type))
        rows = rows.filter(pc.and_(early, late))
    order = [("h3_cell", "ascending"), ("end_datetime", "descending"), ("row", "ascending")]
    rows = rows.sort_by(order)
    return rows.take(pa.array(np.unique(rows["h3_cell"].to_numpy(), return_index=True)[1]))


def _span(rows: pa.Table) -> str:
    """The time that rows lie in, as days."""
    first, last = pc.min(rows["start_datetime"]).as_py(), pc.max(rows["end_datetime"]).as_py()
    return f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"


def _vectors(table: EmbeddingTable, rows: np.ndarray) -> np.ndarray:
    """Embeddings of rows (n,) in rising order: (n, d) float32."""
    vectors, start = [np.empty((0, table.dimension), np.float32)], 0
    for batch in table.scan(["embedding"]):
        inside = rows[np.searchsorted(rows, start) : np.searchsorted(rows, start + len(batch))]
        if len(inside):
            vectors.append(to_matrix(batch["embedding"].take(pa.array(inside - start))).astype(np.float32))
        start += len(batch)
    return np.concatenate(vectors)


def _names(first: EmbeddingTable, second: EmbeddingTable) -> tuple[str, str]:
    """What tells the two apart in a table: their folders, else their paths, else their places."""
    stores = first.storage, second.storage
    names, roots = ((stores[0].name, stores[1].name), (stores[0].root, stores[1].root))
    if names[0] != names[1]:
        return names
    return roots if roots[0] != roots[1] else (f"{names[0]} (first)", f"{names[1]} (second)")
