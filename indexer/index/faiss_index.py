"""The index of a table: its rows as segments, made for one snapshot and useful to every other.

    <table>/index/000007-<digest>.json    names the segments; the number is the snapshot it was made from
                  <segment>/              see segment_files

A segment holds whole parts, and parts are named by their content. So an index answers for each part it knows,
and the search reads all others from the table: a stale index costs time, never rows. The segments of a
sharded index hold ranges of cells, and pieces of parts where these end; one that cannot be read leaves the
others as they are, and its rows are read from the table.
"""

from __future__ import annotations

import fcntl
import json
import operator
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from weakref import WeakKeyDictionary

from ..errors import TableError
from ..geo.row_ranges import RowRanges, Rows
from ..progress import Progress
from ..table.bucket import Bucket
from ..table.embedding_table import EmbeddingTable
from ..table.storage import explained
from ..typed import typed
from ..workers import Workers, workers_of
from . import bucket_index
from .bucket_index import FOLDER, SEGMENT
from .mapped import DamagedIndexError, name_of
from .planner import Point
from .recall import TARGET_RECALL
from .segment import Part, missing_parts
from .segment_files import SegmentFiles, open_segment, write_segment
from .shards import CENTROIDS, write_shards
from .shown import kinds_of

FORMAT, SHARDED_FORMAT = "skyhex-index-1", "skyhex-index-2"
NAME = re.compile(r"\d{6,}-[0-9a-f]{16}\.json")
SETTLED_NS = 2_000_000_000  # a folder's time of change may be told in steps as long as this
MERGED_SHARE = 0.1  # small segments and replaced rows may be this share of all; beyond, all is written anew


@dataclass(frozen=True)
class Index:
    """Segments opened for one snapshot of a table."""

    snapshot: int  # it was made from
    segments: tuple[SegmentFiles, ...]
    missing: tuple[Part, ...]  # what no segment holds of the table
    file_ids: Mapping[str, int] = field(default_factory=dict)  # positions of the table's parts, by path
    shards: int = 0  # that it was cut into; 0: its segments hold whole parts
    lost: int = 0  # segments that cannot be read

    @cached_property
    def living(self) -> tuple[RowRanges, ...]:
        """Of each segment the rows that the table has."""
        return tuple(files.segment.living(self.file_ids) for files in self.segments)

    @cached_property
    def part_ids(self) -> tuple[Rows, ...]:
        """Of each segment the positions of its parts in the table, -1 where it has them no more."""
        return tuple(files.segment.part_ids(self.file_ids) for files in self.segments)

    @property
    def rows(self) -> int:
        """Rows in the segments, replaced ones too."""
        return sum(len(files.segment) for files in self.segments)


def missing_of(table: EmbeddingTable, segments: Iterable[SegmentFiles]) -> tuple[Part, ...]:
    """What none of some segments holds of a table. Raises `DamagedIndexError` for what two of them hold."""
    return missing_parts(table, (files.segment for files in segments))


def without_damage(table: EmbeddingTable, index: Index, error: DamagedIndexError) -> Index | None:
    """What is left of an index: of shards all but the one that an error is of, else nothing."""
    kept = tuple(files for files in index.segments if files.folder != error.segment)
    if not index.shards or len(kept) == len(index.segments):
        return None
    return replace(index, segments=kept, missing=missing_of(table, kept), lost=index.lost + 1)


@dataclass(frozen=True)
class IndexInfo:
    """What an index is, or what `build_index` did."""

    snapshot: int
    rows: int  # of the table, in the index
    missing_rows: int  # of the table, not in it
    replaced_rows: int  # in the index, no longer in the table
    segments: int
    bytes: int
    recall: Mapping[str, Sequence[Point]]  # by column, of its largest inverted file
    action: str = ""
    shards: int = 0

    def __str__(self) -> str:
        kind = "exact" if not self.recall else f"RaBitQ inverted file, {_recall_words(self.recall)}"
        words = [f"{self.rows:,} rows of snapshot {self.snapshot}", kind, f"{self.bytes / 1e6:.1f} MB"]
        if self.shards:
            words.append(f"{self.shards} shards")
        if self.segments > max(self.shards, 1):
            words.append(f"{self.segments} segments")
        if self.missing_rows:
            words.append(f"{self.missing_rows:,} newer rows are read from Parquet: run `skyhex index`")
        return (f"{self.action}: " if self.action else "") + "; ".join(words)


