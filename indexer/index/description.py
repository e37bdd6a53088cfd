"""What the JSON of a segment says: each field is typed once, and its files are bound to its parts."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..typed import OddFieldError, typed
from . import shown
from .mapped import ArrayFile, CheckedArray, DamagedIndexError
from .planner import Point
from .vectors import NormRange

FORMAT = "skyhex-segment-6"
KEY_FILES = {"h3_cell.bin": "<u8", "start_us.bin": "<i8", "end_us.bin": "<i8"}
SAMPLE_CELLS = "sample.h3_cell.bin"
VECTORS, WIDE_VECTORS, NORMS = "<f2", "<f4", "<f4"
PLAIN = re.compile(r"\w[\w.]*")  # the name of a file, and no path


Said = tuple[str, int] | tuple[str, int, int]  # of a part: path, rows, and the first row of a mere piece


@dataclass(frozen=True)
class Inverted:
    """An inverted file, and what it was found to do when it was built."""

    sha256: str
    measured: tuple[Point, ...]
    centroids: str = ""  # the SHA-256 of those that it shares with other segments


@dataclass(frozen=True)
class Description:
    """A segment's files."""

    format: str
    columns: Mapping[str, NormRange]
    parts: tuple[Said, ...]  # in order of cell
    arrays: tuple[ArrayFile, ...]
    shown: Mapping[str, str]  # by column how it is kept, see `shown`
    inverted: Mapping[str, Inverted]  # by column

    @staticmethod
    def parse(content: bytes, where: str) -> Description:
        """Raises DamagedIndexError for what no program of this version wrote."""
        try:
            document = json.loads(content)
            said = document.get("format") if isinstance(document, dict) else None
            if said != FORMAT:
                raise DamagedIndexError(f"{where} has format {said!r:.40}, this program reads {FORMAT}")
            description = typed(Description, document, where)
            for is_right, what in description._rules():
                if not is_right:
                    raise OddFieldError(what)
        except (ValueError, RecursionError) as error:
            raise DamagedIndexError(f"{where} does not describe a segment: {error}") from error
        return description

    def _rules(self) -> Iterator[tuple[bool, str]]:
        """What holds beyond the types, and what is wrong where it does not."""
        rows = sum(part[1] for part in self.parts)
        yield all(part[1] > 0 for part in self.parts), "a part is empty"
        yield all(part[2] >= 0 for part in self.parts if len(part) == 3), "a row before the first"
        arrays = {array.name: array for array in self.arrays}
        expected = KEY_FILES | {f"{name}.bin": VECTORS for name in self.columns}
        expected |= {f"{name}.inverse_norm.bin": NORMS for name in self.columns} | shown.FILES
        yield all(map(shown.is_kind, self.shown.values())), f"columns shown as {list(self.shown.values())}"
        sample = {SAMPLE_CELLS: KEY_FILES["h3_cell.bin"]} | {sample_file(n): VECTORS for n in self.columns}
        vectors = {file for n in self.columns for file in (f"{n}.bin", sample_file(n))}
        dtypes = {name: array.dtype for name, array in arrays.items()}
        dtypes |= {file: VECTORS for file in vectors if dtypes.get(file) == WIDE_VECTORS}
        yield dtypes in (expected, expected | sample), f"arrays {list(arrays)}"
        yield all(map(PLAIN.fullmatch, (*arrays, *self.inverted))), "names that are paths"
        yield set(self.inverted) <= set(self.columns), f"inverted files of {list(self.inverted)}"
        matrices = {shown.RECORDS, *vectors}
        shapes = [len(array.shape) == 1 + (array.name in matrices) for array in self.arrays]
        yield all(shapes), f"shapes {[array.shape for array in self.arrays]}"
        others = {shown.TEXTS, shown.LISTS, *sample}
        whole = all(array.shape[0] == rows for array in self.arrays if array.name not in others)
        yield whole, f"not {rows} rows in each"
        sampled = {array.shape[0] for array in self.arrays if array.name in sample}
        yield len(sampled) <= 1, f"samples of {sorted(sampled)} rows"
        yield all(side >= 0 for array in self.arrays for side in array.shape), "a shape below zero"
        points = [point for inverted in self.inverted.values() for point in inverted.measured]
        yield all(0 < point.selectivity <= 1 for point in points), "a share of rows that cannot be"
        yield all(min(p.plan.probes, p.plan.candidates) >= 0 for p in points), "a plan that cannot be"

    def open(self, folder: Path) -> dict[str, CheckedArray]:
        """Its arrays by name, mapped. Raises DamagedIndexError."""
        return {array.name: CheckedArray.open(folder, array, self.bond(array.name)) for array in self.arrays}

    def bond(self, name: str) -> int:
        """Where the checksums of an array begin."""
        return bond(self.parts, name)


def sample_file(column: str) -> str:
    """The array of a column's vectors of the sample."""
    return f"{column}.sample.bin"


def bond(parts: Sequence[Said], name: str) -> int:
    """Binds an array to its name and to its parts: under other ones, no checksum of its blocks is right."""
    return zlib.crc32(json.dumps([name, *parts]).encode())
