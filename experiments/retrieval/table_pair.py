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
    (cell1, row1), (cell2, row2) = (_latest(table, period) for table in tables)
    both, at1, at2 = np.intersect1d(cell1, cell2, assume_unique=True, return_indices=True)
    if not len(both):
        raise InputError(
            f"{first.storage.root} and {second.storage.root} have {len(cell1)} and {len(cell2)} cells and "
            "none in common; expected two tables of the same cells (and of the period, if one was given)."
        )
    kept = np.flatnonzero(capped(np.ones(len(both), bool), max_cells, seed))
    vectors = _vectors(first, row1[at1[kept]]), _vectors(second, row2[at2[kept]])
    lon, lat = centres(both[kept])
    said = (
        f"{len(both):,} cells in common of {len(cell1):,} and {len(cell2):,}",
        *([f"{max_cells:,} of them drawn"] if len(both) > max_cells else []),
        *(_one_a_cell(table, len(cells)) for table, cells in zip(tables, (cell1, cell2), strict=True)),
    )
    return TablePair(
        _names(first, second), both[kept], lon, lat, vectors, tuple(note for note in said if note)
    )


def _latest(table: EmbeddingTable, period: Period | None) -> tuple[np.ndarray, np.ndarray]:
    """Each cell once, and which row of the table stands for it: (n,) uint64, (n,) int, in order of both."""
    columns = ("h3_cell", "start_datetime", "end_datetime")
    rows = pa.Table.from_batches(table.scan(columns), pa.schema([table.schema.field(c) for c in columns]))
    number = np.arange(len(rows))
    if period is not None:
        meets = pc.and_(
            pc.less(rows["start_datetime"], pa.scalar(period[1], rows["start_datetime"].type)),
            pc.greater(rows["end_datetime"], pa.scalar(period[0], rows["end_datetime"].type)),
        ).to_numpy()
        number = number[meets]
    cell = rows["h3_cell"].to_numpy()[number]
    end = rows["end_datetime"].cast(pa.int64()).to_numpy()[number]
    order = np.lexsort((-number, end, cell))  # of one end the first row, which stands last here
    is_last = np.append(cell[order][1:] != cell[order][:-1], np.ones(min(len(cell), 1), bool))
    return cell[order][is_last], number[order][is_last]


def _vectors(table: EmbeddingTable, rows: np.ndarray) -> np.ndarray:
    """Embeddings of rows (n,) in rising order: (n, d) float32."""
    found, start = [np.empty((0, table.dimension), np.float32)], 0
    for batch in table.scan(["embedding"]):
        inside = rows[np.searchsorted(rows, start) : np.searchsorted(rows, start + len(batch))]
        if len(inside):
            found.append(to_matrix(batch["embedding"].take(pa.array(inside - start))).astype(np.float32))
        start += len(batch)
    return np.concatenate(found)


def _one_a_cell(table: EmbeddingTable, cells: int) -> str:
    more = table.row_count - cells
    return f"{more:,} further rows of {_name(table)} (another period or sample) not asked" if more else ""


def _names(first: EmbeddingTable, second: EmbeddingTable) -> tuple[str, str]:
    """What tells the two apart in a table: their folders, else their paths, else their places."""
    for names in ((_name(first), _name(second)), (str(first.storage.root), str(second.storage.root))):
        if names[0] != names[1]:
            return names
    return f"{names[0]} (first)", f"{names[1]} (second)"


def _name(table: EmbeddingTable) -> str:
    return str(table.storage.root).rstrip("/").rsplit("/", 1)[-1]
