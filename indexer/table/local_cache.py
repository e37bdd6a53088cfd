"""What was read from buckets, kept on the local disk: pieces of files, whole files, an index that is mapped.

Only files that never change are kept, under the name of their table and their own, which holds their digest.
Beyond a size the longest unused go. SKYHEX_CACHE names the folder, SKYHEX_CACHE_GB its size.
"""

import hashlib
import os
import shutil
import struct
import threading
import time
import uuid
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import TableError

DEFAULT_GB = 20.0
KEPT_SHARE = 0.9  # of the size, when room is made
LOOKED_AT_SHARE = 0.05  # of the size, written between two looks at how full it is
USED_S = 600.0  # how exactly it is known when a file was used last
CHECKSUM = struct.Struct("<I")
PIECES, WHOLE = "pieces", "whole"


def cache_folder() -> Path:
    """Where everything is kept."""
    named = os.environ.get("SKYHEX_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(named or f"{base}/skyhex").expanduser().absolute()


def cache_bytes() -> int:
    """How much is kept at most. Raises TableError where SKYHEX_CACHE_GB is no positive number."""
    text = os.environ.get("SKYHEX_CACHE_GB", str(DEFAULT_GB))
    try:
        size = float(text)
    except ValueError:
        size = 0.0
    if not 0 < size < float("inf"):
        raise TableError(f"SKYHEX_CACHE_GB is {text!r}: expected gigabytes, such as {DEFAULT_GB:g}")
    return int(size * 1e9)


class LocalCache:
    """The files of one table."""

    def __init__(self, table: str) -> None:
        self._root = cache_folder()
        self._max_bytes = cache_bytes()
        try:
            self._root.mkdir(parents=True, exist_ok=True, mode=0o700)  # others may not read the bucket
        except OSError as error:
            raise _unwritable(error) from error
        self.folder = self._root / hashlib.sha256(table.encode()).hexdigest()[:24]

    def piece(self, path: str, name: str) -> bytes | None:
        """A piece that was kept; None where it was not, or is not what was kept."""
        place = self.folder / PIECES / path / name
        try:
            kept = place.read_bytes()
        except OSError:
            return None
        content, checksum = kept[: -CHECKSUM.size], kept[-CHECKSUM.size :]
        if checksum != CHECKSUM.pack(zlib.crc32(content)):
            return None
        _use(place)
        return content

    def keep_piece(self, path: str, name: str, content: bytes) -> None:
        """Keep a piece of a file under a name."""
        with self.written(self.folder / PIECES / path / name) as scratch:
            scratch.write_bytes(content + CHECKSUM.pack(zlib.crc32(content)))

    def whole(self, path: str) -> Path | None:
        """A whole file that was kept."""
        place = self.folder / WHOLE / path
        if not place.is_file():
            return None
        _use(place)
        return place

    def whole_place(self, path: str) -> Path:
        """Where a whole file is kept, or would be."""
        return self.folder / WHOLE / path

    def forget(self, path: str) -> None:
        """Drop a file and its pieces: they were found damaged."""
        (self.folder / WHOLE / path).unlink(missing_ok=True)
        shutil.rmtree(self.folder / PIECES / path, ignore_errors=True)

    def written(self, place: Path) -> "_Written":
        """A scratch path that takes its name when the block ends well."""
        return _Written(self, place)

    def check_room(self, wanted_bytes: int) -> None:
        """Raises TableError for more than is ever kept."""
        if wanted_bytes > KEPT_SHARE * self._max_bytes:
            needed, held = (f"{size / 1e9:.3g} GB" for size in (wanted_bytes, self._max_bytes))
            raise TableError(
                f"this needs {needed} of the bucket on this disk, and {cache_folder()} may hold {held}: "
                "set SKYHEX_CACHE_GB to more, or copy the table to a disk"
            )

    def make_room(self, written_bytes: int) -> None:
        """Forget the longest unused where too much is kept; it is looked at now and then."""
        with _lock:
            _unlooked[self._root] = _unlooked.get(self._root, 0) + written_bytes
            if _unlooked[self._root] < LOOKED_AT_SHARE * self._max_bytes:
                return
            _unlooked[self._root] = 0
        _sweep(self._root, self._max_bytes)


class _Written:
    def __init__(self, cache: LocalCache, place: Path) -> None:
        self._cache, self._place = cache, place
        self._scratch = place.with_name(f".{uuid.uuid4().hex}")

    def __enter__(self) -> Path:
        try:
            self._place.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(error) from error
        return self._scratch

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is None:
            size = self._scratch.stat().st_size
            self._scratch.replace(self._place)
            self._cache.make_room(size)
            return
        self._scratch.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _unwritable(error) from error


@dataclass(frozen=True)
class _Entry:
    used: float
    bytes: int
    path: Path


_lock = threading.Lock()
_unlooked: dict[Path, int] = {}


def _unwritable(error: OSError) -> TableError:
    return TableError(
        f"cannot keep what is read from the bucket in {cache_folder()} ({error.strerror}): "
        "set SKYHEX_CACHE to a folder with room"
    )


def _use(place: Path) -> None:
    with suppress(OSError):
        if time.time() - place.stat().st_mtime > USED_S:
            os.utime(place)


def _sweep(root: Path, max_bytes: int) -> None:
    entries = sorted(_entries(root), key=lambda entry: entry.used)
    excess = sum(entry.bytes for entry in entries) - max_bytes
    if excess <= 0:
        return
    excess += int((1 - KEPT_SHARE) * max_bytes)
    for entry in entries:
        if excess <= 0:
            return
        if entry.path.is_dir():
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            entry.path.unlink(missing_ok=True)
        excess -= entry.bytes


def _entries(root: Path) -> Iterator[_Entry]:
    """What may be forgotten: a file, or a segment of an index as a whole."""
    for place in root.glob(f"*/{PIECES}/**/*"):
        yield from _entry(place)
    for place in root.glob(f"*/{WHOLE}/**/*"):
        yield from _entry(place)
    for description in root.glob("*/index/*/segment.json"):
        with suppress(OSError):
            size = sum(file.stat().st_size for file in description.parent.iterdir())
            yield _Entry(description.stat().st_mtime, size, description.parent)


def _entry(place: Path) -> Iterator[_Entry]:
    with suppress(OSError):
        about = place.stat()
        if place.is_file():
            yield _Entry(about.st_mtime, about.st_size, place)
