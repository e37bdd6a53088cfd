"""Regional prototypes: what each region of a table is made of, and which rows are like which prototype.

A region is a coarse H3 cell. Prototypes and assignments are files of a snapshot beside the rows, so fitting
never rewrites a vector:

    prototypes.parquet    region_cell, prototype, vector, n_rows
    assignments.parquet   the row's key, region_cell, prototype, prototype_similarity; in order of cell
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from . import sinkhorn
from .cells import Cells, cell_to_text
from .errors import QueryError, TableError
from .ivf import Progress
from .ranked import ranked
from .region_rows import SCAN_ROWS, directed, region_pieces, region_samples, region_sizes
from .row_ranges import RowRanges
from .schema import KEY, TIMESTAMP, to_matrix
from .table import EmbeddingTable
from .vectors import Similarities

KIND = "prototypes"
PROTOTYPES, ASSIGNMENTS = "prototypes.parquet", "assignments.parquet"
ROWS_PER_PROTOTYPE = 10  # at least, of the rows that a region is fitted on; one with fewer has no prototypes

ASSIGNMENT_SCHEMA = pa.schema(
    [
        pa.field("h3_cell", pa.uint64(), nullable=False),
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("start_datetime", TIMESTAMP, nullable=False),
        pa.field("end_datetime", TIMESTAMP, nullable=False),
        pa.field("region_cell", pa.uint64(), nullable=False),
        pa.field("prototype", pa.int32(), nullable=False),
        pa.field("prototype_similarity", pa.float32(), nullable=False),
    ]
)


@dataclass(frozen=True)
class PrototypeInfo:
    """What `fit_prototypes` did."""

    snapshot: int
    regions: int
    prototypes: int
    rows: int  # assigned
    rows_left_out: int  # in regions too small for a prototype

    def __str__(self) -> str:
        left = f"; {self.rows_left_out:,} rows lie in regions of fewer than {ROWS_PER_PROTOTYPE}"
        return (
            f"{self.prototypes:,} prototypes in {self.regions:,} regions, {self.rows:,} rows assigned"
            f"{left if self.rows_left_out else ''}; snapshot {self.snapshot}"
        )


@dataclass(frozen=True)
class Prototypes:
    """All prototypes of a snapshot, in order of region, then number."""

    region_cell: Cells  # (p,) uint64
    prototype: NDArray[np.int32]  # (p,) number within the region
    vectors: Similarities  # (p, d) float32, norm 1
    n_rows: NDArray[np.int64]  # (p,) rows assigned
    region_resolution: int

    @cached_property
    def regions(self) -> Cells:
        """The regions, ascending."""
        return np.unique(self.region_cell)

    def of_region(self, region: int) -> Similarities:
        """A region's prototypes (p_r, d). Raises `QueryError` if it has none."""
        mine = self.region_cell == np.uint64(region)
        if not mine.any():
            raise QueryError(f"region {cell_to_text(region)} has no prototypes: see `skyhex prototypes list`")
        return np.asarray(self.vectors[mine])

    def vector(self, region: int, prototype: int) -> Similarities:
        """One prototype (d,). Raises `QueryError` if there is no such."""
        mine = self.of_region(region)
        if not 0 <= prototype < len(mine):
            raise QueryError(
                f"region {cell_to_text(region)} has no prototype {prototype}: expected 0 to {len(mine) - 1}"
            )
        return np.asarray(mine[prototype])

    def like(self, region: int, prototype: int, k: int = 20) -> pa.Table:
        """The same prototype elsewhere: the k prototypes of other regions most like one, best first.

        Raises:
            QueryError: k below 1, no such prototype.
        """
        if k < 1:
            raise QueryError(f"k = {k}: expected 1 or more")
        similarity = self.vectors @ self.vector(region, prototype)
        elsewhere = np.flatnonzero(self.region_cell != np.uint64(region))
        best = elsewhere[np.argsort(-similarity[elsewhere], kind="stable")][:k]
        return pa.table(
            {
                "region_cell": self.region_cell[best],
                "prototype": self.prototype[best],
                "similarity": similarity[best],
                "n_rows": self.n_rows[best],
            }
        )


