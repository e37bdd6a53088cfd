"""A table in a bucket: read by ranges that are kept on the local disk, put whole, committed by put-if-absent.

What never changes is read once: pieces of parts of PIECE_BYTES, or whole files where another reader needs
them. Manifests and lists are asked for each time.
"""

import io
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import obstore
import pyarrow as pa
from obstore.exceptions import BaseError

from ..errors import TableError
from .bucket_access import advice, endpoint, is_final, store_of
from .local_cache import LocalCache
from .storage import AlreadyThereError, Storage, turn_at

PIECE_BYTES = 256 << 10
AHEAD_BYTES = 16 << 20  # of what is planned to be read, in one go
END_BYTES = 64 << 10  # read of a file's end: most footers
TRIES, PAUSE_S = 4, 0.2  # beyond those of obstore: for bodies that end early, and answers that were lost
MULTIPART_BYTES = 32 << 20  # and more go up in several requests

Answer = TypeVar("Answer")


class Bucket(Storage):
    """Files below an address: s3://, gs:// or az://."""

    def __init__(self, address: str) -> None:
        self.root = address.rstrip("/")
        self.directory = None
        self._store = store_of(self.root)
        self._cache = LocalCache(f"{endpoint(self.root.partition(':')[0])} {self.root}")

    def __reduce__(self) -> tuple[Any, ...]:
        return Bucket, (self.root,)

    def read(self, path: str) -> bytes:
        """The whole of a file, as it is now. Raises TableError where it cannot be read."""
        return self._asked(f"cannot read {self.locate(path)}", lambda: bytes(self._whole(path)))

    def open(self, path: str, size: int, ranges: Sequence[tuple[int, int]]) -> Any:
        """A seekable reader of a file; what it is going to read (start, stop), ascending, is read ahead."""
        whole = self._cache.whole(path)
        return str(whole) if whole is not None else pa.PythonFile(_Reader(self, path, size, ranges), mode="r")

    def read_end(self, path: str, length: int, size: int) -> bytes:
        """The last bytes of a file of a size that never changes."""
        name = f"end-{size}"
        kept = self._cache.piece(path, name)
        if kept is None or len(kept) < min(length, size):
            wanted = min(max(length, END_BYTES), size)
            (kept,) = self._ranges(path, [(size - wanted, size)])
            self._cache.keep_piece(path, name, kept)
        return kept[-length:]

    def local_copy(self, path: str) -> Path:
        """A file that never changes, whole on the local disk; not compared with any digest."""
        kept = self._cache.whole(path)
        if kept is None:
            kept = self._cache.whole_place(path)
            with self._cache.written(kept) as scratch:
                self.download(path, scratch)
        return kept

    def check_room(self, wanted_bytes: int) -> None:
        """Whether so much can be whole on the local disk at once. Raises TableError."""
        self._cache.check_room(wanted_bytes)

    def download(self, path: str, place: Path) -> None:
        """A whole file into a local one. Raises TableError."""
        self._asked(f"cannot read {self.locate(path)}", lambda: self._download(path, place))

    def forget(self, path: str) -> None:
        """What is kept of a file is of no use: it was found damaged."""
        self._cache.forget(path)

    def workspace(self, folder: str) -> Path:
        """A local folder for what is mapped."""
        return self._cache.folder / folder

    def put(self, path: str, content: bytes | memoryview | Path, flush: bool = True) -> None:
        """A file put whole: of two that write it one is seen, and never half of it."""
        size = content.stat().st_size if isinstance(content, Path) else len(content)

        def send() -> None:
            parted = size >= MULTIPART_BYTES
            obstore.put(self._store, path, content, use_multipart=parted, chunk_size=MULTIPART_BYTES // 2)

        self._asked(f"cannot write {self.locate(path)}", send)

    def put_new(self, path: str, content: bytes) -> None:
        """A file that must not be there yet. Raises AlreadyThereError, TableError.

        Whatever the answer was, or if there was none: the file that is there then says who was first.
        """
        what = f"cannot write {self.locate(path)}"
        for last in (*[False] * (TRIES - 1), True):
            try:
                obstore.put(self._store, path, content, mode="create", use_multipart=False)
                return
            except (BaseError, OSError) as error:
                held = self._asked(what, lambda: self._content(path))
                if held == content:
                    return  # our own: the answer was lost on its way
                if held is not None:
                    raise AlreadyThereError(path) from error
                if last or is_final(error):
                    raise TableError(f"{what}: {advice(error, self.root)}") from error
            time.sleep(PAUSE_S)

    def files(self, prefix: str = "") -> Iterator[Any]:
        """Every file below a prefix."""
        return iter(self._asked(f"cannot list {self.locate(prefix)}", lambda: [*self._listed(prefix)]))

    def names(self, folder: str) -> list[str]:
        """Names of the files in a folder; none where it is not there."""
        what = f"cannot list {self.locate(folder)}"
        listing = self._asked(what, lambda: obstore.list_with_delimiter(self._store, folder))
        return [PurePosixPath(entry["path"]).name for entry in listing["objects"]]

    def delete(self, path: str) -> None:
        """Remove a file; one that is gone already is no error."""

        def remove() -> None:
            try:
                obstore.delete(self._store, path)
            except FileNotFoundError:
                return

        self._asked(f"cannot delete {self.locate(path)}", remove)

    def locate(self, path: str) -> str:
        """Where a file is, for people."""
        return f"{self.root}/{path}"

    def turn(self) -> AbstractContextManager[None]:
        """Writers on one machine wait for each other, as on a disk."""
        return turn_at(self.workspace("writing"), self.root)

    def sweep(self, before: Any) -> list[str]:
        """Nothing: a bucket shows no half-written files."""
        return []

    def pieces(self, path: str, size: int, start: int, stop: int, ahead: Sequence[tuple[int, int]]) -> bytes:
        """Bytes of a file; what is missing of them comes with what is planned next, in few requests."""
        first, last = start // PIECE_BYTES, (stop - 1) // PIECE_BYTES
        held = {number: self._cache.piece(path, _name(number)) for number in range(first, last + 1)}
        missing = [number for number, content in held.items() if content is None]
        if missing:
            planned = {n for a, b in ahead for n in range(a // PIECE_BYTES, (b - 1) // PIECE_BYTES + 1)}
            held |= self._fetch(path, size, sorted({*missing, *(n for n in planned if n not in held)}))
        content = b"".join(held[number] or b"" for number in range(first, last + 1))
        return content[start - first * PIECE_BYTES : stop - first * PIECE_BYTES]

    def _fetch(self, path: str, size: int, numbers: Sequence[int]) -> dict[int, bytes]:
        """Pieces that were asked for, kept; neighbours are one request."""
        runs: list[list[int]] = []
        for number in numbers:
            if runs and runs[-1][-1] == number - 1:
                runs[-1].append(number)
            else:
                runs.append([number])
        spans = [(run[0] * PIECE_BYTES, min((run[-1] + 1) * PIECE_BYTES, size)) for run in runs]
        pieces: dict[int, bytes] = {}
        for run, content in zip(runs, self._ranges(path, spans), strict=True):
            for number in run:
                at = (number - run[0]) * PIECE_BYTES
                pieces[number] = content[at : at + PIECE_BYTES]
                self._cache.keep_piece(path, _name(number), pieces[number])
        return pieces

    def _ranges(self, path: str, spans: Sequence[tuple[int, int]]) -> list[bytes]:
        starts, stops = ([span[side] for span in spans] for side in (0, 1))

        def get() -> list[bytes]:
            answers = obstore.get_ranges(self._store, path, starts=starts, ends=stops, coalesce=0)
            contents = [bytes(content) for content in answers]
            for content, (start, stop) in zip(contents, spans, strict=True):
                if len(content) != stop - start:
                    raise _CutError(f"{len(content)} bytes came instead of {stop - start}")
            return contents

        return self._asked(f"cannot read {self.locate(path)}", get)

    def _whole(self, path: str) -> bytes:
        answer = obstore.get(self._store, path)
        content = bytes(answer.bytes())
        if len(content) != answer.meta["size"]:
            raise _CutError(f"{len(content)} bytes came instead of {answer.meta['size']}")
        return content

    def _content(self, path: str) -> bytes | None:
        try:
            return self._whole(path)
        except FileNotFoundError:
            return None

    def _download(self, path: str, place: Path) -> None:
        answer = obstore.get(self._store, path)
        with place.open("wb") as file:
            for chunk in answer.stream(min_chunk_size=4 << 20):
                file.write(chunk)
        if place.stat().st_size != answer.meta["size"]:
            raise _CutError(f"{place.stat().st_size} bytes came instead of {answer.meta['size']}")

    def _asked(self, what: str, ask: Callable[[], Answer]) -> Answer:
        """An answer, after some tries where a fault may pass. Raises TableError."""
        for number in range(1, TRIES + 1):
            try:
                return ask()
            except _CutError as error:
                if number == TRIES:
                    raise TableError(f"{what}: {error}") from error
            except (BaseError, OSError) as error:
                if number == TRIES or is_final(error):
                    raise TableError(f"{what}: {advice(error, self.root)}") from error
            time.sleep(PAUSE_S * number)
        raise AssertionError


class _CutError(Exception):
    """A body ended before it was whole."""


class _Reader(io.RawIOBase):
    """One file of a bucket, as pyarrow reads it. Threads may share it."""

    def __init__(self, bucket: Bucket, path: str, size: int, ranges: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self._bucket, self._path, self._size, self._planned = bucket, path, size, ranges
        self._position = 0
        self._lock = threading.RLock()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = base + offset
        return self._position

    def read(self, size: int = -1) -> bytes:
        with self._lock:
            start = self._position
            stop = self._size if size < 0 else min(start + size, self._size)
            if start >= stop:
                return b""
            content = self._bucket.pieces(self._path, self._size, start, stop, self._ahead(stop))
            self._position = stop
            return content

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: Any) -> int:
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def _ahead(self, start: int) -> list[tuple[int, int]]:
        """What is planned to be read after a place, AHEAD_BYTES of it."""
        ahead: list[tuple[int, int]] = []
        room = AHEAD_BYTES
        for begin, end in self._planned:
            if end > start and room > 0:
                begin = max(begin, start)
                ahead.append((begin, min(end, begin + room)))
                room -= end - begin
        return ahead


def _name(number: int) -> str:
    return f"{number:06}"
