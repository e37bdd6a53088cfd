"""hnswlib: a graph, filtered by a function that it calls for each row that it meets."""

from __future__ import annotations

from typing import Any

import numpy as np

from indexer.geo.row_ranges import Rows
from indexer.table.columns import Similarities

from .base import Among, Peer


class HnswlibGraph(Peer):
    """M = 16 and ef_construction = 200, as its README sets them; the dial is ef."""

    dials = (16, 64, 256, 1024)
    package = "hnswlib"
    index: Any

    def build(self) -> dict[str, float]:
        import hnswlib

        index = hnswlib.Index("ip", self.data.dimension)
        index.init_index(len(self.data.vectors), M=16, ef_construction=200)
        for start, vectors in self.data.chunks():
            index.add_items(vectors, np.arange(start, start + len(vectors)), num_threads=self.threads)
        index.save_index(str(self.folder / "index.hnswlib"))
        return {}

    def open(self) -> None:
        import hnswlib

        self.index = hnswlib.Index("ip", self.data.dimension)
        self.index.load_index(str(self.folder / "index.hnswlib"))

    def turn(self, dial: int) -> None:
        self.index.set_ef(dial)

    def prepare(self, among: Among) -> Any:
        if among.kind == "all":
            return None
        return among.rows(self.data).mask(len(self.data.vectors)).tolist().__getitem__

    def search(self, query: Similarities, prepared: Any, k: int) -> Rows:
        try:
            rows, _ = self.index.knn_query(query[None], k, num_threads=self.threads, filter=prepared)
        except RuntimeError:  # it found fewer than k, and then returns none
            return np.empty(0, np.int64)
        return np.asarray(rows[0], np.int64)

    def search_batch(self, queries: Similarities, k: int) -> list[Rows]:
        rows, _ = self.index.knn_query(queries, k, num_threads=self.threads)
        return list(rows.astype(np.int64))
