"""Keeping a table tidy: joining small files, deleting what no kept snapshot names."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby

from ..errors import TableError
from .manifest import (
    DamagedManifestError,
    Manifest,
    PartFile,
    manifest_path,
    read_history,
    read_manifest,
)
from .merge import MAX_FILE_BYTES, SMALL_TABLE_BYTES, Rewrite, rewrite
from .parts import WHOLE, folder_of
from .schema import PARTITION
from .stac_item import write_item
from .storage import Storage

GRACE = timedelta(hours=1)
# what vacuum may delete from; an index lives elsewhere and is not its own
PREFIXES = (PARTITION, f"{WHOLE}/", "sidecars/")


def compacted(storage: Storage, base: Manifest) -> Manifest:
    """The next manifest, with neighbouring files of a partition joined while they stay below 128 MB.

    A small table becomes one file, without partitions. `base` itself where there is nothing to join.
    """
    is_small = base.stored_bytes <= SMALL_TABLE_BYTES
    resolution = None if is_small else base.partition_resolution
    groups = list(_groups(base.files, resolution))
    if len(groups) == len(base.files):
        return base
    moves = resolution != base.partition_resolution
    base = replace(base, partition_resolution=resolution)
    files: list[PartFile] = []
    for group in groups:
        if len(group) == 1 and not moves:
            files += group
        else:
            files += rewrite(storage, base, Rewrite(tuple(group), None), base.schema)[0]
    summary = {"files_before": len(base.files), "files_after": len(files)}
    return base.following("compact", summary, files=tuple(files))


def vacuum(storage: Storage, keep: int, grace: timedelta) -> list[str]:
    """Delete manifests first, oldest first, then orphans: dying on the way leaves only more orphans.

    Kept are the newest `keep` snapshots and any that was the newest within `grace`, for whoever reads it or
    writes on top of it; so are files younger than that, which a writer may be about to name. While a damaged
    manifest is kept, so are all files, as it may name them.
    """
    if keep < 1:
        raise TableError(f"keep {keep} snapshots: the newest always stays, so expected 1 or more")
    files = list(
        storage.files()
    )  # before the manifests are read: what is committed later is younger than this
    before = datetime.now(UTC) - grace
    history = dict(read_history(storage))
    kept = history | {}
    for number, replaced in _replaced(history).items():
        if number in list(history)[:-keep] and replaced < before:
            del kept[number]
    whole = [read for read in kept.values() if isinstance(read, Manifest)]
    named = {file.path for manifest in whole for file in manifest.stored_files}
    orphans = [
        file.path
        for file in files
        if file.path.startswith(PREFIXES) and file.path not in named and file.modified < before
    ]
    if len(whole) < len(kept):  # what a damaged manifest names is not known
        orphans = []
    doomed = [manifest_path(number) for number in history if number not in kept] + orphans
    for path in doomed:
        storage.delete(path)
    write_item(storage, read_manifest(storage))  # it may be of a snapshot that is gone now
    return doomed + storage.sweep(before)


def _replaced(history: Mapping[int, Manifest | DamagedManifestError]) -> dict[int, datetime]:
    """When each snapshot but the newest was replaced: the next one that can be read says so."""
    moments: dict[int, datetime] = {}
    waiting: list[int] = []
    for number, read in history.items():
        if isinstance(read, Manifest):
            moments |= dict.fromkeys(waiting, datetime.fromisoformat(read.committed))
            waiting = []
        waiting.append(number)
    return moments


def _groups(files: Sequence[PartFile], partition_resolution: int | None) -> Iterator[list[PartFile]]:
    """Runs of neighbours in one partition that fit one file together."""
    for _, partition in groupby(files, lambda file: folder_of(file.min_h3, partition_resolution)):
        run: list[PartFile] = []
        for file in partition:
            if run and sum(f.bytes for f in run) + file.bytes > MAX_FILE_BYTES:
                yield run
                run = []
            run.append(file)
        yield run