def build_index(
    table: EmbeddingTable,
    progress: Progress | None = None,
    shards: int | None = None,
    workers: int | Workers = 1,
) -> IndexInfo:
    """Bring the index up to a snapshot: nothing, one more segment for the new parts, or all anew.

    Memory is bounded: the codes (d/8 + 18 bytes a row) and what training takes, see `ivf.train`. Pages of the
    mapped matrix come on top, and are the system's to take back.

    Args:
        table: one snapshot. For a table in a bucket the index is built on the local disk, and sent there.
        progress: called with rows done and rows in all, for each pass over them.
        shards: how many the rows are cut into, see `shards`; 1 for none. By default as the index is.
        workers: processes that write shards, or others who do.

    Raises:
        TableError: a part cannot be read, the table cannot be cut so, or the disk or the bucket refuses; an
            index that was there stays.
    """
    root = table.storage.workspace(FOLDER)
    with explained(f"cannot write {root}"), _locked(root):
        if isinstance(table.storage, Bucket):
            _fetch(table.storage, root)
        try:
            info = _build(table, root, progress, shards, workers_of(workers))
        except DamagedIndexError as error:  # of what was written just now
            raise TableError(f"the index cannot be read back: {error}") from error
        if isinstance(table.storage, Bucket):
            bucket_index.publish(table.storage, root)
        return info


def _build(
    table: EmbeddingTable, root: Path, progress: Progress | None, shards: int | None, workers: Workers
) -> IndexInfo:
    index = _sound(table, _open(table, root)[0])
    shards = 0 if shards == 1 else shards if shards is not None else index.shards if index is not None else 0
    kept = index.segments if index is not None else ()
    parts = index.missing if index is not None else tuple(map(Part.whole, table.files))
    action = "nothing to do"
    if index is None or index.lost or index.shards != shards or _outgrown(table, index):
        kept, parts, action = (), tuple(map(Part.whole, table.files)), "built"
    if shards and not kept:
        kept, parts = write_shards(root, table, shards, workers, progress), ()
    if parts:
        kept = (*kept, write_segment(root, table, parts, progress))
        action = "added a segment" if len(kept) > 1 else "built"
    if index is None or action != "nothing to do" or not kept:
        _commit(root, table.snapshot, kept, shards)
    return _info(table, Index(table.snapshot, kept, (), shards=shards), action)


def _sound(table: EmbeddingTable, index: Index | None) -> Index | None:
    """The index, read to the end: without shards that are damaged; none if another file is."""
    for files in index.segments if index is not None else ():
        try:
            with files.blamed():
                files.check()
        except DamagedIndexError as error:
            index = None if index is None else without_damage(table, index, error)
    return index


def open_index(table: EmbeddingTable) -> tuple[Index | None, tuple[str, ...]]:
    """The newest index that can be read, and notes on those that cannot."""
    bucket, root = table.storage, table.storage.workspace(FOLDER)
    notes: tuple[str, ...] = ()
    if isinstance(bucket, Bucket) and bucket_index.is_due(bucket):
        with explained(f"cannot write {root}"), _locked(root):
            notes = _fetch(bucket, root)
    index, said = _open(table, root)
    return index, (*notes, *said)


def _fetch(bucket: Bucket, root: Path) -> tuple[str, ...]:
    try:
        bucket_index.fetch(bucket, root)
    except DamagedIndexError as error:
        return (error.note,)
    return ()


