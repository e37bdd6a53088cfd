"""Pieces of any job as Ray's tasks."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import (
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    RayTaskError,
    WorkerCrashedError,
)

from indexer.workers import AHEAD, Lost, Made, Piece

from .shares import TRIES

DIED = (WorkerCrashedError, NodeDiedError, OutOfMemoryError, ObjectLostError)  # whoever did a task, each time


@dataclass(frozen=True)
class RayWorkers:
    """`Workers` of a cluster: each CPU is one. Pieces whose process or node dies are done again."""

    cpus: int

    def __str__(self) -> str:
        return f"{self.cpus} CPU{'s' if self.cpus > 1 else ''}"

    def __call__(
        self, do: Callable[[Piece], Made], pieces: Sequence[Piece], /
    ) -> Iterator[tuple[Piece, Made | Lost]]:
        """See `Workers`."""
        task = ray.remote(_done).options(num_cpus=1, max_retries=TRIES - 1)
        shared = ray.put(do)
        waiting: deque[tuple[Piece, Any]] = deque()
        for piece in pieces:
            waiting.append((piece, task.remote(shared, piece)))
            if len(waiting) > self.cpus + AHEAD:
                yield _result(*waiting.popleft())
        while waiting:
            yield _result(*waiting.popleft())


def _done(do: Callable[[Piece], Made], piece: Piece) -> Made:
    return do(piece)


def _result(piece: Piece, reference: Any) -> tuple[Piece, Any]:
    try:
        return piece, ray.get(reference)
    except DIED:
        return piece, Lost(f"each process that worked on it died, {TRIES} of them")
    except RayTaskError as error:
        raise error.cause from None
