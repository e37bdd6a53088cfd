"""Rows that stand in order, as an answer: rank first, what is compared, the key, the place."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike

from ..errors import QueryError
from ..geo.cells import centres
from .schema import KEY


def ranked(rows: pa.Table, rank: ArrayLike | None = None) -> pa.Table:
    """Rows, best first: `rank` (1, 2, ... by default) before all columns, `lon` and `lat` after the key."""
    lon_deg, lat_deg = centres(rows["h3_cell"].to_numpy())
    after = 1 + max(rows.schema.get_field_index(name) for name in KEY)
    rows = rows.add_column(after, "lon", pa.array(lon_deg)).add_column(after + 1, "lat", pa.array(lat_deg))
    ranks = np.arange(1, len(rows) + 1) if rank is None else np.asarray(rank)
    return rows.add_column(0, "rank", pa.array(ranks))


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