def _open(table: EmbeddingTable, root: Path) -> tuple[Index | None, tuple[str, ...]]:
    notes: list[str] = []
    for path in _manifests(root):
        try:
            index, said = _opened(table, path)
            return index, (*notes, *said)
        except DamagedIndexError as error:
            notes.append(error.note)
    return None, tuple(notes)


_kept: WeakKeyDictionary[EmbeddingTable, Index] = WeakKeyDictionary()


def _opened(table: EmbeddingTable, path: Path) -> tuple[Index, tuple[str, ...]]:
    """The index that a file describes, and notes; what was opened for a table is kept as its segments are.

    Raises:
        DamagedIndexError: the file or a segment is not what was written.
    """
    try:
        about = path.stat()
    except OSError as error:
        raise DamagedIndexError(f"{path} cannot be read: {error.strerror}") from error
    document, folders = _read_once(path, about.st_ino, about.st_mtime_ns, about.st_size)
    segments, notes = _segments(document, folders)
    index = _kept.get(table)
    if index is None or index.snapshot != document.snapshot or not _same(index.segments, segments):
        _check_kinds(table, segments)
        missing = missing_of(table, segments)
        index = Index(document.snapshot, segments, missing, table.file_ids, document.shards, len(notes))
        _kept[table] = index
    return index, notes


def _segments(
    document: _Document, folders: Sequence[Path]
) -> tuple[tuple[SegmentFiles, ...], tuple[str, ...]]:
    """The segments that an index names, and notes on lost shards. Raises `DamagedIndexError`."""
    segments, notes = list[SegmentFiles](), list[str]()
    for folder in folders:
        try:
            segments.append(open_segment(folder))
        except DamagedIndexError as error:
            if not document.shards:
                raise
            error.segment = folder
            notes.append(error.note)
    return tuple(segments), tuple(notes)


def _check_kinds(table: EmbeddingTable, segments: Sequence[SegmentFiles]) -> None:
    """Raises `DamagedIndexError` where a segment shows a column of the table as something else."""
    kinds = kinds_of(table.schema)
    for files in segments:
        shown = files.segment.shown.kinds if files.segment.shown is not None else {}
        if any(kinds.get(name, kind) != kind for name, kind in shown.items()):
            raise DamagedIndexError(f"{files.folder} shows other columns than the table has")


def _same(some: Sequence[SegmentFiles], others: Sequence[SegmentFiles]) -> bool:
    return len(some) == len(others) and all(map(operator.is_, some, others))


@lru_cache(maxsize=16)
def _read_once(path: Path, *_version: int) -> tuple[_Document, tuple[Path, ...]]:
    """`_read` of a file as long as it is the same, and the folders of the segments."""
    document = _read(path)
    return document, tuple(path.parent / name for name in document.segments)


def index_info(table: EmbeddingTable) -> IndexInfo | None:
    """What the index of a table is; None without one."""
    index, _ = open_index(table)
    return None if index is None else _info(table, index)


