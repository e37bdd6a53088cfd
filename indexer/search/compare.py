"""A table compared with itself: places that changed between two periods, rows unlike their region."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ..errors import QueryError
from ..geo.row_ranges import Mask, Rows
from ..prototypes.assignments import SCHEMA, scan_assignments
from ..table.columns import has_direction, key_numbers, to_matrix
from ..table.embedding_table import EmbeddingTable
from ..table.ranked import ranked
from ..table.schema import KEY
from .allowed import allowed_rows
from .filter import Filter


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
        before: what the first row must hold; its dates or months choose the first period.
        after: what the second row must hold.
        k: how many, at least 1.
        filter: what both rows must hold.
        column: the vectors compared.

    Returns:
        rank, change (1 - cosine, 0 to 2), h3_cell, sample_id, lon, lat and the dates of both rows, as
        `before_start_datetime` and so on; the greatest change first.

    Raises:
        QueryError: k below 1, an unknown column, a period without dates, SQL that cannot be answered.
    """
    _check(k)
    known = ("embedding", *table.optional_columns)
    if column not in known:
        raise QueryError(f"the table has no vectors {column!r}: expected one of {', '.join(known)}")
    if not (before.asks_time and after.asks_time):
        raise QueryError("two periods are compared: expected dates or months for both")
    both, *periods = (_Conditions.of(table, conditions) for conditions in (filter, before, after))
    nothing = np.zeros(0, bool)
    best, first_row = _changed(table.schema.empty_table(), [nothing, nothing], column), 0
    for rows in _whole_places(table.scan([*KEY, column])):
        usable = both.hold(rows, first_row)
        sides = [usable & period.hold(rows, first_row) for period in periods]
        best = _first(pa.concat_tables([best, _changed(rows, sides, column)]), "change", "descending", k)
        first_row += len(rows)
    return ranked(best)


def outliers(
    table: EmbeddingTable,
    k: int = 20,
    filter: Filter = Filter(),  # noqa: B008 - frozen
) -> pa.Table:
    """The k rows least like the prototype they are assigned to: what is rare in its region; streamed.

    Args:
        table: one snapshot, whose prototypes were fitted.
        k: how many, at least 1.
        filter: which rows may be returned.

    Returns:
        rank, the row's key, lon, lat, region_cell, prototype, prototype_similarity; the least alike first.

    Raises:
        QueryError: k below 1, SQL that cannot be answered.
        TableError: no prototypes were fitted.
    """
    _check(k)
    best, allowed = SCHEMA.empty_table(), _allowed_keys(table, filter)
    for rows in scan_assignments(table):
        cells = rows["h3_cell"].to_numpy()
        if filter.region_of_centres is not None:
            rows = rows.take(pa.array(filter.region_of_centres.rows(cells).rows()))
        _, start_us, end_us = key_numbers(rows)
        rows = rows.filter(pa.array(filter.holds_in_time(start_us, end_us)))
        if allowed is not None:
            rows = _between(allowed, *cells[[0, -1]]).join(rows, list(KEY), join_type="inner").cast(SCHEMA)
        best = _first(pa.concat_tables([best, rows]), "prototype_similarity", "ascending", k)
    return ranked(best)


def _allowed_keys(table: EmbeddingTable, conditions: Filter) -> pa.Table | None:
    """Keys of the rows that SQL and footprints allow, in order; None where neither is asked."""
    allowed = allowed_rows(table, conditions)
    if allowed is None:
        return None
    rows_of = [allowed.rows[file.path] for file in table.files]
    file_ids = np.repeat(np.arange(len(rows_of)), [len(some) for some in rows_of])
    taken = table.take(file_ids, np.concatenate([np.empty(0, np.int64), *rows_of]), KEY)
    return taken.combine_chunks()


def _between(rows: pa.Table, first: np.uint64, last: np.uint64) -> pa.Table:
    """Rows in order of cell, from one cell to another."""
    cells = rows["h3_cell"].to_numpy()
    start, stop = cells.searchsorted(first), cells.searchsorted(last, side="right")
    return rows.slice(start, stop - start)


@dataclass(frozen=True)
class _Conditions:
    """A filter, ready to be asked of rows in the table's order."""

    filter: Filter
    allowed: Mask | None  # (rows of the table,) by SQL and footprints

    @staticmethod
    def of(table: EmbeddingTable, conditions: Filter) -> _Conditions:
        """The filter's SQL is answered here, once."""
        allowed = allowed_rows(table, conditions)
        if allowed is None:
            return _Conditions(conditions, None)
        mask, first_row = np.zeros(table.row_count, bool), 0
        for file in table.files:
            mask[first_row + allowed.rows[file.path]] = True
            first_row += file.rows
        return _Conditions(conditions, mask)

    def hold(self, rows: pa.Table, first_row: int) -> Mask:
        """Of which rows (n,), the first of them at a place in the table, the filter holds."""
        _, start_us, end_us = key_numbers(rows)
        holds = self.filter.holds_in_time(start_us, end_us)
        if self.filter.region_of_centres is not None:
            holds &= self.filter.region_of_centres.rows(rows["h3_cell"].to_numpy()).mask(len(rows))
        if self.allowed is not None:
            holds &= self.allowed[first_row : first_row + len(rows)]
        return holds


def _check(k: int) -> None:
    if k < 1:
        raise QueryError(f"k = {k}: expected 1 or more")


def _first(rows: pa.Table, by: str, order: str, k: int) -> pa.Table:
    return rows.sort_by([(by, order), *((name, "ascending") for name in KEY[:2])]).slice(0, k)


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
    cosine = np.einsum("nd,nd->n", matrix[first].astype(np.float32), matrix[second].astype(np.float32))
    dates = {
        f"{when}_{name}": rows[name].take(pa.array(at))
        for when, at in (("before", first), ("after", second))
        for name in KEY[2:]
    }
    place_columns = {name: rows[name].take(pa.array(second)) for name in KEY[:2]}
    return pa.table({"change": np.clip(1 - cosine, 0, 2)} | place_columns | dates)


def _latest(place: NDArray[np.int64], usable: Mask) -> Rows:
    """The last usable row of each place, -1 where there is none: (places,)."""
    latest = np.full(place[-1] + 1 if len(place) else 0, -1, np.int64)
    rows = np.flatnonzero(usable)
    np.maximum.at(latest, place[rows], rows)
    return latest
