"""Files as GDAL opens them: parts of the web and rewritten virtual rasters, under names of our own.

Nothing here raises into GDAL, which could not carry it: a file keeps what went wrong, and the reader asks.
"""

import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Protocol

import rasterio
from rasterio.abc import MultiByteRangeResourceContainer

_OPTIONS = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"}


class RangeFile(Protocol):
    """A file that is read by parts."""

    fault: ValueError | None  # why it gives nothing any more

    def size(self) -> int: ...

    def read(self, start: int, count: int) -> bytes: ...

    def read_ranges(self, starts: Sequence[int], counts: Sequence[int]) -> list[bytes]: ...


class TextFile:
    """A file in memory."""

    fault: ValueError | None = None

    def __init__(self, content: bytes) -> None:
        self._content = content

    def size(self) -> int:
        return len(self._content)

    def read(self, start: int, count: int) -> bytes:
        return self._content[start : start + count]

    def read_ranges(self, starts: Sequence[int], counts: Sequence[int]) -> list[bytes]:
        return [self.read(start, count) for start, count in zip(starts, counts, strict=True)]


def open_files(files: Mapping[str, RangeFile], name: str, driver: str) -> rasterio.DatasetReader:
    """Open one of some files with GDAL; it may refer to the others by name, and sees no further ones."""
    with rasterio.Env(**_OPTIONS):
        return rasterio.open(f"{uuid.uuid4().hex}/{name}", driver=driver, opener=_Folder(files))


class _Folder(MultiByteRangeResourceContainer):  # type: ignore[misc]
    """What rasterio asks of a file system."""

    def __init__(self, files: Mapping[str, RangeFile]) -> None:
        self._files = files

    def open(self, path: str, mode: str = "r", **kwds: Any) -> "_Handle":
        return _Handle(self._find(path))

    def isfile(self, path: str) -> bool:
        return PurePosixPath(path).name in self._files

    def isdir(self, path: str) -> bool:
        return False

    def ls(self, path: str) -> list[str]:
        return []

    def mtime(self, path: str) -> int:
        return 0

    def rm(self, path: str) -> None:
        raise FileNotFoundError(path)

    def size(self, path: str) -> int:
        return self._find(path).size()

    def _find(self, path: str) -> RangeFile:
        if not self.isfile(path):
            raise FileNotFoundError(path)
        return self._files[PurePosixPath(path).name]


class _Handle:
    """A place in a file."""

    def __init__(self, file: RangeFile) -> None:
        self._file, self._at = file, 0

    def read(self, count: int = -1) -> bytes:
        content = self._file.read(self._at, count if count >= 0 else self._file.size() - self._at)
        self._at += len(content)
        return content

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at}
        self._at = offset + (base[whence] if whence in base else self._file.size())
        return self._at

    def tell(self) -> int:
        return self._at

    def get_byte_ranges(self, offsets: Sequence[int], sizes: Sequence[int]) -> list[bytes]:
        return self._file.read_ranges(offsets, sizes)

    def close(self) -> None:
        """Nothing is held open."""

    def __enter__(self) -> "_Handle":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
