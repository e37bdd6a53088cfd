"""A table's rows region by region, streamed: a region is a coarse cell, so its rows follow each other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, pairwise
from operator import itemgetter

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..geo.cells import Cells, parent, parents
from ..table.columns import Cosines, Similarities, has_direction, to_matrix, unit
from ..table.embedding_table import EmbeddingTable
from ..table.schema import KEY

SAMPLE_ROWS = 65_536  # of a region, at most
SCAN_ROWS = 16_384
STRETCH_ROWS = SAMPLE_ROWS  # of a stretch, at least: fewer are not worth a worker's while


def stretches(table: EmbeddingTable, resolution: int | None = None) -> list[Cells]:
    """The table as ranges of cells, each (1, 2) with the last included: some parts, whole.

    Args:
        resolution: of regions, none of which lies in two stretches.
    """
    ranges, begin, rows = list[Cells](), 0, 0
    for last, file in enumerate(table.files):
        rows += file.rows
        after = table.files[last + 1] if last + 1 < len(table.files) else None
        is_end = after is None or (rows >= STRETCH_ROWS and _apart(file.max_h3, after.min_h3, resolution))
        if is_end:
            ranges.append(np.array([[table.files[begin].min_h3, file.max_h3]], np.uint64))
            begin, rows = last + 1, 0
    return ranges


def _apart(cell: int, other: int, resolution: int | None) -> bool:
    """Whether two cells are of two regions."""
    return resolution is None or parent(cell, resolution) != parent(other, resolution)


def region_pieces(
    table: EmbeddingTable, resolution: int, ranges: Cells
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Rows in some ranges of cells (m, 2), in their order, cut where the region changes."""
    for batch in table.scan([*KEY, "embedding"], ranges=ranges, batch_rows=SCAN_ROWS):
        regions = parents(batch["h3_cell"].to_numpy(), resolution)
        cuts = [0, *(np.flatnonzero(regions[1:] != regions[:-1]) + 1).tolist(), len(batch)]
        for start, stop in pairwise(cuts):
            yield int(regions[start]), batch.slice(start, stop - start)


def region_samples(
    table: EmbeddingTable, resolution: int, seed: int, ranges: Cells
) -> Iterator[tuple[int, int, Similarities]]:
    """Each region with how many rows it has, and up to SAMPLE_ROWS of its vectors, drawn evenly from all."""
    for region, pieces in groupby(region_pieces(table, resolution, ranges), key=itemgetter(0)):
        sample, rows = _Sample(region, seed), 0
        for _, batch in pieces:
            sample.add(directed(batch)[0].astype(np.float32))
            rows += len(batch)
        yield region, rows, sample.vectors


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
