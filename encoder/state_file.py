"""The state of a training run on disk: written whole, and with its digest behind it.

PyTorch reads the file as any other. Its own format compares no checksum, so a byte that changed would be
another state.
"""

import hashlib
import os
import warnings
from pathlib import Path
from typing import Any

import torch

from .checkpoint import CheckpointError, read_torch

SEAL = b"skyhex-sha256:"  # in front of the digest of all before it, in hexadecimal
SEAL_BYTES = len(SEAL) + 64


def save_state(state: dict[str, Any], path: Path) -> None:
    """Replace the file at once; it is on the disk before it takes its name."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    with partial.open("r+b") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0, os.SEEK_END)
        file.write(SEAL + digest.encode())
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def load_state(path: Path) -> dict[str, Any]:
    """What `save_state` wrote. A file without a digest is read with a warning: earlier versions wrote none.

    Raises:
        CheckpointError: no such file, it holds pickled code, or it is not what was written.
    """
    if not path.is_file():
        raise CheckpointError(f"no file at {path}")
    digest, seal = _digest_and_seal(path)
    if not seal.startswith(SEAL):
        warnings.warn(f"{path} holds no digest: nobody knows whether it is as it was written", stacklevel=2)
    elif seal != SEAL + digest.encode():
        raise CheckpointError(f"{path} is damaged: its digest is not that of its content; use an earlier one")
    state = read_torch(path)
    if not isinstance(state, dict):
        raise CheckpointError(f"{path} holds no state of a training run, but a {type(state).__name__}")
    return state


def _digest_and_seal(path: Path) -> tuple[str, bytes]:
    """SHA-256 of all but the end of a file, and its end."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        left = max(os.fstat(file.fileno()).st_size - SEAL_BYTES, 0)
        while piece := file.read(min(left, 1 << 24)):
            sha.update(piece)
            left -= len(piece)
        return sha.hexdigest(), file.read()
