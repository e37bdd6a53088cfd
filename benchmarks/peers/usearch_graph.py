"""USearch: a graph over float16 vectors. Its Python package has no filter."""

from __future__ import annotations

from typing import Any

import numpy as np

from indexer.geo.row_ranges import Rows
from indexer.table.columns import Similarities

from .base import Peer


class UsearchGraph(Peer):
    """The defaults for connectivity and expansion while adding; the dial is the expansion while searching."""

    dials = (16, 64, 256, 1024)
    filters = False
    package = "usearch"
    index: Any

    def build(self) -> dict[str, float]:
        from usearch.index import Index

        index = Index(ndim=self.data.dimension, metric="ip", dtype="f16")
        for start, vectors in self.data.chunks():
            index.add(np.arange(start, start + len(vectors)), vectors, threads=self.threads)
        index.save(str(self.folder / "index.usearch"))
        return {}

    def open(self) -> None:
        from usearch.index import Index

        self.index = Index(ndim=self.data.dimension, metric="ip", dtype="f16")
        self.index.load(str(self.folder / "index.usearch"))

    def turn(self, dial: int) -> None:
        self.index.expansion_search = dial

    def search(self, query: Similarities, prepared: Any, k: int) -> Rows:
        return np.asarray(self.index.search(query, k, threads=self.threads).keys, np.int64)

    def search_batch(self, queries: Similarities, k: int) -> list[Rows]:
        return list(self.index.search(queries, k, threads=self.threads).keys.astype(np.int64))
