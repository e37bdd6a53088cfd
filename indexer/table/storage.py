"""Files below one directory, or in a bucket (`bucket.py`): read, list, put whole; nothing old is overwritten.

Through obstore, so that `put_new` means the same on a local disk (hard link), S3, GCS and Azure
(If-None-Match): of two writers of one name exactly one succeeds, and no reader sees half a file.
"""

import fcntl
import os
import random
import re
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import IO, Any

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore

from ..errors import TableError

STAGING = "staging"
TORN = re.compile(r".*\.parquet#\d+|[0-9a-f]{32}(#\d+)?")  # what is written before it takes its name
LONGEST_TURN_S = 10.0  # how long a writer waits for its turn; then it goes ahead, and put-if-absent decides


class AlreadyThereError(Exception):
    """`put_new` found the name taken: another writer was first."""


@dataclass(frozen=True)
class StoredFile:
    path: str  # relative to the root
    bytes: int
    modified: datetime


class Storage:
    """Files below a local directory. What differs in a bucket, and nothing else, is in `Bucket`."""

    directory: Path | None  # None: not on this disk

    def __init__(self, root: str | Path, create: bool = False) -> None:
        self.root = str(root)
        self.directory = self._directory = Path(root).expanduser().resolve()
        with explained(f"cannot open {self.root}"):
            if create:
                _make(self._directory)
            if not self._directory.is_dir():
                raise TableError(f"{self.root} is not there: expected a directory that holds a table")
            self._store: Any = LocalStore(self._directory)

    @property
    def name(self) -> str:
        """What the table is called: its folder's name, the last part of its address."""
        return PurePosixPath(str(self.directory or self.root)).name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Storage) and (self.directory or self.root) == (other.directory or other.root)

    def __hash__(self) -> int:
        return hash(self.directory or self.root)

    def __reduce__(self) -> tuple[Any, ...]:
        return Storage, (self.root,)

    def read(self, path: str) -> bytes:
        """The whole of a file. Raises TableError where it cannot be read."""
        with explained(f"cannot read {self.locate(path)}"):
            return bytes(obstore.get(self._store, path).bytes())

    def open(self, path: str, size: int, ranges: Sequence[tuple[int, int]]) -> Any:
        """A file to read by parts, what pyarrow takes; `ranges` are those (start, stop), ascending."""
        return self.locate(path)

    def local_copy(self, path: str) -> Path:
        """A file that never changes, whole on the local disk; not compared with any digest."""
        return self._directory / path

    def check_room(self, wanted_bytes: int) -> None:
        """Whether files of so many bytes can have local copies at once: they are their own."""

    def forget(self, path: str) -> None:
        """What may be kept of a file elsewhere is of no use: it was found damaged."""

    def workspace(self, folder: str) -> Path:
        """A local folder for what is mapped, there or not: beside the table's files."""
        return self._directory / folder

    def read_end(self, path: str, length: int, size: int) -> bytes:
        """The last bytes of a file whose size is known; of what is there of it, where it was cut."""
        with explained(f"cannot read {self.locate(path)}"):
            size = min(size, obstore.head(self._store, path)["size"])
            start = max(size - length, 0)
            return bytes(obstore.get_range(self._store, path, start=start, end=size)) if size else b""

    def put(self, path: str, content: bytes | memoryview | Path, flush: bool = True) -> None:
        """A file put whole: of two that write it one is seen, and never half of it.

        `flush=False` is for what can be made again: it may be lost with the power.
        """
        with explained(f"cannot write {self.locate(path)}"):
            obstore.put(self._store, path, content, use_multipart=False)
            if flush:
                self._flush(path)

    def put_new(self, path: str, content: bytes) -> None:
        """A file that must not be there yet. Raises AlreadyThereError, TableError."""
        with explained(f"cannot write {self.locate(path)}"):
            try:
                self._link_new(path, content)
            except AlreadyExistsError as error:
                raise AlreadyThereError(path) from error

    def files(self, prefix: str = "") -> Iterator[StoredFile]:
        """Every file below a prefix."""
        with explained(f"cannot list {self.locate(prefix)}"):
            yield from self._listed(prefix)

    def _listed(self, prefix: str) -> Iterator[StoredFile]:
        for page in obstore.list(self._store, prefix or None):
            for entry in page:
                yield StoredFile(entry["path"], entry["size"], entry["last_modified"])

    def names(self, folder: str) -> list[str]:
        """Names of the files in a folder; none where it is not there. A local disk is asked nothing else."""
        with explained(f"cannot list {self.locate(folder)}"):
            place = self._directory / folder
            return [file.name for file in place.iterdir()] if place.is_dir() else []

    def delete(self, path: str) -> None:
        """Remove a file; one that is gone already is no error."""
        with explained(f"cannot delete {self.locate(path)}"):
            try:
                obstore.delete(self._store, path)
            except FileNotFoundError:
                return

    def locate(self, path: str) -> str:
        """Where a file is, for people and for other readers."""
        return str(self._directory / path)

    def turn(self) -> AbstractContextManager[None]:
        """Writers on one machine wait for each other here, which saves the work that losers do twice."""
        return turn_at(self._directory / STAGING, self.root)

    def sweep(self, before: datetime) -> list[str]:
        """Delete what killed writers left half-written on a local disk before a time; their paths."""
        torn = [file for file in self._directory.rglob("*") if TORN.fullmatch(file.name)]
        old = [file for file in torn if _is_older(file, before)]
        for file in old:
            file.unlink(missing_ok=True)
        return [str(file.relative_to(self._directory)) for file in old]

    def _link_new(self, path: str, content: bytes) -> None:
        """Local `put_new`: on the disk first, then under its name, so no name has half a content."""
        staged = f"{STAGING}/{uuid.uuid4().hex}"
        self.put(staged, content)
        try:
            obstore.copy(self._store, staged, path, overwrite=False)  # a hard link
        finally:
            obstore.delete(self._store, staged)
        self._flush(path)

    def _flush(self, path: str) -> None:
        """A local file, and its name in all directories above, on the disk before anything refers to it."""
        file = self._directory / path
        for target in (file, *takewhile(lambda above: above != self._directory, file.parents)):
            _sync(target)
        _sync(self._directory)


@contextmanager
def turn_at(folder: Path, table: str) -> Iterator[None]:
    """A turn of whoever writes on this machine.

    Nothing depends on it: writers elsewhere are not seen, and the lock of a killed process is gone.
    """
    with explained(f"cannot write {table}"):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "turn").open("w")
    with lock:
        deadline = time.monotonic() + LONGEST_TURN_S
        while not _locked(lock) and time.monotonic() < deadline:
            time.sleep(random.uniform(0, 0.01))
        yield


def _is_older(file: Path, moment: datetime) -> bool:
    """Whether a file was written before a moment; one that took its name meanwhile was not."""
    with suppress(FileNotFoundError):
        return file.stat().st_mtime < moment.timestamp()
    return False


def _make(directory: Path) -> None:
    """A directory with all above it; their names are on the disk before anything is put there."""
    missing = list(takewhile(lambda above: not above.exists(), directory.parents))
    directory.mkdir(parents=True, exist_ok=True)
    for made in (directory, *missing):
        with suppress(PermissionError):  # what is above may be somebody else's
            _sync(made.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: go ahead
        return True
    return True


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Failures of disk or network as TableError, in one line."""
    try:
        yield
    except (BaseError, OSError) as error:
        reason = str(error).strip().split("\n")[0]
        raise TableError(f"{what}: {reason}") from error
