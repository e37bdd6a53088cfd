"""Rows unlike their region: what is rare where it lies."""

from __future__ import annotations

import pyarrow as pa

from ..prototypes.assignments import scan_assignments
from ..prototypes.layout import SCHEMA
from ..table.embedding_table import EmbeddingTable
from ..table.ranked import best_first, check_k, ranked
from .filter import Filter
from .matching import Matching


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
    check_k(k)
    best, matching = SCHEMA.empty_table(), Matching.of(table, filter)
    for rows in scan_assignments(table):
        both = pa.concat_tables([best, matching.keyed(rows)])
        best = best_first(both, "prototype_similarity", "ascending", k)
    return ranked(best)
