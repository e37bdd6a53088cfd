"""Who searches an index, from what a face was told: a device, processes for its shards, or nobody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

from indexer.errors import QueryError
from indexer.index.crew import Searcher, crew_of
from indexer.index.on_device import OnDevice


@contextmanager
def searcher_of(
    device: str | None,
    shard_workers: int | None = None,
    shard_limit_s: float | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Iterator[Searcher | None]:
    """A device's, see `OnDevice`, or a crew of processes; None where neither is asked for.

    Raises:
        QueryError: both are asked for, there is no such device, or numbers that are none.
    """
    if device is None:
        with crew_of(shard_workers, shard_limit_s) as crew:
            yield crew
        return
    if (shard_workers, shard_limit_s) != (None, None):
        raise QueryError(
            f"device {device!r} searches all shards itself: leave --shard-workers and --shard-limit out"
        )
    yield on_device(device, say)


def on_device(device: str, say: Callable[[str], None] = lambda text: None) -> OnDevice:
    """What searches on a device, whose vectors it keeps. Raises `QueryError`: there is no such device."""
    from .device import TorchDevice  # torch is loaded by who asks for it

    return OnDevice(TorchDevice(device), say)


kept_on_device = lru_cache(on_device)  # for a program that searches again and again
