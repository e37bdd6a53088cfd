"""Rows that an SQL predicate holds, as places in the table's parts."""

from __future__ import annotations

import re

import numpy as np
import pyarrow.compute as pc

from .row_ranges import Rows
from .schema import KEY
from .sql import run_sql
from .table import EmbeddingTable

OF_ASSIGNMENTS = re.compile(r"prototype|region_cell", re.IGNORECASE)


def matching_rows(table: EmbeddingTable, predicate: str) -> dict[str, Rows]:
    """Ascending rows in each part, by the part's path, that a predicate holds.

    It may speak of all columns of the view `embeddings`, and of `region_cell`, `prototype` and
    `prototype_similarity` where prototypes were fitted.

    Raises:
        QueryError: the predicate cannot be answered.
    """
    if table.row_count == 0:
        return {}
    joined = f" LEFT JOIN _assignments USING ({', '.join(KEY)})" if OF_ASSIGNMENTS.search(predicate) else ""
    found = run_sql(
        table, f"SELECT filename, file_row_number FROM _parts{joined} WHERE {predicate} ORDER BY ALL"
    )
    rows_of = {}
    for file in table.files:
        mine = found.filter(pc.equal(found["filename"], str(table.path / file.path)))
        rows_of[file.path] = mine["file_row_number"].to_numpy().astype(np.int64)
    return rows_of
