"""What the table says of rows that were found: from the index's mapped files, else from Parquet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from ..geo.row_ranges import Rows
from ..index.faiss_index import Index
from ..index.segment import Segment
from ..table.columns import KEY_NUMBERS, Matrix, to_array, to_matrix
from ..table.embedding_table import EmbeddingTable
from .best_rows import PARQUET, Best


def read_rows(table: EmbeddingTable, index: Index | None, best: Best, columns: Sequence[str]) -> pa.Table:
    """Columns of the rows found, in their order.

    Raises:
        DamagedIndexError: read again without the index, or without the shard that it names.
        TableError: an unknown column, or a part that cannot be read.
    """
    schema = table.schema_of(columns)
    pieces, order = [], []
    for number, mine in _by_segment(best):
        files = None if index is None or number == PARQUET else index.segments[number]
        if files is not None and shows(files.segment, schema):
            with files.blamed():
                pieces.append(rows_of_segment(files.segment, best.rows_in_segment[mine], schema))
        else:
            pieces.append(table.take(best.file_ids[mine], best.rows_in_file[mine], columns))
        order.append(mine)
    if len(pieces) == 1:
        return pieces[0]
    both = pa.concat_tables([schema.empty_table(), *pieces])
    return both.take(to_array(np.argsort(np.concatenate([np.empty(0, np.int64), *order]))))


def rows_of_segment(segment: Segment, rows: Rows, schema: pa.Schema) -> pa.Table:
    """Columns of rows of an index's segment. Raises `DamagedIndexError`."""
    keys, shown, names = segment.keys, segment.shown, schema.names
    assert shown is not None, "it shows these columns"
    arrays = shown.read(rows, [name for name in names if name not in KEY_NUMBERS])
    for name, held in zip(KEY_NUMBERS, (keys.cells, keys.start_us, keys.end_us), strict=True):
        if name in names:
            held.check(rows, rows + 1)
            arrays[name] = to_array(held.unchecked.take(rows), schema.field(name).type)
    return pa.Table.from_arrays([arrays[name] for name in names], schema=schema)


def read_vectors(table: EmbeddingTable, index: Index | None, best: Best, column: str) -> Matrix:
    """Vectors (k, d) of the rows found, as they are stored. Raises as `read_rows`."""
    vectors = to_matrix(table.schema_of([column]).empty_table()[column])
    vectors = np.empty((len(best), vectors.shape[1]), vectors.dtype)
    for number, mine in _by_segment(best):
        if index is None or number == PARQUET:
            rows = table.take(best.file_ids[mine], best.rows_in_file[mine], [column])
            vectors[mine] = to_matrix(rows[column])
        else:  # they were compared, so they are checked
            vectors[mine] = (
                index.segments[number].segment.vectors[column].matrix.unchecked[best.rows_in_segment[mine]]
            )
    return vectors


def _by_segment(best: Best) -> list[tuple[int, Rows]]:
    """Numbers of segments, and positions of the rows that they hold."""
    numbers = sorted(set(best.segments.tolist()))
    if len(numbers) == 1:
        return [(numbers[0], np.arange(len(best)))]
    return [(number, np.flatnonzero(best.segments == number)) for number in numbers]


def shows(segment: Segment, schema: pa.Schema) -> bool:
    """Whether a segment has all of these columns."""
    kinds = segment.shown.kinds if segment.shown is not None else {}
    return all(name in KEY_NUMBERS or name in kinds for name in schema.names)
