"""Which row is like which prototype of its region: one file of a snapshot, read where it is asked for.

The file is in order of cell, so a row group holds the cells from its first to its last, and a search opens
those that its hits lie in, however large the table is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..errors import TableError
from ..geo.cells import Cells
from ..geo.row_ranges import RowRanges
from ..recent import Recent
from ..table import parts, sidecars
from ..table.columns import DECIMALS, Similarities, unit
from ..table.embedding_table import EmbeddingTable
from ..table.manifest import Sidecar, SidecarFile
from ..table.row_stream import packed, unpacked
from ..table.schema import KEY
from ..table.storage import Storage
from ..workers import Workers, here, whole
from .layout import ASSIGNMENTS, KIND, SCHEMA
from .region_rows import SCAN_ROWS, directed, region_pieces, stretches

KEPT_BYTES = 64 << 20  # of row groups read lately
EVERY_CELL = np.array([[0, 2**64 - 1]], np.uint64)


def fitted_sidecar(table: EmbeddingTable) -> Sidecar:
    """The files that fitting made. Raises `TableError` where no prototypes were fitted."""
    sidecar = table.sidecar(KIND)
    if sidecar is None:
        raise TableError(f"{table.storage.root} has no prototypes yet: run `skyhex prototypes fit`")
    return sidecar


def write_assignments(
    table: EmbeddingTable,
    prototypes: Mapping[int, Similarities],
    resolution: int,
    path: Path,
    workers: Workers = here,
) -> dict[int, NDArray[np.int64]]:
    """Write each row's nearest prototype of its own region; rows of each prototype, by region.

    Args:
        table: its rows are streamed.
        prototypes: (p_r, d) by region; rows of other regions are left out.
        resolution: of the regions.
        path: a local file.
        workers: who compares the rows.
    """
    n_rows = {region: np.zeros(len(vectors), np.int64) for region, vectors in prototypes.items()}
    assign = partial(_assigned, table, prototypes, resolution)
    done = whole(workers(assign, stretches(table)), lambda stretch: f"the rows of cells {stretch[0]}")
    with pq.ParquetWriter(path, SCHEMA, compression="zstd", write_page_checksum=True) as writer:
        waiting: list[pa.Table] = []
        for _, (rows, counts) in done:
            waiting.append(unpacked(rows))
            for region, counted in counts.items():
                n_rows[region] += counted
            if sum(map(len, waiting)) >= SCAN_ROWS:
                writer.write_table(pa.concat_tables(waiting), SCAN_ROWS)
                waiting = []
        if waiting:
            writer.write_table(pa.concat_tables(waiting), SCAN_ROWS)
    return n_rows


def _assigned(
    table: EmbeddingTable, prototypes: Mapping[int, Similarities], resolution: int, ranges: Cells
) -> tuple[pa.Buffer, dict[int, NDArray[np.int64]]]:
    """Assignments of the rows in some cells, packed; how many rows each prototype has there, by region."""
    n_rows: dict[int, NDArray[np.int64]] = {}
    batches: list[pa.RecordBatch] = []
    for region, piece in region_pieces(table, resolution, ranges):
        if region not in prototypes:
            continue
        vectors, rows = directed(piece)
        cosines = (vectors @ unit(prototypes[region]).T).round(DECIMALS)  # (n, p)
        best = cosines.argmax(axis=1).astype(np.int32)
        n_rows[region] = n_rows.get(region, 0) + np.bincount(best, minlength=len(prototypes[region]))
        similarity = cosines[np.arange(len(best)), best].astype(np.float32)
        columns = [rows[name] for name in KEY]
        columns += [np.full(len(best), region, np.uint64), best, similarity]
        batches.append(pa.RecordBatch.from_arrays(list(map(pa.array, columns)), schema=SCHEMA))
    return packed(pa.Table.from_batches(batches, SCHEMA)), n_rows


def read_assignments(table: EmbeddingTable, ranges: Cells = EVERY_CELL) -> pa.Table:
    """`scan_assignments` at once."""
    return pa.concat_tables([SCHEMA.empty_table(), *scan_assignments(table, ranges)])


def scan_assignments(table: EmbeddingTable, ranges: Cells = EVERY_CELL) -> Iterator[pa.Table]:
    """Assignments in order of cell, by row group: of all rows, or of those whose cells lie in merged ranges.

    Args:
        table: one snapshot.
        ranges: (m, 2) first and last cell, both included.

    Raises:
        TableError: no prototypes were fitted, or the file is damaged.
    """
    file = sidecars.find(table.storage, KIND, fitted_sidecar(table), ASSIGNMENTS)
    groups = _groups(table.storage, file)
    wanted = RowRanges.merged(
        np.searchsorted(groups.last_cell, ranges[:, 0]),
        np.searchsorted(groups.first_cell, ranges[:, 1], side="right"),
    )
    for group in wanted.rows().tolist():
        rows = groups.read(group)
        cells = rows["h3_cell"].to_numpy()
        inside = RowRanges.merged(
            np.searchsorted(cells, ranges[:, 0]), np.searchsorted(cells, ranges[:, 1], side="right")
        )
        yield rows if inside.count == len(rows) else rows.take(pa.array(inside.rows()))


def assigned(table: EmbeddingTable, rows: pa.Table) -> pa.Table:
    """Rows with their `region_cell`, `prototype`, `prototype_similarity`: null where unassigned.

    The columns are not there where no prototypes were fitted.

    Raises:
        TableError: the file of assignments is damaged.
    """
    if table.sidecar(KIND) is None or len(rows) == 0:
        return rows
    cells = np.unique(rows["h3_cell"].to_numpy())
    of_cells = read_assignments(table, np.stack([cells, cells], axis=1))
    keys = rows.select(KEY).append_column("_order", pa.array(np.arange(len(rows))))
    joined = keys.join(of_cells, list(KEY), join_type="left outer").sort_by("_order")
    for name in SCHEMA.names[len(KEY) :]:
        rows = rows.append_column(name, joined[name])
    return rows


@dataclass(frozen=True)
class _Groups:
    """The row groups of a file, in order of cell."""

    storage: Storage
    file: SidecarFile
    metadata: pq.FileMetaData
    first_cell: Cells  # (g,)
    last_cell: Cells  # (g,)

    def read(self, group: int) -> pa.Table:
        """One of them, kept for a while. Files never change, so neither does what was kept."""
        key = self.storage, self.file, group
        return _kept.get(key, lambda: self._read(group))

    def _read(self, group: int) -> pa.Table:
        with parts.readable(self.storage, self.file):
            path = parts.checked_copy(self.storage, self.file)
            parquet = parts.open_parquet(path, self.metadata)
            return parts.row_group(parquet, group).cast(SCHEMA).combine_chunks()


_kept = Recent[pa.Table](KEPT_BYTES, lambda rows: int(rows.nbytes))


@lru_cache(maxsize=4)
def _groups(storage: Storage, file: SidecarFile) -> _Groups:
    """A file of assignments, its digest checked; its pages are checked again when they are read."""
    with parts.readable(storage, file):
        metadata = pq.read_metadata(parts.checked_copy(storage, file))
    if not metadata.schema.to_arrow_schema().equals(SCHEMA):
        raise parts.damaged(storage, file, "its columns are not those of assignments")
    cells = [metadata.row_group(group).column(0).statistics for group in range(metadata.num_row_groups)]
    first, last = (np.array([getattr(c, side) for c in cells], np.uint64) for side in ("min", "max"))
    return _Groups(storage, file, metadata, first, last)
