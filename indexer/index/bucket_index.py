"""The index of a table in a bucket: brought to the local disk to be mapped, and sent there when it was built.

    <address>/index/000007-<digest>.json    as beside a table on disk
                    <segment>/...           put before the JSON that names them, segment.json last

Segments are named by their content: each is downloaded once, checked, and mapped from then on.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
import time
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path

from ..errors import TableError
from ..table.bucket import Bucket
from ..table.upkeep import GRACE
from .description import Description
from .mapped import DamagedIndexError, name_of
from .segment_files import DESCRIPTION

FOLDER = "index"
MANIFEST = re.compile(r"\d{6,}-[0-9a-f]{16}\.json")
SEGMENT = re.compile(r"[0-9a-f]{16}")
LOOKED_EVERY_S = 60.0  # whether there is a newer index

_looked_s: dict[Bucket, float] = {}


def is_due(bucket: Bucket) -> bool:
    """Whether to look for a newer index; true once a while."""
    if time.monotonic() - _looked_s.get(bucket, -LOOKED_EVERY_S) < LOOKED_EVERY_S:
        return False
    _looked_s[bucket] = time.monotonic()
    return True


def fetch(bucket: Bucket, root: Path) -> None:
    """Make a local folder hold the newest index of a bucket, and no other; of shards those that can be had.

    Raises:
        DamagedIndexError: a segment, and no shard, is missing or not what it was.
        TableError: the bucket cannot be read.
    """
    newest = max(filter(MANIFEST.fullmatch, bucket.names(FOLDER)), default=None)
    try:
        if newest is not None and not (root / newest).exists():
            content = bucket.read(f"{FOLDER}/{newest}")
            _fetch_segments(bucket, root, content)
            _write(root / newest, content)
        elif newest is not None:
            _fetch_segments(bucket, root, (root / newest).read_bytes())  # room may have been made since
    finally:
        for old in root.glob("*.json"):
            if old.name != newest:
                old.unlink(missing_ok=True)


def publish(bucket: Bucket, root: Path) -> None:
    """Send the index of a local folder to the bucket; what no index there names is deleted after a while."""
    (manifest,) = (path for path in root.glob("*.json") if MANIFEST.fullmatch(path.name))
    content = manifest.read_bytes()
    for name in _segments(content):
        if not _held(root, name).exists():
            files = sorted((root / name).iterdir(), key=lambda file: (file.name == DESCRIPTION, file.name))
            for file in files:
                bucket.put(f"{FOLDER}/{name}/{file.name}", file)
            _held(root, name).touch()
    bucket.put(f"{FOLDER}/{manifest.name}", content)
    _tidy(bucket, manifest.name)


def _fetch_segments(bucket: Bucket, root: Path, content: bytes) -> None:
    """Those that an index names and that are not there; whoever opens it says which shards are missing."""
    for name in _segments(content):
        with suppress(DamagedIndexError) if _are_shards(content) else nullcontext():
            _fetch_segment(bucket, root, name)


def _fetch_segment(bucket: Bucket, root: Path, name: str) -> None:
    if (root / name / DESCRIPTION).exists():
        return
    _held(root, name).unlink(missing_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".building-", dir=root))
    try:
        content = bucket.read(f"{FOLDER}/{name}/{DESCRIPTION}")
        if name_of(content) != name:
            raise DamagedIndexError(f"{bucket.locate(FOLDER)}/{name} is damaged: its digest is not its name")
        description = Description.parse(content, f"{bucket.locate(FOLDER)}/{name}")
        for file in _files(description):
            bucket.download(f"{FOLDER}/{name}/{file}", scratch / file)
        _check(scratch, description)
        (scratch / DESCRIPTION).write_bytes(content)
        shutil.rmtree(root / name, ignore_errors=True)
        scratch.rename(root / name)
    except TableError as error:
        raise DamagedIndexError(f"{bucket.locate(FOLDER)}/{name} cannot be read: {error}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    _held(root, name).touch()


def _files(description: Description) -> list[str]:
    arrays = [array.name for array in description.arrays]
    return [*arrays, *(f"{column}.faiss" for column in description.inverted)]


def _check(folder: Path, description: Description) -> None:
    """Compare all files with their checksums. Raises DamagedIndexError."""
    for array in description.open(folder).values():
        array.whole()
    for column, inverted in description.inverted.items():
        with (folder / f"{column}.faiss").open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != inverted.sha256:
                raise DamagedIndexError(f"{file.name} is damaged")


def _segments(content: bytes) -> list[str]:
    """What an index names; nothing where it cannot be read, which whoever opens it will say."""
    try:
        names = json.loads(content)["segments"]
    except (KeyError, TypeError, ValueError):
        return []
    return [name for name in names if isinstance(name, str) and SEGMENT.fullmatch(name)]


def _are_shards(content: bytes) -> bool:
    """Whether an index, of which `_segments` names some, can do without one."""
    return bool(json.loads(content).get("shards"))


def _tidy(bucket: Bucket, newest: str) -> None:
    """Delete older indexes, and segments that none names and nobody may be about to name."""
    files = [*bucket.files(FOLDER)]
    manifests = [file.path for file in files if MANIFEST.fullmatch(file.path.removeprefix(f"{FOLDER}/"))]
    kept = [path for path in manifests if path >= f"{FOLDER}/{newest}"]
    named = {name for path in kept for name in _segments(bucket.read(path))}
    before = datetime.now(UTC) - GRACE
    for path in manifests:
        if path not in kept:
            bucket.delete(path)
    for file in files:
        parts = file.path.split("/")
        if len(parts) == 3 and parts[1] not in named and file.modified < before:
            bucket.delete(file.path)


def _held(root: Path, segment: str) -> Path:
    """An empty file: this segment is in the bucket, too, and was sound there."""
    return root / f"{segment}.held"


def _write(path: Path, content: bytes) -> None:
    scratch = path.with_name(".committing")
    scratch.write_bytes(content)
    scratch.replace(path)
