"""Regional prototypes: what each region of a table is made of.

A region is a coarse H3 cell. Prototypes and assignments are files of a snapshot beside the rows, so fitting
never rewrites a vector:

    prototypes.parquet    region_cell, prototype, vector, n_rows
    assignments.parquet   see `assignments`
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from io import BytesIO
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..errors import QueryError
from ..geo.cells import Cells, cell_ranges, cell_to_text
from ..progress import Progress
from ..table import parts, sidecars
from ..table.columns import Similarities, cosines, to_matrix, unit
from ..table.embedding_table import EmbeddingTable
from ..table.ranked import best_first, check_k, ranked
from ..table.storage import explained
from ..workers import Workers, whole, workers_of
from . import sinkhorn
from .assignments import fitted_sidecar, read_assignments, write_assignments
from .layout import ASSIGNMENTS, KIND, PROTOTYPES
from .region_rows import region_samples, stretches

ROWS_PER_PROTOTYPE = 10  # at least, of the rows that a region is fitted on; one with fewer has no prototypes


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
        check_k(k)
        similarity = cosines(self.vectors, unit(self.vector(region, prototype)))
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
    workers: int | Workers = 1,
    progress: Progress | None = None,
) -> PrototypeInfo:
    """Fit each region's prototypes, assign its rows to the nearest, and commit both as a snapshot.

    Rows are streamed twice; memory holds one region's sample, all prototypes, and what a part's rows are
    assigned to. The same seed and rows give the same prototypes, whatever other regions there are.

    Args:
        table: the newest snapshot.
        region_resolution: H3 resolution of a region, coarser than the rows'.
        per_region: prototypes of a region, at most; fewer where rows are few, see ROWS_PER_PROTOTYPE.
        seed: of the shuffling and the first prototypes.
        workers: processes that fit and assign, or others who do.
        progress: called with rows fitted to and rows in all.

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
    work = workers_of(workers)
    fit = partial(_fitted, table, region_resolution, per_region, seed)
    pieces = stretches(table, region_resolution)
    fitted, done = dict[int, Similarities](), 0
    for _, (some, rows) in whole(work(fit, pieces), lambda stretch: f"regions of cells {stretch[0]}"):
        fitted |= some
        done += rows
        if progress is not None:
            progress(done, table.row_count)
    with explained("cannot write the assignments"), tempfile.TemporaryDirectory() as scratch:
        assignments = Path(scratch) / ASSIGNMENTS
        n_rows = write_assignments(table, fitted, region_resolution, assignments, work)
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


def _fitted(
    table: EmbeddingTable, resolution: int, per_region: int, seed: int, ranges: Cells
) -> tuple[dict[int, Similarities], int]:
    """The prototypes of the regions that lie in some cells, and how many rows these have."""
    fitted, n_rows = dict[int, Similarities](), 0
    for region, rows, sample in region_samples(table, resolution, seed, ranges):
        count = min(per_region, rows // ROWS_PER_PROTOTYPE, len(sample))
        if count:
            prototypes = sinkhorn.fit(sample, count, np.random.default_rng([seed, region]))
            fitted[region] = sinkhorn.pruned(prototypes, sample, ROWS_PER_PROTOTYPE)
        n_rows += rows
    return fitted, n_rows


def read_prototypes(table: EmbeddingTable) -> Prototypes:
    """The prototypes of a snapshot. Raises `TableError` if none were fitted, or their file is damaged."""
    sidecar = fitted_sidecar(table)
    file = sidecars.find(table.storage, KIND, sidecar, PROTOTYPES)
    with parts.readable(table.storage, file):
        rows = pq.read_table(BytesIO(sidecars.read(table.storage, KIND, file)))
    resolution = sidecar.info.get("region_resolution")
    is_right = (
        rows.schema.equals(_schema(table.dimension))
        and not any(column.null_count for column in rows.columns)
        and isinstance(resolution, int)
        and 0 <= resolution <= table.h3_resolution
    )
    if not is_right:
        raise parts.damaged(table.storage, file, "its columns are not those of prototypes of this table")
    return Prototypes(
        rows["region_cell"].to_numpy(),
        rows["prototype"].to_numpy(),
        np.asarray(to_matrix(rows["vector"]), np.float32),
        rows["n_rows"].to_numpy(),
        cast(int, resolution),
    )


def _schema(dimension: int) -> pa.Schema:
    return pa.schema(
        {
            "region_cell": pa.uint64(),
            "prototype": pa.int32(),
            "vector": pa.list_(pa.float32(), dimension),
            "n_rows": pa.int64(),
        }
    )


def cells_of_prototype(table: EmbeddingTable, region: int, prototype: int, k: int | None = None) -> pa.Table:
    """A prototype's rows, or the k most like it: rank, key, lon, lat and assignment, the most like it first.

    Raises:
        QueryError: k below 1, no such prototype.
        TableError: no prototypes were fitted.
    """
    import pyarrow.compute as pc

    if k is not None:
        check_k(k)
    read_prototypes(table).vector(region, prototype)
    rows = read_assignments(table, cell_ranges([region], table.h3_resolution))
    rows = rows.filter(pc.field("prototype") == prototype)
    return ranked(best_first(rows, "prototype_similarity", "descending", k))


def outdated(table: EmbeddingTable) -> str | None:
    """A note where rows changed since the prototypes were fitted."""
    sidecar = table.sidecar(KIND)
    if sidecar is None or table.is_current(sidecar):
        return None
    return "rows changed since the prototypes were fitted: run `skyhex prototypes fit`"


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