def fit_prototypes(
    table: EmbeddingTable,
    *,
    region_resolution: int = 4,
    per_region: int = 100,
    seed: int = 0,
    progress: Progress | None = None,
) -> PrototypeInfo:
    """Fit each region's prototypes, assign its rows to the nearest, and commit both as a snapshot.

    Rows are streamed twice; memory holds one region's sample and all prototypes. The same seed and rows give
    the same prototypes, whatever other regions there are.

    Args:
        table: the newest snapshot.
        region_resolution: H3 resolution of a region, coarser than the rows'.
        per_region: prototypes of a region, at most; fewer where rows are few, see ROWS_PER_PROTOTYPE.
        seed: of the shuffling and the first prototypes.
        progress: called with regions done and regions in all.

    Raises:
        QueryError: a resolution or a count that cannot be.
        TableError: the table cannot be read or written.
    """
    if not 0 <= region_resolution <= table.h3_resolution:
        raise QueryError(
            f"region resolution {region_resolution}: expected 0 to {table.h3_resolution}, that of the rows"
        )
    if per_region < 1:
        raise QueryError(f"{per_region} prototypes a region: expected 1 or more")
    sizes = region_sizes(table, region_resolution)
    fitted: dict[int, Similarities] = {}
    for done, (region, sample) in enumerate(region_samples(table, region_resolution, seed), 1):
        count = min(per_region, sizes[region] // ROWS_PER_PROTOTYPE, len(sample))
        if count:
            prototypes = sinkhorn.fit(sample, count, np.random.default_rng([seed, region]))
            fitted[region] = sinkhorn.pruned(prototypes, sample, ROWS_PER_PROTOTYPE)
        if progress is not None:
            progress(done, len(sizes))
    with tempfile.TemporaryDirectory() as scratch:
        assignments = Path(scratch) / ASSIGNMENTS
        n_rows = _assign(table, fitted, region_resolution, assignments)
        content = _prototypes_parquet(fitted, n_rows, table.dimension)
        info = {"region_resolution": region_resolution, "per_region": per_region, "seed": seed}
        committed = table.commit_sidecar(KIND, {PROTOTYPES: content, ASSIGNMENTS: assignments}, info)
    assigned_rows = sum(int(counts.sum()) for counts in n_rows.values())
    return PrototypeInfo(
        committed.snapshot,
        len(fitted),
        sum(map(len, fitted.values())),
        assigned_rows,
        table.row_count - assigned_rows,
    )


def read_prototypes(table: EmbeddingTable) -> Prototypes:
    """The prototypes of a snapshot. Raises `TableError` if none were fitted, or their file is damaged."""
    sidecar = table.sidecar(KIND)
    if sidecar is None:
        raise TableError(f"{table.storage.root} has no prototypes yet: run `skyhex prototypes fit`")
    rows = pq.read_table(BytesIO(table.read_sidecar(KIND, PROTOTYPES)))
    return Prototypes(
        rows["region_cell"].to_numpy(),
        rows["prototype"].to_numpy(),
        np.asarray(to_matrix(rows["vector"]), np.float32),
        rows["n_rows"].to_numpy(),
        int(sidecar.info["region_resolution"]),
    )


def cells_of_prototype(table: EmbeddingTable, region: int, prototype: int, k: int | None = None) -> pa.Table:
    """A prototype's rows, or the k most like it: rank, key, lon, lat and assignment, the most like it first.

    Raises:
        QueryError: k below 1, no such prototype.
        TableError: no prototypes were fitted.
    """
    if k is not None and k < 1:
        raise QueryError(f"k = {k}: expected 1 or more")
    read_prototypes(table).vector(region, prototype)
    rows = read_assignments(table).filter(
        (pc.field("region_cell") == pa.scalar(region, pa.uint64())) & (pc.field("prototype") == prototype)
    )
    return ranked(rows.sort_by([("prototype_similarity", "descending")]).slice(0, k))


def assigned(table: EmbeddingTable, rows: pa.Table) -> pa.Table:
    """Rows with their `region_cell`, `prototype`, `prototype_similarity`: null where unassigned.

    The columns are not there where no prototypes were fitted.
    """
    if table.sidecar(KIND) is None or len(rows) == 0:
        return rows
    given, cells = read_assignments(table), np.unique(rows["h3_cell"].to_numpy())
    places = RowRanges.merged(*(np.searchsorted(given["h3_cell"], cells, side) for side in ("left", "right")))
    found = given.take(pa.array(places.rows()))
    keys = rows.select(KEY).append_column("_order", pa.array(np.arange(len(rows))))
    joined = keys.join(found, list(KEY), join_type="left outer").sort_by("_order")
    for name in ("region_cell", "prototype", "prototype_similarity"):
        rows = rows.append_column(name, joined[name])
    return rows


def outdated(table: EmbeddingTable) -> str | None:
    """A note where rows changed since the prototypes were fitted."""
    sidecar = table.sidecar(KIND)
    if sidecar is None or table.is_current(sidecar):
        return None
    return "rows changed since the prototypes were fitted: run `skyhex prototypes fit`"


def read_assignments(table: EmbeddingTable) -> pa.Table:
    """All assignments, in order of cell. Raises `TableError` if there are none, or their file is damaged."""
    sidecar = table.sidecar(KIND)
    if sidecar is None:
        raise TableError(f"{table.storage.root} has no prototypes yet: run `skyhex prototypes fit`")
    paths = tuple(file.path for file in sidecar.files)
    return _read_assignments(_Source(table.storage.root, paths, table))


@dataclass(frozen=True)
class _Source:
    """Files that never change, and a table to read them through."""

    root: str
    paths: tuple[str, ...]  # named by their content
    table: EmbeddingTable = field(compare=False)


@lru_cache(maxsize=2)
def _read_assignments(source: _Source) -> pa.Table:
    content = source.table.read_sidecar(KIND, ASSIGNMENTS)
    return pq.read_table(BytesIO(content), schema=ASSIGNMENT_SCHEMA).combine_chunks()


def _assign(
    table: EmbeddingTable, fitted: Mapping[int, Similarities], resolution: int, path: Path
) -> dict[int, NDArray[np.int64]]:
    """Write each row's nearest prototype of its own region; rows of each prototype, by region."""
    n_rows = {region: np.zeros(len(prototypes), np.int64) for region, prototypes in fitted.items()}
    with pq.ParquetWriter(path, ASSIGNMENT_SCHEMA, compression="zstd", write_page_checksum=True) as writer:
        waiting: list[pa.RecordBatch] = []
        for region, piece in region_pieces(table, resolution):
            if region not in fitted:
                continue
            vectors, rows = directed(piece)
            cosines = vectors @ fitted[region].T  # (n, p)
            best = cosines.argmax(axis=1).astype(np.int32)
            n_rows[region] += np.bincount(best, minlength=len(fitted[region]))
            similarity = np.clip(cosines[np.arange(len(best)), best], -1, 1)
            columns = [rows[name] for name in KEY]
            columns += [np.full(len(best), region, np.uint64), best, similarity]
            waiting.append(pa.RecordBatch.from_arrays(list(map(pa.array, columns)), schema=ASSIGNMENT_SCHEMA))
            if sum(map(len, waiting)) >= SCAN_ROWS:
                writer.write_table(pa.Table.from_batches(waiting))
                waiting = []
        if waiting:
            writer.write_table(pa.Table.from_batches(waiting))
    return n_rows


def _prototypes_parquet(
    fitted: Mapping[int, Similarities], n_rows: Mapping[int, NDArray[np.int64]], dimension: int
) -> bytes:
    regions = sorted(fitted)
    empty = np.empty((0, dimension), np.float32)
    vectors = np.concatenate([empty, *(fitted[region] for region in regions)])
    numbers = [np.arange(len(fitted[region]), dtype=np.int32) for region in regions]
    values = pa.array(vectors.ravel())
    rows = pa.table(
        {
            "region_cell": np.repeat(
                np.array(regions, np.uint64), [len(fitted[region]) for region in regions]
            ),
            "prototype": np.concatenate([np.empty(0, np.int32), *numbers]),
            "vector": pa.FixedSizeListArray.from_arrays(values, dimension),
            "n_rows": np.concatenate([np.empty(0, np.int64), *(n_rows[region] for region in regions)]),
        }
    )
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="zstd", write_page_checksum=True)
    content: bytes = sink.getvalue().to_pybytes()
    return content