def describe_index(table: EmbeddingTable) -> str:
    """One line for people."""
    index, notes = open_index(table)
    if index is None:
        return notes[0] if notes else "none, so searches read Parquet: `skyhex index`"
    return str(_info(table, index))


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """One builder at a time; what a builder that died left behind is removed."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in root.glob(".building-*"):
            shutil.rmtree(left, ignore_errors=True)
        yield


def _info(table: EmbeddingTable, index: Index, action: str = "") -> IndexInfo:
    missing_rows = sum(part.rows for part in index.missing)
    rows = table.row_count - missing_rows
    largest = max(index.segments, key=lambda files: len(files.segment), default=None)
    return IndexInfo(
        snapshot=index.snapshot,
        rows=rows,
        missing_rows=missing_rows,
        replaced_rows=index.rows - rows,
        segments=len(index.segments),
        bytes=sum(files.bytes for files in index.segments),
        recall={} if largest is None else {name: m.points for name, m in largest.measured.items()},
        action=action,
        shards=index.shards,
    )


def _outgrown(table: EmbeddingTable, index: Index) -> bool:
    """Whether what is beside the living rows of shards, or the largest segment, is more than MERGED_SHARE."""
    paths = {file.path for file in table.files}
    living = [files.segment.living(paths).count for files in index.segments]
    base = sum(living[: index.shards]) if index.shards else max(living, default=0)
    everything = index.rows + sum(part.rows for part in index.missing)
    return everything - base > MERGED_SHARE * everything


def _recall_words(recall: Mapping[str, Sequence[Point]]) -> str:
    """The least recall of any column and kind of filter, at each share of the rows."""
    points = [point for column in recall.values() for point in column]
    shares = sorted({point.selectivity for point in points})
    least = [min(point.recall for point in points if point.selectivity == share) for share in shares]
    words = ", ".join(f"{value:.3f}" for value in least)
    below = f" (below the target of {TARGET_RECALL})" if min(least) < TARGET_RECALL else ""
    return f"recall@10 {words} at {', '.join(f'{share:.4g}' for share in shares)} of the rows{below}"


def _manifests(root: Path) -> list[Path]:
    """The indexes in a folder, the newest first; listed anew when the folder has changed, or just did."""
    try:
        changed_ns = root.stat().st_mtime_ns
        if time.time_ns() - changed_ns < SETTLED_NS:
            _listed.cache_clear()
        return _listed(root, changed_ns)
    except (FileNotFoundError, NotADirectoryError):
        return []


@lru_cache(maxsize=16)
def _listed(root: Path, _changed_ns: int) -> list[Path]:
    return sorted((path for path in root.iterdir() if NAME.fullmatch(path.name)), reverse=True)


def _read(path: Path) -> _Document:
    """What the file of an index says. Raises `DamagedIndexError`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DamagedIndexError(f"{path} cannot be read: {error.strerror}") from error
    if name_of(content) != path.stem.split("-")[1]:
        raise DamagedIndexError(f"{path} is damaged: its digest is not in its name")
    try:
        document = typed(_Document, json.loads(content), str(path))
    except (ValueError, RecursionError) as error:
        raise DamagedIndexError(f"{path} does not describe an index: {error}") from error
    if document.format != (SHARDED_FORMAT if document.shards else FORMAT):
        raise DamagedIndexError(
            f"{path} has format {document.format}, this program reads {FORMAT}, of shards {SHARDED_FORMAT}"
        )
    if not all(map(SEGMENT.fullmatch, document.segments)) or not 0 <= document.shards <= len(
        document.segments
    ):
        raise DamagedIndexError(f"{path} does not describe an index: segments {document.segments!r:.80}")
    return document


@dataclass(frozen=True)
class _Document:
    """What the file of an index says."""

    format: str
    snapshot: int
    segments: tuple[str, ...]  # shards first
    shards: int = 0


def _commit(root: Path, snapshot: int, segments: Sequence[SegmentFiles], shards: int) -> None:
    """Make these segments the index, in one rename; what no index names is then deleted."""
    names = [files.folder.name for files in segments]
    document: dict[str, object] = {"format": FORMAT, "snapshot": snapshot, "segments": names}
    if shards:  # older programs leave such an index out, with one note
        document |= {"format": SHARDED_FORMAT, "shards": shards}
    content = json.dumps(document).encode()
    path = root / f"{snapshot:06}-{name_of(content)}.json"
    scratch = root / ".committing"
    scratch.write_bytes(content)
    scratch.replace(path)
    for old in _manifests(root):
        if old != path:
            old.unlink(missing_ok=True)
    for folder in root.iterdir():
        unused = SEGMENT.fullmatch(folder.name) and folder.name not in names
        if unused or (folder.name == CENTROIDS and not shards):
            shutil.rmtree(folder, ignore_errors=True)
