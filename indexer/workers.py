"""Who does the pieces of a large job: this process, others of this machine, or whoever is given.

Pieces and what is made of them travel as pickles: rows among them go packed, see `table/row_stream.py`.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, Protocol, TypeVar

from .errors import TableError

Piece = TypeVar("Piece")
Made = TypeVar("Made")

AHEAD = 2  # pieces that are done or begun before they are asked for, beyond one a worker


@dataclass(frozen=True)
class Lost:
    """What became of a piece that ends whatever process works on it."""

    reason: str


class Workers(Protocol):
    """Whoever does pieces of work."""

    def __call__(
        self, do: Callable[[Piece], Made], pieces: Sequence[Piece], /
    ) -> Iterator[tuple[Piece, Made | Lost]]:
        """Each piece with what `do` makes of it, in order. Raises what `do` raises."""
        ...


def here(do: Callable[[Piece], Made], pieces: Sequence[Piece], /) -> Iterator[tuple[Piece, Made | Lost]]:
    """`Workers`: this process, one piece after the other, each when it is asked for."""
    for piece in pieces:
        yield piece, do(piece)


@dataclass(frozen=True)
class Processes:
    """`Workers`: so many processes of this machine, which share its cores. They end with the last piece."""

    count: int

    def __call__(
        self, do: Callable[[Piece], Made], pieces: Sequence[Piece], /
    ) -> Iterator[tuple[Piece, Made | Lost]]:
        """See `Workers`. Raises `TableError` where a process was ended."""
        count = max(min(self.count, len(pieces)), 1)
        pool = ProcessPoolExecutor(count, get_context("spawn"), _share_cores, (count,))
        waiting: deque[tuple[Piece, Future[Any]]] = deque()
        try:
            for piece in pieces:
                waiting.append((piece, pool.submit(do, piece)))
                if len(waiting) > count + AHEAD:
                    first, future = waiting.popleft()
                    yield first, future.result()
            for piece, future in waiting:
                yield piece, future.result()
        except BrokenProcessPool as error:
            raise TableError(
                "a process that did a piece of the work died, most likely for want of memory: run the same "
                "command again, with fewer --workers; what is done is kept"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def whole(
    done: Iterable[tuple[Piece, Made | Lost]], named: Callable[[Piece], str]
) -> Iterator[tuple[Piece, Made]]:
    """What was made of each piece. Raises `TableError`, after the last, where any was lost."""
    lost = []
    for piece, made in done:
        if isinstance(made, Lost):
            lost.append(f"{named(piece)}: {made.reason}")
        else:
            yield piece, made
    if lost:
        others = f", and {len(lost) - 3} more" if len(lost) > 3 else ""
        raise TableError(f"{'; '.join(lost[:3])}{others}: the same command tries again what is missing")


def workers_of(given: int | Workers) -> Workers:
    """So many processes, or for 1 this one; others as they are."""
    if not isinstance(given, int):
        return given
    return here if given < 2 else Processes(given)


def _share_cores(count: int) -> None:
    """Read by the libraries that compute, none of which is loaded yet."""
    os.environ["OMP_NUM_THREADS"] = str(max((os.cpu_count() or 1) // count, 1))
