"""The index of a table: its rows as segments, made for one snapshot and useful to every other.

    <table>/index/000007-<digest>.json    names the segments; the number is the snapshot it was made from
                  <segment>/              see segment_files

A segment holds whole parts, and parts are named by their content. So an index answers for each part it knows,
and the search reads all others from the table: a stale index costs time, never rows.
"""

from __future__ import annotations

import fcntl
import json
import operator
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from weakref import WeakKeyDictionary

from ..errors import TableError
from ..geo.row_ranges import RowRanges, Rows
from ..progress import Progress
from ..table.bucket import Bucket
from ..table.embedding_table import EmbeddingTable
from ..table.manifest import PartFile
from ..table.storage import explained
from ..typed import typed
from . import bucket_index
from .bucket_index import FOLDER, SEGMENT
from .mapped import DamagedIndexError, name_of
from .planner import Point
from .recall import TARGET_RECALL
from .segment_files import SegmentFiles, open_segment, write_segment
from .shown import kinds_of

FORMAT = "skyhex-index-1"
NAME = re.compile(r"\d{6,}-[0-9a-f]{16}\.json")
MERGED_SHARE = 0.1  # small segments and replaced rows may be this share of all; beyond, all is written anew


@dataclass(frozen=True)
class Index:
    """Segments opened for one snapshot of a table."""

    snapshot: int  # it was made from
    segments: tuple[SegmentFiles, ...]
    missing: tuple[PartFile, ...]  # parts of the table that no segment holds
    file_ids: Mapping[str, int] = field(default_factory=dict)  # positions of the table's parts, by path

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


def known_parts(segments: Iterable[SegmentFiles]) -> frozenset[str]:
    """Paths of the parts that segments hold, in the table or not."""
    return frozenset().union(*(files.segment.paths for files in segments))


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

    def __str__(self) -> str:
        kind = "exact" if not self.recall else f"RaBitQ inverted file, {_recall_words(self.recall)}"
        words = [f"{self.rows:,} rows of snapshot {self.snapshot}", kind, f"{self.bytes / 1e6:.1f} MB"]
        if self.segments > 1:
            words.append(f"{self.segments} segments")
        if self.missing_rows:
            words.append(f"{self.missing_rows:,} newer rows are read from Parquet: run `skyhex index`")
        return (f"{self.action}: " if self.action else "") + "; ".join(words)


def build_index(table: EmbeddingTable, progress: Progress | None = None) -> IndexInfo:
    """Bring the index up to a snapshot: nothing, one more segment for the new parts, or all anew.

    Memory is bounded: the codes (d/8 + 18 bytes a row) and what training takes, see `ivf.train`. Pages of the
    mapped matrix come on top, and are the system's to take back.

    Args:
        table: one snapshot. For a table in a bucket the index is built on the local disk, and sent there.
        progress: called with rows done and rows in all, for each pass over them.

    Raises:
        TableError: a part cannot be read, or the disk or the bucket refuses; an index that was there stays.
    """
    root = table.storage.workspace(FOLDER)
    with explained(f"cannot write {root}"), _locked(root):
        if isinstance(table.storage, Bucket):
            _fetch(table.storage, root)
        try:
            info = _build(table, root, progress)
        except DamagedIndexError as error:  # of what was written just now
            raise TableError(f"the index cannot be read back: {error}") from error
        if isinstance(table.storage, Bucket):
            bucket_index.publish(table.storage, root)
        return info


def _build(table: EmbeddingTable, root: Path, progress: Progress | None) -> IndexInfo:
    index = _sound(_open(table, root)[0])
    kept = index.segments if index is not None else ()
    files = index.missing if index is not None else table.files
    action = "nothing to do"
    if index is None or _outgrown(table, index):
        kept, files = (), table.files
    if files:
        kept = (*kept, write_segment(root, table, files, progress))
        action = "added a segment" if len(kept) > 1 else "built"
    if index is None or files or not kept:
        _commit(root, table.snapshot, kept)
    return _info(table, Index(table.snapshot, kept, ()), action)


def _sound(index: Index | None) -> Index | None:
    """The index, read to the end; none if a file of it is damaged, so that all is written anew."""
    try:
        for files in index.segments if index is not None else ():
            files.check()
    except DamagedIndexError:
        return None
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
    for path in sorted(_manifests(root), reverse=True):
        try:
            return _opened(table, path), tuple(notes)
        except DamagedIndexError as error:
            notes.append(error.note)
    return None, tuple(notes)


