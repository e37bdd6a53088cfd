"""Segments compared whole by a device that holds their vectors: a GPU, by whatever library reaches it.

The device names the rows that may be among the best, and their cosines are taken here as in every search: so
the answers are the exact ones of this processor. The program hands the device in (see `pipeline/on_device`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import QueryError
from ..geo.row_ranges import RowRanges, Rows
from ..table.columns import Cosines, Norms
from .answers import Nearest, by_question
from .crew import Scan
from .planner import EXACT, Plan
from .segment_files import open_segment
from .vectors import HALF_A_STEP

SLACK = 2 * HALF_A_STEP  # of cosines: what rounding moves two of them towards each other


class Held(Protocol):
    """Vectors in a device's memory."""

    def may_be_best(self, rows: RowRanges, questions: Cosines, k: int, slack: float) -> list[Rows]:
        """For each of questions (q, m, d) those of some rows that may be among its k best, ascending.

        A row counts for the vector that it is least like; of cosines that differ by no more than `slack`
        either may be the better one. Raises `QueryError` where the memory is too small.
        """


class Device(Protocol):
    """Where vectors can be held."""

    name: str

    @property
    def free_bytes(self) -> int:
        """Memory that vectors can take."""

    def hold(self, matrix: NDArray[Any], inverse_norms: Norms) -> Held:
        """Bring vectors (n, d) and their inverse norms there. Raises `QueryError` where they do not fit."""


@dataclass(frozen=True)
class ExactOn(Plan):
    """Of a segment whose rows a device compares."""

    device: str = ""

    def __str__(self) -> str:
        return f"{EXACT} on {self.device}"


class OnDevice:
    """Searches segments on one device, which holds what was asked for until it needs the memory for others.

    Args:
        device: threads may ask at once, in line.
        say: told what is going to be held, before it is read.
    """

    def __init__(self, device: Device, say: Callable[[str], None] = lambda text: None) -> None:
        self.plan = ExactOn(device=device.name)
        self._device = device
        self._say = say
        self._held: dict[tuple[Path, str], Held] = {}  # by segment and column, the one used last at the end
        self._lock = threading.Lock()

    def answers(self, scans: Sequence[Scan], questions: Sequence[Cosines], k: int) -> list[Nearest]:
        """What each scan finds, see `Scan.answer`.

        Raises:
            DamagedIndexError: a segment cannot be read.
            QueryError: the device's memory is too small.
        """
        with self._lock:
            self._hold(scans)
            named = [self._named(scan, questions, k) for scan in scans]
        return [_compared(*both, questions, k) for both in zip(scans, named, strict=True)]

    def _named(self, scan: Scan, questions: Sequence[Cosines], k: int) -> list[Rows]:
        """Rows that may be the best for each vector of the questions, with `all_of` for each question."""
        held = self._held[scan.folder, scan.column]
        if scan.all_of:
            return [held.may_be_best(scan.rows, each[None], k, SLACK)[0] for each in questions]
        return held.may_be_best(scan.rows, np.concatenate(questions)[:, None], k, SLACK)

    def _hold(self, scans: Sequence[Scan]) -> None:
        """Bring over what scans need and the device lacks; others go where there is no room for it."""
        wanted = [(scan.folder, scan.column) for scan in scans]
        new = {key: open_segment(key[0]) for key in wanted if key not in self._held}
        vectors = [files.segment.vectors[column] for (_, column), files in new.items()]
        needed = sum(each.matrix.unchecked.nbytes + each.inverse_norms.unchecked.nbytes for each in vectors)
        for key in [key for key in self._held if key not in wanted]:
            if needed <= self._device.free_bytes:
                break
            del self._held[key]
        if new:
            self._check(needed, sum(len(each.matrix) for each in vectors))
        for (folder, column), files in new.items():
            with files.blamed():
                mine = files.segment.vectors[column]
                self._held[folder, column] = self._device.hold(
                    mine.matrix.whole(), mine.inverse_norms.whole()
                )
        for key in wanted:
            self._held[key] = self._held.pop(key)

    def _check(self, needed: int, rows: int) -> None:
        """Say what is going to be held, or raise `QueryError`."""
        name, free = self._device.name, self._device.free_bytes
        if needed > free:
            raise QueryError(
                f"{rows:,} rows take {_size(needed)}, and {name} has room for {_size(free)}: leave the "
                "device out, take one with more memory, or ask for an area of a sharded index"
            )
        self._say(f"{name} takes {_size(needed)} for {rows:,} rows and had room for {_size(free)}")


def _compared(scan: Scan, named: Sequence[Rows], questions: Sequence[Cosines], k: int) -> Nearest:
    """The best of the rows that were named, by their cosines."""
    files = open_segment(scan.folder)
    with files.blamed():
        vectors = files.segment.vectors[scan.column]
        if scan.all_of:
            each = zip(named, questions, strict=True)
            return [vectors.nearest_to_all(RowRanges.of_rows(rows), asked, k) for rows, asked in each]
        pairs = zip(named, np.concatenate(questions), strict=True)
        return list(by_question([vectors.nearest_of(rows, query, k) for rows, query in pairs], questions, k))


def _size(count: int) -> str:
    return f"{count / 1e9:,.2f} GB" if count >= 1e8 else f"{count / 1e6:,.1f} MB"
