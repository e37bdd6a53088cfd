"""Some rows of a large table, at the cost of some of its parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from .embedding_table import EmbeddingTable


def drawn_batches(
    table: EmbeddingTable, columns: Sequence[str], rng: np.random.Generator, rows: int
) -> Iterator[pa.RecordBatch]:
    """Batches of whole parts, drawn until they hold so many rows. Raises TableError."""
    seen = 0
    for number in rng.permutation(len(table.files)).tolist():
        file = table.files[number]
        span = np.array([[file.min_h3, file.max_h3]], np.uint64)
        yield from table.scan(columns, ranges=span)
        seen += file.rows
        if seen >= rows:
            return
