"""A table's rows region by region, streamed: a region is a coarse cell, so its rows follow each other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, pairwise
from operator import itemgetter

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..geo.cells import parents
from ..table.columns import Cosines, Similarities, has_direction, to_matrix, unit
from ..table.embedding_table import EmbeddingTable
from ..table.schema import KEY

SAMPLE_ROWS = 65_536  # of a region, at most
SCAN_ROWS = 16_384


def region_sizes(table: EmbeddingTable, resolution: int) -> dict[int, int]:
    """How many rows each region has."""
    sizes: dict[int, int] = {}
    for batch in table.scan(["h3_cell"]):
        regions, counts = np.unique(parents(batch["h3_cell"].to_numpy(), resolution), return_counts=True)
        for region, count in zip(regions.tolist(), counts.tolist(), strict=True):
            sizes[region] = sizes.get(region, 0) + count
    return sizes


def region_pieces(table: EmbeddingTable, resolution: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Rows in order of cell, cut where the region changes."""
    for batch in table.scan([*KEY, "embedding"], batch_rows=SCAN_ROWS):
        regions = parents(batch["h3_cell"].to_numpy(), resolution)
        cuts = [0, *(np.flatnonzero(regions[1:] != regions[:-1]) + 1).tolist(), len(batch)]
        for start, stop in pairwise(cuts):
            yield int(regions[start]), batch.slice(start, stop - start)


def region_samples(table: EmbeddingTable, resolution: int, seed: int) -> Iterator[tuple[int, Similarities]]:
    """Each region with up to SAMPLE_ROWS of its vectors, drawn evenly from all."""
    for region, pieces in groupby(region_pieces(table, resolution), key=itemgetter(0)):
        sample = _Sample(region, seed)
        for _, batch in pieces:
            sample.add(directed(batch)[0].astype(np.float32))
        yield region, sample.vectors


class _Sample:
    """The SAMPLE_ROWS rows with the smallest random numbers: a sample of a stream of any length."""

    def __init__(self, region: int, seed: int) -> None:
        self._rng = np.random.default_rng([seed, region, 1])
        self._vectors: list[Similarities] = []
        self._draws: list[NDArray[np.float64]] = []
        self._rows = 0

    def add(self, vectors: Similarities) -> None:
        self._vectors.append(vectors)
        self._draws.append(self._rng.random(len(vectors)))
        self._rows += len(vectors)
        if self._rows > 2 * SAMPLE_ROWS:
            self._shrink()

    @property
    def vectors(self) -> Similarities:
        """(s, d) float32."""
        self._shrink()
        return self._vectors[0]

    def _shrink(self) -> None:
        draws, vectors = np.concatenate(self._draws), np.concatenate(self._vectors)
        kept = np.sort(np.argsort(draws, kind="stable")[:SAMPLE_ROWS])
        self._draws, self._vectors, self._rows = [draws[kept]], [vectors[kept]], len(kept)


def directed(batch: pa.RecordBatch) -> tuple[Cosines, pa.RecordBatch]:
    """Vectors that have a direction, of norm 1, and their rows."""
    matrix = to_matrix(batch["embedding"])
    some = has_direction(matrix)
    if some.all():
        return unit(matrix), batch
    return unit(matrix[some]), batch.filter(pa.array(some))
