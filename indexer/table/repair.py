"""Mend what can be mended: go on from the newest manifest that can be read, without what is lost."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ..errors import TableError
from .commit import commit
from .manifest import DamagedManifestError, Manifest, is_whole, manifest_path, read_history, read_manifest
from .storage import Storage

SET_ASIDE = ".damaged"  # what the name of a manifest ends in that is no snapshot any more


def repair(storage: Storage) -> list[str]:
    """Set damaged manifests aside, and commit a snapshot without missing or damaged files; what was done.

    A snapshot that lost rows forgets which inputs were finished, so that the same jobs make them again.

    Raises:
        TableError: no manifest can be read, or a file that is there cannot be.
    """
    history = list(read_history(storage))
    damaged = [number for number, read in history if isinstance(read, DamagedManifestError)]
    if len(damaged) == len(history):
        raise TableError(f"{storage.root} has no manifest that can be read: restore one of {damaged}")
    done = [_set_aside(storage, manifest_path(number)) for number in damaged]
    newest = read_manifest(storage)
    lost = set(_lost(storage, newest))
    if lost:
        after = commit(storage, lambda base: _without(base, lost))
        done += [f"{path} is lost" for path in sorted(lost)]
        rows = newest.row_count - after.row_count
        again = "; the commands that made them make them again" if rows else ""
        done.append(f"snapshot {after.snapshot} holds the rest, {rows:,} rows less{again}")
    return done


def _set_aside(storage: Storage, path: str) -> str:
    storage.put(path + SET_ASIDE, storage.read(path))
    storage.delete(path)
    return f"{path} is damaged, and is now {path}{SET_ASIDE}"


def _lost(storage: Storage, table: Manifest) -> Iterator[str]:
    """Files of a snapshot that are missing or not what was written."""
    there = {file.path for file in storage.files()}
    for file in table.stored_files:
        if file.path not in there or not is_whole(file, storage.read(file.path)):
            yield file.path


def _without(base: Manifest, lost: Collection[str]) -> Manifest:
    """The next snapshot without these files; `base` itself where it names none of them."""
    files = tuple(file for file in base.files if file.path not in lost)
    sidecars = {
        kind: sidecar
        for kind, sidecar in base.sidecars.items()
        if not any(file.path in lost for file in sidecar.files)
    }
    if len(files) == len(base.files):
        return base.following("repair", {}, sidecars=sidecars) if len(sidecars) < len(base.sidecars) else base
    rows = base.row_count - sum(file.rows for file in files)
    summary = {"files_lost": len(base.files) - len(files), "rows_lost": rows}
    changes = {"files": files, "sidecars": sidecars, "input_keys": (), "rows_snapshot": base.snapshot + 1}
    return base.following("repair", summary, **changes)
