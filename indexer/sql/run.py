"""SQL over one snapshot, by DuckDB: one SELECT or EXPLAIN, within limits, in a process that can be ended."""

from collections.abc import Callable

import pyarrow as pa

from ..prototypes.layout import KIND
from ..table.embedding_table import EmbeddingTable
from ..table.parts import checked_copies
from .apart import ask_apart
from .limits import DEFAULT_LIMITS, Limits
from .source import Source


def run_sql(
    table: EmbeddingTable,
    query: str,
    limits: Limits = DEFAULT_LIMITS,
    waiting: Callable[[], None] = lambda: None,
) -> pa.Table:
    """Answer one SELECT or EXPLAIN over the views `embeddings`, `prototypes` and `regions`.

    DuckDB checks no checksums, so the files' digests are checked the first time a process reads them.

    Args:
        table: one snapshot; the files of a table in a bucket are fetched first.
        query: DuckDB's SQL.
        limits: time, memory and rows; nothing is spilled to disk.
        waiting: called a few times a second until there is an answer; what it raises ends the query.

    Raises:
        QueryError: not one reading statement, wrong SQL, or beyond a limit.
        TableError: a damaged file, or one that cannot be fetched.
    """
    return ask_apart({"source": source_of(table).to_json(), "query": query}, limits, waiting)


def source_of(table: EmbeddingTable) -> Source:
    """The files of a snapshot, their digests checked, fetched where they were not here. Raises TableError."""
    parts = tuple(str(path.absolute()) for path in checked_copies(table.storage, table.files))
    sidecar = table.sidecar(KIND)
    files = sidecar.files if sidecar else ()
    copies = checked_copies(table.storage, files)
    return Source(
        table.h3_resolution,
        table.manifest.partition_resolution,
        table.schema,
        parts,
        {file.name: str(path.absolute()) for file, path in zip(files, copies, strict=True)},
    )
