"""LanceDB: its default IVF_PQ index, refined from the vectors, with a condition looked at first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from indexer.geo.row_ranges import Rows
from indexer.table.columns import Similarities

from .base import Among, Peer

PROBES = 40


class LanceDbTable(Peer):
    """float16 vectors, an index of them and of both columns filtered by; the dial is refine_factor."""

    dials = (10, 50, 200)
    package = "lancedb"
    table: Any

    def build(self) -> dict[str, float]:
        import lancedb
        from lancedb.index import BTree, IvfPq

        schema = pa.schema(
            [
                ("row", pa.int64()),
                ("draw", pa.float32()),
                ("vector", pa.list_(pa.float16(), self.data.dimension)),
            ]
        )
        table = lancedb.connect(self.folder).create_table("rows", self._batches(schema), schema=schema)
        table.create_index("vector", config=IvfPq(distance_type="dot"))
        table.create_index("row", config=BTree())
        table.create_index("draw", config=BTree())
        return {}

    def open(self) -> None:
        import lancedb

        self.table = lancedb.connect(self.folder).open_table("rows")

    def turn(self, dial: int) -> None:
        self.dial = dial

    def prepare(self, among: Among) -> str | None:
        condition = among.sql()
        return None if condition is None else condition.replace('"', "")

    def search(self, query: Similarities, prepared: Any, k: int) -> Rows:
        search = self.table.search(query).distance_type("dot").nprobes(PROBES).limit(k)
        search = search.refine_factor(self.dial).select(["row", "_distance"])
        if prepared is not None:
            search = search.where(prepared, prefilter=True)
        return np.asarray(search.to_arrow()["row"].to_numpy())

    def _batches(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        for start, vectors in self.data.chunks():
            stop = start + len(vectors)
            flat = pa.array(vectors.astype(np.float16).ravel())
            yield pa.record_batch(
                [
                    pa.array(np.arange(start, stop)),
                    pa.array(self.data.draw[start:stop]),
                    pa.FixedSizeListArray.from_arrays(flat, self.data.dimension),
                ],
                schema=schema,
            )
