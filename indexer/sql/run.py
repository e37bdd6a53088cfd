"""SQL over one snapshot, by DuckDB: one SELECT or EXPLAIN, within limits, in a process that can be ended."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

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
    return ask_apart({"source": _source(table), "query": query}, limits, waiting)


@dataclass(frozen=True)
class _Told:
    """What DuckDB is told of a snapshot on this disk, as long as its files are the same."""

    source: str
    inodes: Mapping[Path, int]

    @staticmethod
    def of(source: Source) -> "_Told":
        paths = [Path(path) for path in (*source.parts, *source.sidecars.values())]
        return _Told(source.to_json(), {path: path.stat().st_ino for path in paths})

    def is_so(self) -> bool:
        """Whether no file was replaced or is missing."""
        try:
            return all(path.stat().st_ino == inode for path, inode in self.inodes.items())
        except OSError:
            return False


_told: WeakKeyDictionary[EmbeddingTable, _Told] = WeakKeyDictionary()


def _source(table: EmbeddingTable) -> str:
    """`source_of` as it is told; kept for a snapshot on this disk."""
    if table.storage.directory is None:
        return source_of(table).to_json()
    told = _told.get(table)
    if told is None or not told.is_so():
        told = _told[table] = _Told.of(source_of(table))
    return told.source


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
