"""FAISS's own indexes, used plainly: ids selected by a range or a bitmap."""

from __future__ import annotations

import math
from typing import Any

import faiss
import numpy as np

from indexer.geo.row_ranges import Rows
from indexer.table.columns import Similarities

from .base import Among, Peer

INNER_PRODUCT = faiss.METRIC_INNER_PRODUCT


class FaissIndex(Peer):
    """An index over float32 vectors in memory."""

    package = "faiss-cpu"
    index: Any

    def empty_index(self) -> Any:
        """Not trained, without rows."""
        raise NotImplementedError

    def parameters(self, selector: Any) -> Any:
        """Of one search."""
        raise NotImplementedError

    def build(self) -> dict[str, float]:
        faiss.omp_set_num_threads(self.threads)
        index = self.empty_index()
        if not index.is_trained:
            index.train(self._training_rows(index))
        for _, vectors in self.data.chunks():
            index.add(vectors)
        faiss.write_index(index, str(self.folder / "index.faiss"))
        return {}

    def open(self) -> None:
        faiss.omp_set_num_threads(self.threads)
        self.index = faiss.read_index(str(self.folder / "index.faiss"))
        self.dial = self.dials[0]

    def turn(self, dial: int) -> None:
        self.dial = dial

    def prepare(self, among: Among) -> Any:
        if among.kind == "all":
            return None, None
        if among.kind == "region":
            return faiss.IDSelectorRange(among.start, among.stop), None
        bits = among.rows(self.data).bits
        return faiss.IDSelectorBitmap(bits), bits  # type: ignore[call-arg, arg-type]  # bits outlive it

    def search(self, query: Similarities, prepared: Any, k: int) -> Rows:
        _, rows = self.index.search(query[None], k, params=self.parameters(prepared[0]))
        return np.asarray(rows[0][rows[0] >= 0])

    def search_batch(self, queries: Similarities, k: int) -> list[Rows]:
        _, rows = self.index.search(np.ascontiguousarray(queries), k, params=self.parameters(None))
        return list(rows)

    def _training_rows(self, index: Any) -> Similarities:
        n = len(self.data.vectors)
        count = min(n, 50 * index.nlist)
        return self.data.vectors[np.linspace(0, n - 1, count).astype(np.int64)].astype(np.float32)


class FaissFlat(FaissIndex):
    """Every row, exactly."""

    def empty_index(self) -> Any:
        return faiss.IndexFlatIP(self.data.dimension)

    def parameters(self, selector: Any) -> Any:
        return faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]


class FaissIvf(FaissIndex):
    """Lists of whole vectors; the dial is the number of lists read."""

    dials = (1, 4, 16, 64, 256)

    def empty_index(self) -> Any:
        lists = 1 << round(math.log2(max(4 * math.sqrt(len(self.data.vectors)), 1)))
        return faiss.index_factory(self.data.dimension, f"IVF{lists},Flat", INNER_PRODUCT)

    def parameters(self, selector: Any) -> Any:
        return faiss.SearchParametersIVF(nprobe=self.dial, sel=selector)  # type: ignore[call-arg]


class FaissHnsw(FaissIndex):
    """A graph; the dial is efSearch."""

    dials = (16, 64, 256, 1024)

    def empty_index(self) -> Any:
        return faiss.index_factory(self.data.dimension, "HNSW32,Flat", INNER_PRODUCT)

    def parameters(self, selector: Any) -> Any:
        return faiss.SearchParametersHNSW(efSearch=self.dial, sel=selector)  # type: ignore[attr-defined]
