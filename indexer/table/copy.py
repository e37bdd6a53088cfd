"""A table brought elsewhere, disk or bucket: files first, then the snapshots that name them, oldest first.
Labels that people gave come along.

Whatever moment a copy is stopped at, a table is there, or nothing yet; the same copy goes on from it. An
index is not copied: it is made again where it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ..errors import TableError
from ..progress import Progress
from .commit import put_new
from .manifest import Manifest, PartFile, SidecarFile, is_whole, read_history, snapshot_numbers
from .open_storage import open_storage
from .parts import damaged
from .stac_item import write_item
from .storage import Storage

LABELS = "labels"  # folder
AT_ONCE = 4  # files, each in memory


@dataclass(frozen=True)
class Copied:
    """What a copy did."""

    files: int
    bytes: int
    already: int  # files that were there
    snapshots: int
    left_out: int  # snapshots whose manifest is damaged


def copy_table(source: str | Path, target: str | Path, progress: Progress | None = None) -> Copied:
    """Copy all snapshots that a table keeps.

    Args:
        source: a table's folder or address.
        target: another, which holds no table yet, or an earlier copy of this one.
        progress: called with files done and in all.

    Raises:
        TableError: no table, a file that is missing or damaged, or a target that holds another table.
    """
    here = open_storage(source)
    manifests, left_out = _history(here)
    if not manifests:
        raise TableError(f"{here.root} holds no table: expected manifests/000001.json in it")
    there = open_storage(target, create=True)
    held, _ = _history(there)
    _check_same(held, manifests, there)
    files = {file.path: file for manifest in manifests for file in manifest.stored_files}
    sizes, present = ({file.path: file.bytes for file in place.files()} for place in (here, there))
    todo = [file for path, file in files.items() if path not in present or present[path] != sizes.get(path)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for done, _ in enumerate(pool.map(lambda file: _copy(here, there, file), todo), 1):
            if progress is not None:
                progress(done, len(todo))
    _copy_labels(here, there)
    new = [manifest for manifest in manifests if manifest not in held]
    for manifest in new:
        if not put_new(there, manifest):
            raise TableError(f"{there.root} was written by another while it was copied to: copy again")
    write_item(there, manifests[-1])
    copied_bytes = sum(sizes[file.path] for file in todo)
    return Copied(len(todo), copied_bytes, len(files) - len(todo), len(new), left_out)


def _copy_labels(here: Storage, there: Storage) -> None:
    """What lies below `labels/`: versions never change, so one that is there stays as it is."""
    present = {file.path for file in there.files(LABELS)}
    for file in here.files(LABELS):
        if file.path not in present:
            there.put(file.path, here.read(file.path))


def _history(storage: Storage) -> tuple[list[Manifest], int]:
    """The snapshots that can be read, and how many cannot."""
    history = [read for _, read in read_history(storage)] if snapshot_numbers(storage) else []
    readable = [read for read in history if isinstance(read, Manifest)]
    return readable, len(history) - len(readable)


def _check_same(held: Sequence[Manifest], manifests: Sequence[Manifest], there: Storage) -> None:
    """Raises TableError where a target holds what is no earlier copy."""
    ours = {manifest.snapshot: manifest for manifest in manifests}
    known = [ours.get(manifest.snapshot) == manifest for manifest in held if manifest.snapshot in ours]
    if held and (not known or not all(known) or held[-1].snapshot > manifests[-1].snapshot):
        raise TableError(
            f"{there.root} holds another table, or one that went its own way: choose another place"
        )


def _copy(here: Storage, there: Storage, file: PartFile | SidecarFile) -> None:
    content = here.read(file.path)
    if not is_whole(file, content):
        raise damaged(here, file, "its SHA-256 is not the one in the manifest")
    there.put(file.path, content)
