"""The manifest of a snapshot: everything a reader needs to know, in one small immutable JSON file.

`manifests/000001.json` is the first snapshot. The newest number is the table. A manifest is put only if its
number is free, so committing is choosing the next number and losing is seeing it taken.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from typing import Any

import numpy as np
import pyarrow as pa

from ..errors import TableError
from ..geo import cells
from ..typed import OddFieldError, typed
from .extent import Extent
from .schema import (
    EXTRA_TYPES,
    NEWEST_SCHEMA_VERSION,
    SCHEMA_VERSION,
    ModelInfo,
    Values,
    schema_version,
    table_schema,
)
from .storage import Storage
from .terms import Terms

FORMAT = "skyhex-table"
FOLDER = "manifests"
UNSAID: tuple[object, ...] = ({}, (), "float16")  # of fields that earlier versions do not have
AT_ONCE = 8  # manifests read
MAX_DIMENSION = 2**20
HEXADECIMAL = re.compile(r"[0-9a-f]{1,16}")
INSIDE = re.compile(r"(?!\.)[\w.=-]+(/(?!\.)[\w.=-]+)+")  # of a file: no way out of the table


class DamagedManifestError(TableError):
    """A manifest is there and is not what was written."""


@dataclass(frozen=True)
class PartFile:
    """One Parquet file of a snapshot: rows of one partition, where there are any, in order of key."""

    path: str  # "rows/part-0123456789abcdef.parquet", relative to the table
    rows: int
    bytes: int
    min_h3: int  # first and last cell; files of a snapshot never overlap
    max_h3: int
    sha256: str
    footer_crc32: int  # of the Parquet footer, checked whenever the file is opened


@dataclass(frozen=True)
class SidecarFile:
    name: str  # "assignments.parquet"
    path: str  # relative to the table
    sha256: str


def is_whole(file: PartFile | SidecarFile, content: bytes) -> bool:
    """Whether content is what was written."""
    return hashlib.sha256(content).hexdigest() == file.sha256


@dataclass(frozen=True)
class Sidecar:
    """Files made from the rows of a snapshot, such as prototypes."""

    snapshot: int  # whose rows they were made from
    files: tuple[SidecarFile, ...]
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Imagery:
    """Imagery that rows were made of: its terms, which are kept as long as the table, and its units."""

    collection: str
    provider: str
    licence: str  # SPDX identifier, "other", or what its items say
    attribution: tuple[str, ...] = ()
    decided: tuple[str, ...] = ()  # how the units of its numbers were decided


def joined_imagery(first: Iterable[Imagery], second: Iterable[Imagery]) -> tuple[Imagery, ...]:
    """Both, one a collection, provider and licence; nothing that either says is lost."""
    by_source: dict[tuple[str, str, str], Imagery] = {}
    for source in (*first, *second):
        key = source.collection, source.provider, source.licence
        before = by_source.get(key, Imagery(*key))
        attribution = tuple(sorted({*before.attribution, *source.attribution}))
        by_source[key] = Imagery(*key, attribution, tuple(sorted({*before.decided, *source.decided})))
    return tuple(by_source[key] for key in sorted(by_source))


@dataclass(frozen=True)
class SnapshotInfo:
    """A line of a table's log."""

    snapshot: int
    committed: datetime | None  # UTC; None: its manifest is damaged
    operation: str  # or "damaged"
    summary: Mapping[str, Any]
    row_count: int
    files: int


