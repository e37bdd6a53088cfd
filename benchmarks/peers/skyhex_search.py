"""Ours: the index alone, as other libraries are measured, and the whole search, as a database is."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from indexer.geo.cells import Cells, centres
from indexer.geo.row_ranges import RowRanges, Rows
from indexer.geo.search_area import Region
from indexer.index.faiss_index import build_index, open_index
from indexer.index.ivf import Ivf
from indexer.index.planner import Plan, choose, run
from indexer.search.filter import Filter
from indexer.search.query import Query, Vector
from indexer.search.search import Hits, search, search_many
from indexer.table.columns import Similarities
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import ModelInfo, make_rows

from ..search_vectors import RESOLUTION, VectorSet
from .base import Among, Peer

COMMIT_ROWS = 65_536
CORNERS = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]) * 0.0015  # degrees: a square footprint


class SkyhexIndex(Peer):
    """The planner and its plan over the one segment; the filter comes as rows."""

    package = "skyhex"

    def build(self) -> dict[str, float]:
        model = ModelInfo("benchmark", "0" * 64, self.data.dimension, "Apache-2.0", trained=False)
        table = EmbeddingTable.create(self.folder, model, h3_resolution=RESOLUTION, simulated=True)
        began = time.perf_counter()
        for start in range(0, len(self.data.vectors), COMMIT_ROWS):
            table = table.upsert(_rows(self.data, slice(start, start + COMMIT_ROWS), model))
        write_s = time.perf_counter() - began
        build_index(table)
        return {"write_s": write_s}

    def open(self) -> None:
        self.table = EmbeddingTable.open(self.folder)
        index, notes = open_index(self.table)
        assert index is not None, notes
        assert not index.missing, index.missing
        (self.files,) = index.segments
        self.row_count = len(self.files.segment)
        self.vectors = self.files.segment.vectors["embedding"]
        self.measured = self.files.measured.get("embedding")

    def prepare(self, among: Among) -> Any:
        rows = among.rows(self.data)
        rows.bits, rows.pieces  # noqa: B018 - made once and kept, as `search` keeps them of a predicate
        return rows

    def search(self, query: Similarities, prepared: Any, k: int) -> Rows:
        return self._run(query[None], prepared, k)[0]

    def search_batch(self, queries: Similarities, k: int) -> list[Rows]:
        return self._run(queries, RowRanges.all_of(self.row_count), k)

    def _run(self, queries: Similarities, rows: RowRanges, k: int) -> list[Rows]:
        plan = choose(self.measured, rows, self.row_count, k)
        nearest = run(plan, self.vectors, self._inverted(plan), rows, queries.astype(np.float64), k)
        return [its_rows for _, its_rows in nearest]

    def _inverted(self, plan: Plan) -> Ivf | None:
        """Opened by the first query that needs it, as `search` does."""
        return self._opened if plan.probes else None

    @cached_property
    def _opened(self) -> Ivf | None:
        return self.files.inverted("embedding")

    @property
    def bytes(self) -> int:
        """Of the index, its matrix included; the table that it was made from is not counted."""
        return open_index(EmbeddingTable.open(self.folder))[0].segments[0].bytes  # type: ignore[union-attr]


class SkyhexSearch(SkyhexIndex):
    """`search`: the filter evaluated, the index, then the rows themselves read from Parquet."""

    built_as = "skyhex"

    def prepare(self, among: Among) -> Filter:
        if among.kind == "region":
            first, last = self.data.cells[[among.start, among.stop - 1]].tolist()
            return Filter(region=Region((CellSpan(first, last),)))  # type: ignore[arg-type] # centres alone
        return Filter(where=f"cloud_fraction < {among.draw_below}" if among.kind == "random" else None)

    def search(self, query: Similarities, prepared: Any, k: int) -> Rows:
        return _row_numbers(search(self.table, Query((Vector(query),)), k, prepared))

    def search_batch(self, queries: Similarities, k: int) -> list[Rows]:
        asked = [Query((Vector(query),)) for query in queries]
        return [_row_numbers(hits) for hits in search_many(self.table, asked, k)]


def _row_numbers(hits: Hits) -> Rows:
    return np.array([int(name) for name in hits.rows["sample_id"].to_pylist()], np.int64)


@dataclass(frozen=True)
class CellSpan:
    """A shape of cells from one to another, in order of number; it knows centres, not footprints."""

    first: int
    last: int

    def rows(self, cells: Cells) -> RowRanges:
        """See `indexer.geo.shapes.Shape`."""
        start = np.searchsorted(cells, np.uint64(self.first))
        stop = np.searchsorted(cells, np.uint64(self.last), side="right")
        return RowRanges.merged(np.array([start]), np.array([stop]))


def _rows(data: VectorSet, piece: slice, model: ModelInfo) -> pa.Table:
    """Rows of the table: `sample_id` is the row's number, `cloud_fraction` its draw."""
    cells = np.asarray(data.cells[piece])
    n = len(cells)
    rings = np.stack(centres(cells), axis=1)[:, None] + CORNERS  # (n, 5, 2)
    return make_rows(
        h3_cell=cells,
        sample_id=[str(piece.start + i) for i in range(n)],
        start=[datetime(2024, 1, 1, tzinfo=UTC)] * n,
        end=[datetime(2025, 1, 1, tzinfo=UTC)] * n,
        footprint=rings.tolist(),
        embedding=data.vectors[piece],
        model=model,
        n_hr=np.zeros(n),
        n_s2=np.full(n, 12),
        n_s1=np.zeros(n),
        valid_fraction=np.ones(n),
        cloud_fraction=data.draw[piece],
        source_items=[()] * n,
    )
