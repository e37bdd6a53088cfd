"""A table compared with itself: the places that changed most between two periods."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ..errors import QueryError
from ..geo.cells import cell_to_text, resolution_of
from ..geo.row_ranges import Mask, Rows
from ..index.segment import Keys
from ..table.columns import DECIMALS, has_direction, key_numbers, to_matrix, unit
from ..table.embedding_table import EmbeddingTable
from ..table.ranked import best_first, check_k, ranked
from ..table.schema import KEY
from .filter import Filter
from .matching import Matching
from .query import check_column


def changes(
    table: EmbeddingTable,
    before: Filter,
    after: Filter,
    k: int = 20,
    *,
    filter: Filter = Filter(),  # noqa: B008 - frozen
    column: str = "embedding",
) -> pa.Table:
    """The k places that changed most from one period to another, streamed.

    A place (cell and sample_id) is compared by its latest row in each of the two periods. Memory is that of a
    few thousand rows, and of a byte for each of the table where SQL or footprints are asked.

    Args:
        table: one snapshot.
        before: what the first row must match; its dates or months choose the first period.
        after: what the second row must match.
        k: how many, at least 1.
        filter: what both rows must match.
        column: the vectors compared.

    Returns:
        rank, change (1 - cosine, 0 to 2), h3_cell, sample_id, lon, lat and the dates of both rows, as
        `before_start_datetime` and so on; the greatest change first.

    Raises:
        QueryError: k below 1, an unknown column, a period without dates, SQL that cannot be answered.
    """
    check_k(k)
    scanned = scan_changes(table, before, after, filter=filter, column=column)
    best = next(scanned)
    for changed in scanned:
        best = best_first(pa.concat_tables([best, changed]), "change", "descending", k)
    return ranked(best)


def scan_changes(
    table: EmbeddingTable,
    before: Filter,
    after: Filter,
    *,
    filter: Filter = Filter(),  # noqa: B008 - frozen
    column: str = "embedding",
) -> Iterator[pa.Table]:
    """The change of every place, in order of key, some thousands at a time: `changes` without rank.

    The first piece is empty, so that there is one.
    """
    check_column(table, column)
    if not (before.asks_time and after.asks_time):
        raise QueryError("two periods are compared: expected dates or months for both")
    both, *periods = (Matching.of(table, asked) for asked in (filter, before, after))
    yield _changed(table.schema.empty_table(), [np.zeros(0, bool)] * 2, column)
    first_row = 0
    for rows in _whole_places(table.scan([*KEY, column])):
        keys = Keys.of(*key_numbers(rows))
        usable = both.in_table_order(keys, first_row)
        yield _changed(rows, [usable & period.in_table_order(keys, first_row) for period in periods], column)
        first_row += len(rows)


def timeline(table: EmbeddingTable, cell: int, *, column: str = "embedding") -> pa.Table:
    """The rows of a cell through time, each compared with the earlier ones of its place.

    Returns:
        the key, `change` from the row before it and `since_first` from the earliest (1 - cosine, 0 to 2; null
        for the earliest and where a vector is missing), place after place, the earliest row first.

    Raises:
        QueryError: the table has no such cell, or no such column.
    """
    check_column(table, column)
    if resolution_of(cell) != table.h3_resolution:
        raise QueryError(
            f"{cell_to_text(cell)} is no cell of resolution {table.h3_resolution}, as the table's are"
        )
    rows = table.lookup(cell=cell, columns=[*KEY, column]).sort_by([(name, "ascending") for name in KEY[1:]])
    if not len(rows):
        raise QueryError(f"the table has no cell {cell_to_text(cell)}")
    vectors, place = unit(to_matrix(rows[column])), _place_numbers(rows)
    first = place.searchsorted(place)  # (n,) the earliest row of each row's place
    row = np.arange(len(rows))
    compared = {"change": np.maximum(first, row - 1), "since_first": first}
    for name, other in compared.items():
        cosine = np.einsum("nd,nd->n", vectors, vectors[other]).round(DECIMALS)
        change = np.where(row == first, np.nan, (1 - cosine).round(DECIMALS))
        rows = rows.append_column(name, pa.array(change, from_pandas=True))
    return rows.drop_columns(column)


def _whole_places(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Batches in order of key, cut anew so that no place's rows are apart."""
    held: list[pa.Table] = []
    for batch in batches:
        rows = pa.concat_tables([*held, pa.Table.from_batches([batch])])
        last_place = int(_place_numbers(rows).searchsorted(_place_numbers(rows)[-1])) if len(rows) else 0
        if last_place:
            yield rows.slice(0, last_place)
        held = [rows.slice(last_place)]
    yield from held


def _place_numbers(rows: pa.Table) -> NDArray[np.int64]:
    """0, 0, 1, ...: counts the places (cell and sample_id) of rows in order of key. (n,)"""
    new = np.zeros(len(rows), bool)
    for name in KEY[:2]:
        column = rows[name].combine_chunks()
        new[1:] |= pc.not_equal(column[1:], column[:-1]).to_numpy(zero_copy_only=False)
    return np.cumsum(new)


def _changed(rows: pa.Table, sides: Sequence[Mask], column: str) -> pa.Table:
    """Each place that has a row on both sides, (n,) each, with its change."""
    matrix = to_matrix(rows[column])
    usable, place = has_direction(matrix), _place_numbers(rows)
    first, second = (_latest(place, usable & side) for side in sides)
    both = (first >= 0) & (second >= 0) & (first != second)
    first, second = first[both], second[both]
    cosine = np.einsum("nd,nd->n", unit(matrix[first]), unit(matrix[second])).round(DECIMALS)
    dates = {
        f"{when}_{name}": rows[name].take(pa.array(at))
        for when, at in (("before", first), ("after", second))
        for name in KEY[2:]
    }
    place_columns = {name: rows[name].take(pa.array(second)) for name in KEY[:2]}
    return pa.table({"change": (1 - cosine).round(DECIMALS)} | place_columns | dates)


def _latest(place: NDArray[np.int64], usable: Mask) -> Rows:
    """The last usable row of each place, -1 where there is none: (places,)."""
    latest = np.full(place[-1] + 1 if len(place) else 0, -1, np.int64)
    rows = np.flatnonzero(usable)
    np.maximum.at(latest, place[rows], rows)
    return latest
