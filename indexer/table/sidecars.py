"""Files made from a snapshot's rows, such as prototypes: kept beside the parts, named by the manifest."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from ..errors import TableError
from .manifest import Sidecar, SidecarFile, is_whole
from .storage import Storage


def put(storage: Storage, kind: str, files: Mapping[str, bytes | Path]) -> tuple[SidecarFile, ...]:
    """Store content or local files by name; the stored names hold their digest, so nothing is replaced."""
    return tuple(_put(storage, kind, name, content) for name, content in files.items())


def find(storage: Storage, kind: str, sidecar: Sidecar | None, name: str) -> SidecarFile:
    """The file of that name. Raises TableError if there is none."""
    for file in sidecar.files if sidecar else ():
        if file.name == name:
            return file
    raise TableError(f"{storage.root} has no {kind} file {name} in this snapshot")


def read(storage: Storage, kind: str, file: SidecarFile) -> bytes:
    """A file's content, its digest checked. Raises TableError."""
    content = storage.read(file.path)
    if not is_whole(file, content):
        raise TableError(f"{storage.locate(file.path)} is damaged: make the {kind} again")
    return content


def _put(storage: Storage, kind: str, name: str, content: bytes | Path) -> SidecarFile:
    data = content if isinstance(content, bytes) else content.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    stem, dot, suffix = name.partition(".")
    path = f"sidecars/{kind}/{stem}-{digest[:16]}{dot}{suffix}"
    storage.put(path, data)
    return SidecarFile(name, path, digest)
