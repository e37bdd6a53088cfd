"""The table's own files, for a reader elsewhere that takes them as it takes those of a bucket: never another.

What is below the table's folder and bears a name that a table gives its files is its own; a path that leaves
the folder has no such name.
"""

import re
from collections.abc import Iterator
from typing import Any

from fastapi import HTTPException, Response
from fastapi.responses import FileResponse

from indexer.table.embedding_table import EmbeddingTable
from indexer.table.served_files import ALL

OWN = re.compile(
    r"manifests/\d{6,}\.json"
    r"|(rows|h3_r\d+=[0-9a-f]+)/part-[0-9a-f]+\.parquet"
    r"|sidecars/\w+/\w[\w.-]*"
    r"|index/(\d{6,}-[0-9a-f]{16}\.json|[0-9a-f]{16}/\w[\w.-]*)"
    r"|labels/[A-Za-z0-9][\w-]*/\d{6}\.parquet"
)


def send(table: EmbeddingTable, path: str) -> Response:
    """A file, by the ranges that are asked for. Raises HTTPException: none of the table's."""
    if not OWN.fullmatch(path):
        raise HTTPException(404, "the table has no such file")
    place = table.storage.local_copy(path)
    if not place.is_file():
        raise HTTPException(404, "the table has no such file")
    return FileResponse(place, media_type="application/octet-stream")


def listing(table: EmbeddingTable, folder: str) -> list[dict[str, Any]]:
    """The table's own files below a folder, or all."""
    return [*_listed(table, "" if folder == ALL else folder)]


def _listed(table: EmbeddingTable, prefix: str) -> Iterator[dict[str, Any]]:
    for file in table.storage.files(prefix):
        if OWN.fullmatch(file.path):
            yield {"path": file.path, "bytes": file.bytes, "modified": file.modified.isoformat()}
