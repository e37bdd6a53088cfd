"""A searched column that has collapsed, or shows one thing everywhere: said beside the answer."""

from __future__ import annotations

import numpy as np

from ..index.faiss_index import Index
from ..recent import Recent
from ..table.embedding_table import EmbeddingTable
from ..table.vector_spread import FIGURES, Spread, collapsed, spread

KEPT = 64  # columns looked at lately

_spreads: Recent[tuple[Spread | None]] = Recent(KEPT, lambda _: 1)


def narrow(table: EmbeddingTable, index: Index | None, column: str) -> str | None:
    """A note where the column lies far below its weights' figure; looked at once a snapshot, in the index."""
    if index is None or FIGURES not in table.model.config:
        return None
    key = table.storage.root, table.manifest.rows_snapshot, index.snapshot, column
    (seen,) = _spreads.get(key, lambda: (sampled_spread(index, column),))
    return None if seen is None else collapsed(table, column, seen)


def sampled_spread(index: Index, column: str) -> Spread | None:
    """Of the index's sample of a column; None of too few rows. Raises `DamagedIndexError`."""
    segments = [files for files in index.segments if column in files.segment.vectors]
    largest = segments if index.shards else sorted(segments, key=lambda files: len(files.segment))[-1:]
    samples = [sample.matrix.whole() for files in largest if (sample := files.sample(column)) is not None]
    return spread(np.concatenate(samples)) if samples else None
