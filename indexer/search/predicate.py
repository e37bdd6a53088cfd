"""Rows that an SQL predicate holds, as places in the table's parts."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from ..geo.row_ranges import Rows
from ..recent import Recent
from ..sql.run import check_reads_only, connect, explained
from ..table.embedding_table import EmbeddingTable
from ..table.schema import KEY

OF_ASSIGNMENTS = re.compile(r"prototype|region_cell", re.IGNORECASE)
SAMPLING = {"sample", "tablesample"}  # words of SQL that may answer otherwise the next time
ANSWERS_BYTES = 64 << 20


@dataclass(frozen=True, eq=False)
class Places:
    """Rows of a table: ascending rows in each part, by its path. Equal to itself alone."""

    rows: Mapping[str, Rows]


@dataclass(frozen=True)
class _Source:
    """Files that never change, and a table to read them through."""

    root: str
    paths: tuple[str, ...]  # named by their content
    table: EmbeddingTable = field(compare=False)


class _Reader:
    """A connection that is kept, for one thread at a time."""

    def __init__(self, table: EmbeddingTable) -> None:
        self._connection = connect(table)
        self._lock = threading.Lock()
        unsteady = "SELECT function_name FROM duckdb_functions() WHERE stability <> 'CONSISTENT'"
        self._unsteady = {name for (name,) in self._connection.execute(unsteady).fetchall()} | SAMPLING

    def steady(self, predicate: str) -> bool:
        """Whether it always has the same answer: no word in it names a clock or a draw."""
        return self._unsteady.isdisjoint(re.findall(r"\w+", predicate.lower()))

    def rows(self, table: EmbeddingTable, predicate: str) -> Places:
        joined = (
            f" LEFT JOIN _assignments USING ({', '.join(KEY)})" if OF_ASSIGNMENTS.search(predicate) else ""
        )
        query = f"SELECT file_index, file_row_number FROM _parts{joined} WHERE {predicate}"
        with self._lock:
            check_reads_only(self._connection, query)
            found = self._connection.sql(query).fetchnumpy()
        file_of_row, row = (np.asarray(found[name], np.int64) for name in ("file_index", "file_row_number"))
        order = np.lexsort((row, file_of_row))
        ends = np.searchsorted(file_of_row[order], np.arange(1, len(table.files)))
        rows = np.split(row[order], ends)
        return Places({file.path: some for file, some in zip(table.files, rows, strict=True)})


_answers = Recent[Places](ANSWERS_BYTES, lambda places: sum(rows.nbytes for rows in places.rows.values()))


def matching_rows(table: EmbeddingTable, predicate: str) -> Places:
    """The rows that a predicate holds.

    It may speak of all columns of the view `embeddings`, and of `region_cell`, `prototype` and
    `prototype_similarity` where prototypes were fitted. Answers are kept, and asked again they cost nothing.

    Raises:
        QueryError: the predicate cannot be answered.
        TableError: a part is damaged.
    """
    if table.row_count == 0:
        return Places({})
    sidecars = (file.path for sidecar in table.manifest.sidecars.values() for file in sidecar.files)
    source = _Source(table.storage.root, (*(file.path for file in table.files), *sidecars), table)
    with explained():
        reader = _reader(source)
        if not reader.steady(predicate):
            return reader.rows(table, predicate)
        return _answers.get((source.root, source.paths, predicate), lambda: reader.rows(table, predicate))


@lru_cache(maxsize=2)
def _reader(source: _Source) -> _Reader:
    return _Reader(source.table)
