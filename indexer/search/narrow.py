"""A searched column that has collapsed, or shows one thing everywhere: said beside the answer."""

from __future__ import annotations

import numpy as np

from ..index.faiss_index import Index
from ..recent import Recent
from ..table.embedding_table import EmbeddingTable
from ..table.vector_spread import FIGURES, Spread, collapsed, spread

DRAWN = 2_048  # rows of the largest segment, evenly spaced
KEPT = 64  # columns looked at lately

_spreads: Recent[tuple[Spread | None]] = Recent(KEPT, lambda _: 1)


def narrow(table: EmbeddingTable, index: Index | None, column: str) -> str | None:
    """A note where the column lies far below its weights' figure; looked at once a snapshot, in the index."""
    if index is None or FIGURES not in table.model.config:
        return None
    segments = [files.segment for files in index.segments if column in files.segment.vectors]
    if not segments:
        return None
    largest = max(segments, key=len)

    def look() -> tuple[Spread | None]:
        rows = np.unique(np.linspace(0, len(largest) - 1, DRAWN).astype(np.int64))
        return (spread(largest.vectors[column].matrix.unchecked[rows]),)

    key = table.storage.root, table.manifest.rows_snapshot, index.snapshot, column
    (found,) = _spreads.get(key, look)
    return None if found is None else collapsed(table, column, found)