@dataclass(frozen=True)
class Manifest:
    """One committed state of a table."""

    snapshot: int
    committed: str  # UTC, ISO 8601
    operation: str  # "create", "upsert", "prototypes", "compact"
    summary: Mapping[str, Any]  # what the operation did
    model: ModelInfo
    h3_resolution: int
    partition_resolution: int | None  # None: a small table, without partitions
    simulated: bool
    optional: Mapping[str, int] = field(default_factory=dict)  # optional vector columns and their dimensions
    extra: Mapping[str, str] = field(default_factory=dict)  # further columns and their types
    files: tuple[PartFile, ...] = ()  # in order of cell
    input_keys: tuple[str, ...] = ()
    rows_snapshot: int = 1  # the last snapshot that changed rows
    sidecars: Mapping[str, Sidecar] = field(default_factory=dict)
    extent: Extent | None = None  # None: no rows, or written before manifests said so
    imagery: tuple[Imagery, ...] = ()  # that any row was ever made of
    values: Values = "float16"  # of the numbers in vectors
    terms: tuple[Terms, ...] = ()  # of everything that was ever imported

    def __reduce__(self) -> tuple[Any, ...]:
        """Without the schema that it keeps: pickled, its lists would lose the names of their elements."""
        return Manifest, tuple(getattr(self, one.name) for one in fields(self))

    @cached_property
    def row_count(self) -> int:
        return sum(file.rows for file in self.files)

    @property
    def stored_bytes(self) -> int:
        """Of all parts."""
        return sum(file.bytes for file in self.files)

    @property
    def stored_files(self) -> tuple[PartFile | SidecarFile, ...]:
        """All that it names: parts, then files of sidecars."""
        beside = (file for sidecar in self.sidecars.values() for file in sidecar.files)
        return (*self.files, *beside)

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns, in order."""
        return table_schema(self.model.dimension, self.optional, self.extra, self.values)

    def following(self, operation: str, summary: Mapping[str, Any], **changes: Any) -> Manifest:
        """The next snapshot."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        number = self.snapshot + 1
        return replace(self, snapshot=number, committed=now, operation=operation, summary=summary, **changes)

    def snapshot_info(self) -> SnapshotInfo:
        """What the log says of this snapshot."""
        committed = datetime.fromisoformat(self.committed)
        return SnapshotInfo(
            self.snapshot, committed, self.operation, self.summary, self.row_count, len(self.files)
        )

    def to_json(self) -> bytes:
        """JSON with its own digest, a line a file; cells in hexadecimal, as JSON readers round 64 bits."""
        version = schema_version(self.extra, self.values, self.partition_resolution)
        document: dict[str, Any] = {"format": FORMAT, "schema_version": version}
        document |= {"row_count": self.row_count, **asdict(replace(self, files=()))}
        for name in ("extra", "imagery", "values", "terms"):
            if document[name] in UNSAID:
                del document[name]
        document["files"] = [
            vars(file) | {"min_h3": f"{file.min_h3:x}", "max_h3": f"{file.max_h3:x}"} for file in self.files
        ]
        document["sha256"] = _digest(document)
        lines = (f"{json.dumps(name)}: {_in_lines(value)}" for name, value in document.items())
        return ("{\n" + ",\n".join(lines) + "\n}").encode()


def manifest_path(snapshot: int) -> str:
    """Where a snapshot's manifest is, relative to the table."""
    return f"{FOLDER}/{snapshot:06}.json"


def snapshot_numbers(storage: Storage) -> list[int]:
    """The snapshots that are kept, in order."""
    stems = (name.removesuffix(".json") for name in storage.names(FOLDER))
    return sorted(int(stem) for stem in stems if stem.isdecimal())


def read_history(storage: Storage) -> Iterator[tuple[int, Manifest | DamagedManifestError]]:
    """Every snapshot that is kept, oldest first, and its manifest or what is wrong with it."""
    numbers = _kept_numbers(storage)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from zip(numbers, pool.map(partial(_read_or_error, storage), numbers), strict=True)


def _read_or_error(storage: Storage, number: int) -> Manifest | DamagedManifestError:
    try:
        return _read(storage, number)
    except DamagedManifestError as error:
        return error


def read_log(storage: Storage) -> list[SnapshotInfo]:
    """A line for every snapshot that is kept, oldest first, whatever became of its manifest."""
    return [
        SnapshotInfo(number, None, "damaged", {"reason": str(read)}, 0, 0)
        if isinstance(read, DamagedManifestError)
        else read.snapshot_info()
        for number, read in read_history(storage)
    ]


def read_manifest(storage: Storage, snapshot: int | None = None) -> Manifest:
    """A snapshot's manifest, the newest by default.

    Raises:
        TableError: no table there, no such snapshot, or a manifest that is damaged or of another version.
    """
    numbers = _kept_numbers(storage)
    number = numbers[-1] if snapshot is None else snapshot
    if number not in numbers:
        kept = f"{numbers[0]}" if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
        raise TableError(f"{storage.root} has no snapshot {number}: it keeps {kept}")
    return _read(storage, number)