_kept: WeakKeyDictionary[EmbeddingTable, Index] = WeakKeyDictionary()


def _opened(table: EmbeddingTable, path: Path) -> Index:
    """The index that a file describes; what was opened for a table is kept as long as its segments are.

    Raises:
        DamagedIndexError: the file or a segment is not what was written.
    """
    try:
        about = path.stat()
    except OSError as error:
        raise DamagedIndexError(f"{path} cannot be read: {error.strerror}") from error
    snapshot, names = _read_once(path, about.st_ino, about.st_mtime_ns, about.st_size)
    segments = tuple(open_segment(path.parent / name) for name in names)
    index = _kept.get(table)
    if index is None or index.snapshot != snapshot or not _same(index.segments, segments):
        _check_kinds(table, segments)
        held = known_parts(segments)
        if len(held) < sum(len(files.segment.parts) for files in segments):
            raise DamagedIndexError(f"{path} names a part twice")
        missing = tuple(file for file in table.files if file.path not in held)
        index = _kept[table] = Index(snapshot, segments, missing, table.file_ids)
    return index


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
def _read_once(path: Path, *_version: int) -> tuple[int, list[str]]:
    """`_read` of a file as long as it is the same."""
    return _read(path)


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
    known = known_parts(index.segments)
    rows = sum(file.rows for file in table.files if file.path in known)
    largest = max(index.segments, key=lambda files: len(files.segment), default=None)
    return IndexInfo(
        snapshot=index.snapshot,
        rows=rows,
        missing_rows=sum(file.rows for file in index.missing),
        replaced_rows=index.rows - rows,
        segments=len(index.segments),
        bytes=sum(files.bytes for files in index.segments),
        recall={} if largest is None else {name: m.points for name, m in largest.measured.items()},
        action=action,
    )


def _outgrown(table: EmbeddingTable, index: Index) -> bool:
    """Whether what is beside the largest segment's living rows is more than MERGED_SHARE."""
    paths = {file.path for file in table.files}
    living = max((files.segment.living(paths).count for files in index.segments), default=0)
    everything = index.rows + sum(file.rows for file in index.missing)
    return everything - living > MERGED_SHARE * everything


def _recall_words(recall: Mapping[str, Sequence[Point]]) -> str:
    """The least recall of any column and kind of filter, at each share of the rows."""
    points = [point for column in recall.values() for point in column]
    shares = sorted({point.selectivity for point in points})
    least = [min(point.recall for point in points if point.selectivity == share) for share in shares]
    words = ", ".join(f"{value:.3f}" for value in least)
    below = f" (below the target of {TARGET_RECALL})" if min(least) < TARGET_RECALL else ""
    return f"recall@10 {words} at {', '.join(f'{share:.4g}' for share in shares)} of the rows{below}"


def _manifests(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    with os.scandir(root) as entries:
        return [root / entry.name for entry in entries if NAME.fullmatch(entry.name)]


def _read(path: Path) -> tuple[int, list[str]]:
    """Snapshot and segments of an index. Raises `DamagedIndexError`."""
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
    if document.format != FORMAT:
        raise DamagedIndexError(f"{path} has format {document.format}, this program reads {FORMAT}")
    if not all(map(SEGMENT.fullmatch, document.segments)):
        raise DamagedIndexError(f"{path} does not describe an index: segments {document.segments!r:.80}")
    return document.snapshot, list(document.segments)


@dataclass(frozen=True)
class _Document:
    """What the file of an index says."""

    format: str
    snapshot: int
    segments: tuple[str, ...]


def _commit(root: Path, snapshot: int, segments: Sequence[SegmentFiles]) -> None:
    """Make these segments the index, in one rename; what no index names is then deleted."""
    names = [files.folder.name for files in segments]
    content = json.dumps({"format": FORMAT, "snapshot": snapshot, "segments": names}).encode()
    path = root / f"{snapshot:06}-{name_of(content)}.json"
    scratch = root / ".committing"
    scratch.write_bytes(content)
    scratch.replace(path)
    for old in _manifests(root):
        if old != path:
            old.unlink(missing_ok=True)
    for folder in root.iterdir():
        if SEGMENT.fullmatch(folder.name) and folder.name not in names:
            shutil.rmtree(folder, ignore_errors=True)
