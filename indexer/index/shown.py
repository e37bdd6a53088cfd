"""What a hit shows of its row: a record of fixed width for each row, and the texts that records point to.

    shown.bin       a record a row: numbers, and where its texts and lists begin
    shown.text.bin  UTF-8 behind its length (4 bytes); a text that repeats within a batch of rows stands once
    shown.list.bin  how many, then where each text begins; a list like that of the row before stands once

So a hit costs a few pages of mapped files, wherever it lies, and no row group is decoded for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..geo.row_ranges import Rows, positions
from ..table.columns import KEY_NUMBERS, to_array
from ..table.schema import TIMESTAMP
from .mapped import ArrayFile, ArrayWriter, CheckedArray, DamagedIndexError

RECORDS, TEXTS, LISTS = "shown.bin", "shown.text.bin", "shown.list.bin"
FILES = {RECORDS: "|u1", TEXTS: "|u1", LISTS: "<u8"}  # and what they are made of
NUMBERS = {
    "bool": "u1",
    "int16": "<i2",
    "int32": "<i4",
    "int64": "<i8",
    "float": "<f4",
    "double": "<f8",
    "timestamp[us, tz=UTC]": "<i8",
}
ARROW = {name: TIMESTAMP if name == str(TIMESTAMP) else pa.type_for_alias(name) for name in NUMBERS}
TEXT, LIST = "string", "list"
NONE = 2**64 - 1  # in place of a text that is null
LENGTH_BYTES = 4

Places = NDArray[np.uint64]  # in a file: where something begins
Numbers = NDArray[Any]
Kinds = Mapping[str, str]  # by column, see `kinds_of`


def kinds_of(schema: pa.Schema) -> dict[str, str]:
    """How the columns are kept that a record has: not keys that filters look at, vectors, shapes.

    Numbers that may be null have a "?" behind their type.
    """
    kinds = {field.name: _kind(field) for field in schema if field.name not in KEY_NUMBERS}
    return {name: kind for name, kind in kinds.items() if kind is not None}


def _kind(field: pa.Field) -> str | None:
    if pa.types.is_list(field.type) and pa.types.is_string(field.type.value_type):
        return LIST
    name = str(field.type)
    if name == TEXT:
        return TEXT
    return None if name not in NUMBERS else name + "?" * field.nullable


def is_kind(word: str) -> bool:
    """Whether a column may be kept so."""
    return word in (TEXT, LIST) or word.removesuffix("?") in NUMBERS


def record_of(kinds: Kinds) -> np.dtype[np.void]:
    """The record of a row. Raises `KeyError` for a kind that is none."""
    fields = []
    for name, kind in kinds.items():
        fields.append((name, "<u8" if kind in (TEXT, LIST) else NUMBERS[kind.removesuffix("?")]))
        if kind.endswith("?"):
            fields.append((_null(name), "u1"))
    return np.dtype(fields)


def _null(name: str) -> str:
    """The field that says whether a number is null: no column is called so."""
    return f"{name}?"


class ShownWriter:
    """Writes the three files in pieces."""

    def __init__(self, folder: Path, kinds: Kinds, bonds: Mapping[str, int] = MappingProxyType({})) -> None:
        self._kinds = kinds
        self._writers = {name: ArrayWriter(folder, name, bonds.get(name, 0)) for name in FILES}
        self._places = 0, 0  # where the next text and the next list begin

    def append(self, batch: pa.RecordBatch) -> None:
        """Add rows that have the columns."""
        records = np.zeros(len(batch), record_of(self._kinds))
        for name, kind in self._kinds.items():
            column = batch[name]
            if kind == TEXT:
                records[name] = self._texts(column)
            elif kind == LIST:
                records[name] = self._lists(column)
            else:
                if kind.endswith("?"):
                    records[_null(name)] = column.is_null().to_numpy(zero_copy_only=False)
                records[name] = _numbers(column)
        self._writers[RECORDS].append(records.view(np.uint8).reshape(len(records), -1))

    def close(self) -> list[ArrayFile]:
        """Finish the files and say what is in them."""
        for name, kind in ((TEXTS, np.uint8), (LISTS, np.uint64)):
            self._writers[name].append(np.empty(0, kind))  # there may be none
        return [writer.close() for writer in self._writers.values()]

    def _texts(self, column: pa.Array) -> Places:
        """Write texts (n,); where they begin."""
        encoded = column.dictionary_encode()
        content, starts = _behind_lengths(encoded.dictionary)
        places = np.append((starts + self._places[0]).astype(np.uint64), np.uint64(NONE))
        self._writers[TEXTS].append(content)
        self._places = self._places[0] + len(content), self._places[1]
        return np.asarray(places[encoded.indices.fill_null(len(starts)).to_numpy()])

    def _lists(self, column: pa.ListArray) -> Places:
        """Write lists of texts (n,); where they begin."""
        ends = column.offsets.to_numpy().astype(np.int64)
        texts = self._texts(column.values.slice(ends[0], ends[-1] - ends[0]))
        starts, lengths = ends[:-1] - ends[0], np.diff(ends)
        kept = np.flatnonzero(~_repeats(texts, starts, lengths))
        content = np.empty(len(kept) + lengths[kept].sum(), np.uint64)
        heads = np.cumsum(lengths[kept] + 1) - lengths[kept] - 1
        content[heads] = lengths[kept]
        content[positions(heads + 1, lengths[kept])] = texts[positions(starts[kept], lengths[kept])]
        self._writers[LISTS].append(content)
        before, self._places = self._places[1], (self._places[0], self._places[1] + len(content))
        written = np.searchsorted(kept, np.arange(len(column)), side="right") - 1
        return np.asarray(heads[written] + before, np.uint64)


def _numbers(column: pa.Array) -> Numbers:
    """Null is 0."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    filled = (
        column.fill_null(False if pa.types.is_boolean(column.type) else 0) if column.null_count else column
    )
    return np.asarray(filled.to_numpy(zero_copy_only=False))


