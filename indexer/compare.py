"""A table compared with itself: places that changed between two periods, rows unlike their region."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from .cells import centres
from .errors import QueryError
from .filters import Filter
from .prototypes import read_assignments
from .region import Region
from .row_ranges import Mask, Rows
from .schema import KEY, to_matrix
from .segment import key_arrays
from .table import EmbeddingTable
from .vectors import has_direction


def changes(
    table: EmbeddingTable,
    before: Filter,
    after: Filter,
    k: int = 20,
    *,
    region: Region | None = None,
    column: str = "embedding",
) -> pa.Table:
    """The k places that changed most from one period to another, streamed in bounded memory.

    A place (cell and sample_id) is compared by its latest row in each of the two periods.

    Args:
        table: one snapshot.
        before: its dates or months choose the first period.
        after: its dates or months choose the second.
        k: how many, at least 1.
        region: where to look; everywhere by default.
        column: the vectors compared.

    Returns:
        rank, change (1 - cosine, 0 to 2), h3_cell, sample_id, lon, lat and the dates of both rows, as
        `before_start_datetime` and so on; the greatest change first.

    Raises:
        QueryError: k below 1, an unknown column, a period without dates.
    """
    _check(k)
    if column not in ("embedding", *table.optional_columns):
        raise QueryError(
            f"the table has no vectors {column!r}: expected embedding or an optional column it has"
        )
    if not (before.asks_time and after.asks_time):
        raise QueryError("two periods are compared: expected dates or months for both")
    best = _changed(table.schema.empty_table(), before, after, region, column)
    for rows in _whole_places(table.scan([*KEY, column])):
        found = _changed(rows, before, after, region, column)
        best = _first(pa.concat_tables([best, found]), "change", "descending", k)
    return _ranked(best)


def outliers(table: EmbeddingTable, k: int = 20, *, region: Region | None = None) -> pa.Table:
    """The k rows least like the prototype they are assigned to: what is rare in its region.

    Args:
        table: one snapshot, whose prototypes were fitted.
        k: how many, at least 1.
        region: where to look; everywhere by default.

    Returns:
        rank, the row's key, lon, lat, region_cell, prototype, prototype_similarity; the least alike first.

    Raises:
        QueryError: k below 1.
        TableError: no prototypes were fitted.
    """
    _check(k)
    rows = read_assignments(table)
    if region is not None:
        rows = rows.take(pa.array(region.rows(rows["h3_cell"].to_numpy()).rows()))
    return _ranked(_first(rows, "prototype_similarity", "ascending", k))


def _check(k: int) -> None:
    if k < 1:
        raise QueryError(f"k = {k}: expected 1 or more")


def _first(rows: pa.Table, by: str, order: str, k: int) -> pa.Table:
    return rows.sort_by([(by, order), *((name, "ascending") for name in KEY[:2])]).slice(0, k)


def _ranked(rows: pa.Table) -> pa.Table:
    """With rank first, and lon and lat after the sample."""
    lon_deg, lat_deg = centres(rows["h3_cell"].to_numpy())
    after = rows.schema.get_field_index("sample_id") + 1
    rows = rows.add_column(after, "lon", pa.array(lon_deg)).add_column(after + 1, "lat", pa.array(lat_deg))
    return rows.add_column(0, "rank", pa.array(np.arange(1, len(rows) + 1)))


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


def _changed(rows: pa.Table, before: Filter, after: Filter, region: Region | None, column: str) -> pa.Table:
    """Each place that has a row in both periods, with its change."""
    if region is not None:
        rows = rows.take(pa.array(region.rows(rows["h3_cell"].to_numpy()).rows()))
    matrix = to_matrix(rows[column])
    usable, place = has_direction(matrix), _place_numbers(rows)
    _, start_us, end_us = key_arrays(rows)
    first, second = (
        _latest(place, usable & period.holds_in_time(start_us, end_us)) for period in (before, after)
    )
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
