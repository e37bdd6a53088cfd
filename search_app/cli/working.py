"""Who does the pieces of a command's work: processes of this machine, or Ray."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from indexer.errors import QueryError

from .options import Engine

if TYPE_CHECKING:
    from indexer.workers import Workers


@contextmanager
def working(engine: Engine, address: str | None, workers: int | None) -> Iterator["int | Workers | None"]:
    """Ray's workers; locally how many processes were asked for.

    Raises:
        QueryError: words that do not go together.
        InputError, UnreachableError: see `begun`.
    """
    check_words(engine, address, workers)
    if engine == "local":
        yield workers
        return
    from pipeline.on_ray.start import ray_workers

    from .progress import say

    with ray_workers(address, workers) as who:
        say(f"Ray: {who}")
        yield who


def check_words(engine: Engine, address: str | None, workers: int | None) -> None:
    """Raises `QueryError` for words that do not go together."""
    if engine == "local" and address is not None:
        raise QueryError("--address is of a Ray: expected --engine ray with it")
    if address is not None and workers is not None:
        raise QueryError("--workers is for this machine; with --address all CPUs work: leave one out")
