"""One vector for each cell: the mean direction of its rows that a filter holds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..geo.cells import Cells
from ..index.segment import Keys
from ..search.filter import Filter
from ..search.matching import Matching
from ..search.query import check_column
from ..table.columns import Cosines, has_direction, key_numbers, to_matrix, unit
from ..table.embedding_table import EmbeddingTable
from ..table.schema import KEY


def cell_vectors(table: EmbeddingTable, column: str, filter: Filter) -> Iterator[tuple[Cells, Cosines]]:
    """Cells (m,), each once and in order, and their vectors (m, d) of norm 1, in pieces of bounded memory.

    Raises:
        QueryError: a column that the table lacks, a filter that cannot be answered.
    """
    check_column(table, column)
    matching, first_row = Matching.of(table, filter), 0
    open_cells, open_sums = np.empty(0, np.uint64), np.empty((0, 0))
    for batch in table.scan([*KEY, column]):
        keys, matrix = Keys.of(*key_numbers(batch)), to_matrix(batch[column])
        usable = matching.in_table_order(keys, first_row) & has_direction(matrix)
        first_row += len(batch)
        cells, vectors = batch["h3_cell"].to_numpy()[usable], unit(matrix[usable])
        if len(open_cells):  # the last cell of the batch before may go on in this one
            cells, vectors = np.r_[open_cells, cells], np.concatenate([open_sums, vectors])
        if not len(cells):
            continue
        each, starts = np.unique(cells, return_index=True)
        sums = np.add.reduceat(vectors, starts)
        open_cells, open_sums = each[-1:], sums[-1:]
        yield from _directed(each[:-1], sums[:-1])
    yield from _directed(open_cells, open_sums)


def _directed(cells: Cells, sums: Cosines) -> Iterator[tuple[Cells, Cosines]]:
    if len(cells):
        vectors = unit(sums)
        some = np.isfinite(vectors).all(axis=1)
        yield cells[some], vectors[some]
