"""A device of torch as a place for vectors: whether it is there, its memory, how vectors come into it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from indexer.errors import QueryError

from .scan import HeldVectors, enough_memory

NAMES = re.compile(r"cpu|cuda(:\d+)?")
DTYPES = {"float16": torch.float16, "float32": torch.float32}
STAGED_ROWS = 1 << 18  # brought over at a time
WORKING_BYTES = {"cuda": 3 << 30, "cpu": 1 << 28}  # that a search takes besides the vectors, at most


class TorchDevice:
    """Memory that holds vectors, and what compares them there.

    Args:
        name: cpu, cuda or cuda:N.

    Raises:
        QueryError: there is no such device.
    """

    def __init__(self, name: str) -> None:
        if not NAMES.fullmatch(name):
            raise QueryError(f"device {name!r}: expected cpu, cuda, or cuda:N for one of several")
        if name != "cpu" and not torch.cuda.is_available():
            raise QueryError(
                f"device {name!r}: torch {torch.__version__} finds no CUDA device; leave the device out, or "
                "install a torch with CUDA on a machine that has one"
            )
        self._device = torch.device(name)
        if (self._device.index or 0) >= max(torch.cuda.device_count(), 1):
            raise QueryError(f"device {name!r}: there are {torch.cuda.device_count()}, counted from cuda:0")
        self.name = name

    @property
    def free_bytes(self) -> int:
        """Memory that vectors can take, with room left for searching them."""
        if self._device.type == "cuda":
            cached = torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(self._device)
            free = torch.cuda.mem_get_info(self._device)[0] + cached
        else:
            free = _available_bytes()
        return max(free - WORKING_BYTES[self._device.type], 0)

    def hold(self, matrix: NDArray[Any], inverse_norms: NDArray[np.float32]) -> HeldVectors:
        """Copy vectors (n, d) and inverse norms (n,) there. Raises `QueryError` where they do not fit."""
        with enough_memory(self.name):
            vectors = torch.empty(matrix.shape, dtype=DTYPES[matrix.dtype.name], device=self._device)
            inverse = torch.empty(len(matrix), device=self._device)
            for first in range(0, len(matrix), STAGED_ROWS):
                some = slice(first, first + STAGED_ROWS)
                inverse[some] = torch.from_numpy(inverse_norms[some].copy())
                vectors[some] = torch.from_numpy(matrix[some].copy())
                vectors[some][inverse[some] == 0] = 0
            return HeldVectors(vectors, inverse)


def _available_bytes() -> int:
    """Of this machine's memory, what programs can have without any being moved to a disk."""
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