def _kept_numbers(storage: Storage) -> list[int]:
    numbers = snapshot_numbers(storage)
    if not numbers:
        raise TableError(f"{storage.root} holds no table: expected {FOLDER}/000001.json in it")
    return numbers


def _read(storage: Storage, number: int) -> Manifest:
    where = storage.locate(manifest_path(number))
    content = storage.read(manifest_path(number))
    try:
        manifest = _parse(content, where)
    except OddFieldError as error:
        raise DamagedManifestError(
            f"{where} is damaged ({error}): restore the file, open the snapshot before it, or let "
            "`skyhex validate --repair` go back to that"
        ) from error
    if manifest.snapshot != number:
        raise TableError(f"{where} says it is snapshot {manifest.snapshot}: it was renamed or copied")
    return manifest


def _parse(content: bytes, where: str) -> Manifest:
    """Raises OddFieldError for what is damaged, TableError for what is of another version."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise OddFieldError(str(error)) from error
    if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
        raise OddFieldError("it is not the manifest of a table")
    version = document.get("schema_version")
    if version not in range(SCHEMA_VERSION, NEWEST_SCHEMA_VERSION + 1):
        raise TableError(
            f"{where} has schema version {version}, this program reads {SCHEMA_VERSION} to "
            f"{NEWEST_SCHEMA_VERSION}: update it"
        )
    if document.pop("sha256", None) != _digest({"format": FORMAT, **document}):
        raise OddFieldError("its digest does not match its content")
    return _from_document(document)


def _from_document(document: dict[str, Any]) -> Manifest:
    """Raises OddFieldError for what no program of this version would write."""
    files = typed(tuple[Mapping[str, Any], ...], document.get("files"), "files")
    stored = {**document, "files": [{**file, **_bounds(file)} for file in files]}
    table = typed(Manifest, stored, "it")
    for is_right, what in _rules(table, document.get("row_count")):
        if not is_right:
            raise OddFieldError(what)
    return table


def _bounds(file: Mapping[str, Any]) -> dict[str, int]:
    """First and last cell of a part, from hexadecimal text."""
    sides = {side: typed(str, file.get(side), side) for side in ("min_h3", "max_h3")}
    return {side: int(text, 16) for side, text in sides.items() if HEXADECIMAL.fullmatch(text)}


def _rules(table: Manifest, row_count: Any) -> Iterator[tuple[bool, str]]:
    """What holds beyond the types, and what is wrong where it does not."""
    dimensions = [table.model.dimension, *table.optional.values()]
    yield all(0 < d <= MAX_DIMENSION for d in dimensions), f"dimensions {dimensions} cannot be"
    finest = table.h3_resolution
    yield (
        0 <= (table.partition_resolution or 0) <= finest <= cells.MAX_RESOLUTION,
        f"H3 resolution {finest} cannot be",
    )
    unknown = [kind for kind in table.extra.values() if kind not in EXTRA_TYPES]
    yield not unknown, f"no column can be of type {unknown}"
    yield 1 <= table.rows_snapshot <= table.snapshot, f"rows of snapshot {table.rows_snapshot} cannot be"
    moments = [table.committed, *((table.extent.start, table.extent.end) if table.extent else ())]
    yield all(map(_is_moment, moments)), f"{moments} are not moments in UTC"
    outside = [file.path for file in table.stored_files if not INSIDE.fullmatch(file.path)]
    yield not outside, f"{outside[:1]} is no path in a table"
    yield all(file.rows > 0 and file.bytes > 0 for file in table.files), "a part is empty"
    yield row_count == table.row_count, f"{table.row_count} rows in its parts, {row_count!r} in all"
    ends = np.array([(file.min_h3, file.max_h3) for file in table.files], np.uint64).reshape(-1, 2)
    is_cell = cells.are_valid(ends.ravel()) & (cells.resolutions(ends.ravel()) == finest)
    yield bool(is_cell.all() and (ends[:, 0] <= ends[:, 1]).all()), f"cells of its parts are none of {finest}"


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).utcoffset() == timedelta(0)
    except ValueError:
        return False


def _in_lines(value: Any) -> str:
    """JSON, a list in as many lines as it has elements."""
    if not isinstance(value, list):
        return json.dumps(value)
    return "[" + ",".join(f"\n {json.dumps(element)}" for element in value) + "]"


def _digest(document: Mapping[str, Any]) -> str:
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
