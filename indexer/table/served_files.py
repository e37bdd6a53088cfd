"""The files of a table that another machine serves: read as those in a bucket, and never written.

<address>/files/<path>        a file that belongs to the table, by ranges
<address>/listing/<folder>    the files of a folder: [{"path", "bytes", "modified"}]
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

import obstore
from obstore.store import HTTPStore

from ..errors import TableError
from ..typed import OddFieldError, typed
from .bucket import Bucket
from .bucket_access import RETRIES, WAITS, check_private
from .local_cache import LocalCache
from .storage import StoredFile

ALL = "all"  # stands for every folder


@dataclass(frozen=True)
class _Listed:
    path: str
    bytes: int
    modified: str  # ISO 8601


class ServedFiles(Bucket):
    """Files below an address of `skyhex serve`. SKYHEX_TOKEN is the token that is sent."""

    def __init__(self, address: str) -> None:
        self.root = address.rstrip("/")
        self.directory = None
        token = os.environ.get("SKYHEX_TOKEN")
        check_private(self.root, token)
        client: dict[str, Any] = {**WAITS, "allow_http": True}
        if token:
            client["default_headers"] = {"authorization": f"Bearer {token}"}
        self._store = HTTPStore(f"{self.root}/files", client_options=client, retry_config=RETRIES)
        self._lists = HTTPStore(f"{self.root}/listing", client_options=client, retry_config=RETRIES)
        self._cache = LocalCache(self.root)

    def __reduce__(self) -> tuple[Any, ...]:
        return ServedFiles, (self.root,)

    @property
    def name(self) -> str:
        """The last part of its address, or its host."""
        return PurePosixPath(self.root).name

    def names(self, folder: str) -> list[str]:
        """Names of the files in a folder; none where it is not there."""
        parents = f"{folder}/"
        paths = [file.path for file in self.files(folder)]
        return [path.removeprefix(parents) for path in paths if "/" not in path.removeprefix(parents)]

    def files(self, prefix: str = "") -> Iterator[StoredFile]:
        """Every file below a folder; all that belong to the table where none is named."""
        what = f"cannot list {self.locate(prefix)}"
        listing = self._asked(what, lambda: bytes(obstore.get(self._lists, prefix or ALL).bytes()))
        try:
            listed = typed(tuple[_Listed, ...], json.loads(listing), "it")
            return iter([StoredFile(f.path, f.bytes, datetime.fromisoformat(f.modified)) for f in listed])
        except (ValueError, OddFieldError) as error:
            raise TableError(f"{what}: {self.root} is not what `skyhex serve` answers ({error})") from error

    def put(self, path: str, content: bytes | memoryview | Path, flush: bool = True) -> None:
        self._refuse()

    def put_new(self, path: str, content: bytes) -> None:
        self._refuse()

    def delete(self, path: str) -> None:
        self._refuse()

    def turn(self) -> AbstractContextManager[None]:
        """Nobody writes here."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise TableError(f"{self.root} is served, so it is only read: write where its files are")
