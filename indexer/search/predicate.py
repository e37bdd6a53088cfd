"""Rows that an SQL predicate holds, as places in the table's parts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import duckdb
import numpy as np

from ..geo.row_ranges import Rows
from ..recent import Recent
from ..sql.limits import Limits
from ..sql.run import run_sql
from ..table.embedding_table import EmbeddingTable
from ..table.schema import KEY

OF_ASSIGNMENTS = re.compile(r"prototype|region_cell", re.IGNORECASE)
SAMPLING = {"sample", "tablesample"}  # words of SQL that may answer otherwise the next time
ANSWERS_BYTES = 64 << 20


@dataclass(frozen=True, eq=False)
class Places:
    """Rows of a table: ascending rows in each part, by its path. Equal to itself alone."""

    rows: Mapping[str, Rows]


_answers = Recent[Places](ANSWERS_BYTES, lambda places: sum(rows.nbytes for rows in places.rows.values()))


def matching_rows(table: EmbeddingTable, predicate: str, limits: Limits) -> Places:
    """The rows that a predicate holds.

    It may speak of all columns of the view `embeddings`, and of `region_cell`, `prototype` and
    `prototype_similarity` where prototypes were fitted. Answers are kept, and asked again they cost nothing.

    Raises:
        QueryError: the predicate cannot be answered, or not within its limits.
        TableError: a part is damaged.
    """
    if table.row_count == 0:
        return Places({})
    if not is_steady(predicate):
        return _read(table, predicate, limits)
    return _answers.get(
        (table.storage.root, table.content, predicate), lambda: _read(table, predicate, limits)
    )


@lru_cache(maxsize=256)
def is_steady(predicate: str) -> bool:
    """Whether it always has the same answer: no word in it names a clock or a draw."""
    return _unsteady().isdisjoint(re.findall(r"\w+", predicate.lower()))


@lru_cache(maxsize=1)
def _unsteady() -> set[str]:
    named = "SELECT function_name FROM duckdb_functions() WHERE stability <> 'CONSISTENT'"
    with duckdb.connect() as connection:
        return {name for (name,) in connection.execute(named).fetchall()} | SAMPLING


def _read(table: EmbeddingTable, predicate: str, limits: Limits) -> Places:
    joined = f" LEFT JOIN _assignments USING ({', '.join(KEY)})" if OF_ASSIGNMENTS.search(predicate) else ""
    query = f"SELECT file_index, file_row_number FROM _parts{joined} WHERE {predicate}"
    numbers = run_sql(table, query, limits)
    file_of_row, row = (
        numbers[name].to_numpy().astype(np.int64) for name in ("file_index", "file_row_number")
    )
    order = np.lexsort((row, file_of_row))
    ends = np.searchsorted(file_of_row[order], np.arange(1, len(table.files)))
    rows = np.split(row[order], ends)
    return Places({file.path: some for file, some in zip(table.files, rows, strict=True)})
