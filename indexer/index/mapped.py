"""Arrays in files: written in a stream, mapped into memory, and checked block by block when first touched.

So that opening costs nothing however large the file, and damage is an error instead of a wrong answer.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geo.row_ranges import Rows, positions

BLOCK_BYTES = 1 << 20


class DamagedIndexError(Exception):
    """A file of an index is not what its manifest says. Searches go on without the index, or the segment."""

    segment: Path | None = None  # the folder of the one that the file is of, where that is known

    @property
    def note(self) -> str:
        """What a reader is told then."""
        what = "the index" if self.segment is None else "a shard of the index"
        return f"{what} is not used ({self}): run `skyhex index`"


def name_of(content: bytes) -> str:
    """What a file or a directory is called by this content: the first sixteen digits of its SHA-256."""
    return hashlib.sha256(content).hexdigest()[:16]


@dataclass(frozen=True)
class ArrayFile:
    """What a manifest says of an array's file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    block_crc32: tuple[int, ...]  # of each BLOCK_BYTES, begun at the bond


class ArrayWriter:
    """Writes an array (n, ...) in pieces along its first axis."""

    def __init__(self, folder: Path, name: str, bond: int = 0) -> None:
        self._name = name
        self._bond = bond  # where each checksum begins
        self._file = (folder / name).open("wb")
        self._like: NDArray[Any] | None = None
        self._rows = 0
        self._crcs: list[int] = []
        self._pending = b""  # less than a block

    def append(self, rows: NDArray[Any]) -> None:
        """Add rows (m, ...)."""
        like = self._like = rows if self._like is None else self._like
        assert rows.dtype == like.dtype, (rows.dtype, like.dtype)
        assert rows.shape[1:] == like.shape[1:], (rows.shape, like.shape)
        content = np.ascontiguousarray(rows).tobytes()
        self._file.write(content)
        self._rows += len(rows)
        content = self._pending + content
        whole = len(content) - len(content) % BLOCK_BYTES
        view = memoryview(content)
        self._crcs += [
            zlib.crc32(view[i : i + BLOCK_BYTES], self._bond) for i in range(0, whole, BLOCK_BYTES)
        ]
        self._pending = content[whole:]

    def close(self) -> ArrayFile:
        """Finish the file and say what is in it."""
        self._file.close()
        if self._pending:
            self._crcs.append(zlib.crc32(self._pending, self._bond))
        assert self._like is not None, "an array without rows"
        shape = (self._rows, *self._like.shape[1:])
        return ArrayFile(self._name, self._like.dtype.str, shape, tuple(self._crcs))


@dataclass(frozen=True)
class CheckedArray:
    """An array (n, ...) in memory, or in a file that is mapped and not to be trusted before `check`."""

    unchecked: NDArray[Any]
    path: Path | None = None
    _block_crc32: tuple[int, ...] = ()
    _bond: int = 0
    _known_good: bytearray = field(default_factory=bytearray, repr=False)  # 1 for each block compared

    @staticmethod
    def open(folder: Path, file: ArrayFile, bond: int = 0) -> CheckedArray:
        """Map a file. Raises `DamagedIndexError` if it is missing or of another size."""
        path = folder / file.name
        expected = int(np.prod(file.shape, dtype=object)) * np.dtype(file.dtype).itemsize
        try:
            size = path.stat().st_size
        except OSError as error:
            raise DamagedIndexError(f"{path} cannot be read: {error.strerror}") from error
        if size != expected or len(file.block_crc32) != -(-expected // BLOCK_BYTES):
            raise DamagedIndexError(f"{path} has {size} bytes, expected {expected}")
        if expected == 0:
            return CheckedArray(np.empty(file.shape, file.dtype), path)
        array = np.memmap(path, file.dtype, mode="r", shape=file.shape).view(np.ndarray)
        return CheckedArray(array, path, file.block_crc32, bond, bytearray(len(file.block_crc32)))

    def __len__(self) -> int:
        return len(self.unchecked)

    def whole(self) -> NDArray[Any]:
        """The array, all of it checked. Raises `DamagedIndexError`."""
        if 0 in self._known_good:
            self.check(np.array([0]), np.array([len(self)]))
        return self.unchecked

    def runs(self, starts: NDArray[np.uint64], lengths: Rows | int) -> NDArray[Any]:
        """The elements of runs of an array (n,), one run after the other, checked.

        Raises `DamagedIndexError`, where they lie outside it, too.
        """
        first = starts.astype(np.int64)
        stop = first + lengths
        if len(first) and (first.min() < 0 or (stop < first).any() or stop.max() > len(self)):
            raise DamagedIndexError(f"{self.path}: more than its {len(self)} elements are asked for")
        self.check(first, stop)
        if isinstance(lengths, int):
            return np.asarray(self.unchecked[first[:, None] + np.arange(lengths)].reshape(-1))
        return np.asarray(self.unchecked[positions(first, lengths)])

    @cached_property
    def _bytes(self) -> memoryview:
        return memoryview(self.unchecked.reshape(-1).view(np.uint8).data)

    def _check_block(self, block: int) -> None:
        if self._known_good[block]:
            return
        content = self._bytes[block * BLOCK_BYTES : (block + 1) * BLOCK_BYTES]
        if zlib.crc32(content, self._bond) != self._block_crc32[block]:
            raise DamagedIndexError(f"{self.path} is damaged at byte {block * BLOCK_BYTES}")
        self._known_good[block] = 1

    def check(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> None:
        """Compare the blocks under ranges of rows with their checksums, once in a process.

        Raises:
            DamagedIndexError: they differ.
        """
        if 0 not in self._known_good:
            return
        row_bytes = self.unchecked.nbytes // len(self)
        first, last = starts * row_bytes // BLOCK_BYTES, (stops * row_bytes - 1) // BLOCK_BYTES
        if len(first) == 1 and self._known_good.find(0, int(first[0]), int(last[0]) + 1) < 0:
            return
        known = np.frombuffer(self._known_good, np.uint8)
        ends = known.take(first, mode="clip"), known.take(last, mode="clip")
        if ends[0].all() and ends[1].all() and (last - first).max(initial=0) <= 1:
            return
        some = stops > starts
        steps = np.zeros(len(self._known_good) + 1, np.int64)  # +1 where a range begins, -1 after it ends
        np.add.at(steps, first[some], 1)
        np.add.at(steps, last[some] + 1, -1)
        unknown = known == 0
        for block in np.flatnonzero((np.cumsum(steps[:-1]) > 0) & unknown).tolist():
            self._check_block(block)