def _behind_lengths(texts: pa.StringArray) -> tuple[NDArray[np.uint8], Rows]:
    """Texts (n,) one after the other, each behind its length; and where these begin."""
    buffers, count = texts.buffers(), len(texts)
    ends = (
        np.frombuffer(buffers[1], np.int32)[texts.offset :][: count + 1] if count else np.zeros(1, np.int32)
    )
    lengths, first = np.diff(ends).astype(np.int64), int(ends[0])
    starts = np.cumsum(lengths + LENGTH_BYTES, dtype=np.int64) - lengths - LENGTH_BYTES
    content = np.empty(int(lengths.sum()) + LENGTH_BYTES * len(lengths), np.uint8)
    heads = (starts[:, None] + np.arange(LENGTH_BYTES)).ravel()
    content[heads] = lengths.astype("<u4").view(np.uint8)
    body = np.ones(len(content), bool)
    body[heads] = False
    if lengths.any():
        content[body] = np.frombuffer(buffers[2], np.uint8)[first : ends[-1]]
    return content, starts


def _repeats(texts: Places, starts: Rows, lengths: Rows) -> NDArray[np.bool_]:
    """Which lists of texts hold the same as the one before."""
    own = positions(starts, lengths)
    before = np.maximum(own - np.repeat(lengths, lengths), 0)
    same = np.r_[0, np.cumsum(texts[own] == texts[before])]
    ends = np.cumsum(lengths)
    alike = same[ends] - same[ends - lengths] == lengths
    return np.asarray(alike & (np.diff(lengths, prepend=-1) == 0))


@dataclass(frozen=True)
class Shown:
    """The three files of a segment, mapped."""

    kinds: Kinds
    records: CheckedArray  # (n, bytes of a record) uint8
    texts: CheckedArray  # (bytes,) uint8
    lists: CheckedArray  # (m,) uint64

    @staticmethod
    def open(arrays: Mapping[str, CheckedArray], kinds: Kinds) -> Shown:
        """Raises `DamagedIndexError` where records are not of these kinds."""
        shown = Shown(kinds, *(arrays[name] for name in FILES))
        dtypes = [array.unchecked.dtype.str for array in (shown.records, shown.texts, shown.lists)]
        width = shown.records.unchecked.shape[1:]
        if (dtypes, width) != ([*FILES.values()], (record_of(kinds).itemsize,)):
            raise DamagedIndexError(f"{shown.records.path} does not hold records of {', '.join(kinds)}")
        return shown

    def read(self, rows: Rows, columns: Iterable[str]) -> dict[str, pa.Array]:
        """Some columns of rows (k,), by name. Raises `DamagedIndexError`."""
        self.records.check(rows, rows + 1)
        records = self.records.unchecked.take(rows, axis=0).view(self._record).reshape(-1)
        arrays, places, ends = dict[str, pa.Array](), dict[str, Places](), dict[str, pa.Array]()
        for name in columns:
            kind, values = self.kinds[name], records[name]
            if kind == TEXT:
                places[name] = values
            elif kind == LIST:
                ends[name], places[name] = self._lists(values)
            else:
                null = records[_null(name)].astype(bool) if kind.endswith("?") else None
                arrays[name] = to_array(*_typed(values, kind), null)
        arrays |= zip(places, self._texts([*places.values()]), strict=True)
        return arrays | {name: pa.ListArray.from_arrays(its, arrays[name]) for name, its in ends.items()}

    @cached_property
    def _record(self) -> np.dtype[np.void]:
        return record_of(self.kinds)

    def _texts(self, columns: Sequence[Places]) -> list[pa.StringArray]:
        """The texts that begin at the places of some columns (k,), read together."""
        places = np.concatenate([np.empty(0, np.uint64), *columns])
        there = places != NONE
        if there.all():
            texts = self._text(places)
        else:
            texts = self._text(places[there]).take(to_array(np.cumsum(there) - 1, null=~there))
        ends = accumulate(map(len, columns), initial=0)
        return [texts.slice(start, stop - start) for start, stop in pairwise(ends)]

    def _text(self, places: Places) -> pa.StringArray:
        """The texts (k,) that begin at places, none of them null."""
        lengths = self.texts.runs(places, LENGTH_BYTES).view("<u4").astype(np.int64)
        content = self.texts.runs(places + np.uint64(LENGTH_BYTES), lengths)
        buffers = pa.py_buffer(_ends(lengths)), pa.py_buffer(content)
        texts = pa.StringArray.from_buffers(len(places), *buffers)
        try:
            texts.validate(full=True)
        except pa.ArrowInvalid as error:
            raise DamagedIndexError(f"{self.texts.path} holds no such texts: {error}") from error
        return texts

    def _lists(self, places: Places) -> tuple[pa.Array, Places]:
        """Of the lists (k,) that begin at places where each ends among all texts, and the places of these."""
        lengths = self.lists.runs(places, 1).astype(np.int64)
        return to_array(_ends(lengths)), self.lists.runs(places + np.uint64(1), lengths)


def _typed(values: Numbers, kind: str) -> tuple[Numbers, pa.DataType]:
    """Numbers as they are kept, as those of their kind."""
    name = kind.removesuffix("?")
    return values.astype(bool) if name == "bool" else values, ARROW[name]


def _ends(lengths: Rows) -> NDArray[np.int32]:
    """Where each of some runs begins, one run after the other, and where the last ends: (k + 1,)."""
    ends = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=ends[1:], dtype=np.int32)
    return ends
