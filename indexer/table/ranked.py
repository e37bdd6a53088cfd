"""Rows that stand in order, as an answer: rank first, what is compared, the key, the place."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike

from ..errors import QueryError
from ..geo.cells import centres, centres_of_few
from .columns import to_array, to_numbers
from .schema import KEY

FEW = 256  # rows


def ranked(
    rows: pa.Table,
    rank: ArrayLike | None = None,
    first: Mapping[str, ArrayLike | pa.Array] = MappingProxyType({}),
) -> pa.Table:
    """Rows, best first: `rank` (1, 2, ... by default) before all columns, `lon` and `lat` after the key.

    `first` are further columns (n,), between `rank` and the rest.
    """
    middles = centres_of_few if len(rows) <= FEW else centres
    lon_deg, lat_deg = middles(to_numbers(rows["h3_cell"]))
    after = 1 + max(i for i, name in enumerate(rows.schema.names) if name in KEY)
    rows = _with_columns(rows, after, {"lon": lon_deg, "lat": lat_deg})
    ranks = np.arange(1, len(rows) + 1) if rank is None else rank
    return _with_columns(rows, 0, {"rank": ranks, **first})


def _with_columns(rows: pa.Table, place: int, columns: Mapping[str, ArrayLike | pa.Array]) -> pa.Table:
    for i, (name, held) in enumerate(columns.items(), place):
        column = held if isinstance(held, pa.Array) else to_array(np.asarray(held))
        rows = rows.add_column(i, pa.field(name, column.type), column)
    return rows


def best_first(rows: pa.Table, by: str, order: str, k: int | None) -> pa.Table:
    """The k first rows by a column, "ascending" or "descending", or all; equal ones in order of key."""
    key = [(name, "ascending") for name in KEY if name in rows.column_names]
    return rows.sort_by([(by, order), *key]).slice(0, k)


def check_k(k: int) -> None:
    """Raises `QueryError` for what is no whole number, or fewer rows than one."""
    if isinstance(k, bool) or not isinstance(k, int | np.integer):
        raise QueryError(f"k = {k!r}: expected a whole number")
    if k < 1:
        raise QueryError(f"k = {k}: expected 1 or more")
