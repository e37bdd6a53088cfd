"""Engine and workers on Ray, from a Ray that is there or one that is begun for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from data.sample import InputError
from indexer.index.crew import Crew, check_numbers

from ..cores import cores
from .cluster import joined, living, own
from .shares import Node, cpus_of_holders, own_shares, shares_of

if TYPE_CHECKING:  # whoever embeds has torch, others do without
    from encoder.protocol import AnyEncoder

    from .engine import RayEngine
    from .workers import RayWorkers


@contextmanager
def begun(address: str | None, cpus: int) -> Iterator[list[Node]]:
    """What the nodes of a Ray have: of one of its own with so many CPUs, or of one that runs.

    Raises:
        InputError: Ray is not installed.
        UnreachableError: no head answers, or it has other versions.
    """
    if find_spec("ray") is None:
        raise InputError("--engine ray needs Ray: pip install 'skyhex[ray]', or leave --engine out")
    with own(cpus) if address is None else joined(address) as nodes:
        yield nodes


@contextmanager
def ray_workers(address: str | None = None, count: int | None = None) -> Iterator[RayWorkers]:
    """Yield `Workers` whose pieces are tasks of a Ray, see `begun`.

    Args:
        count: of them, in a Ray of its own, one a core by default; elsewhere each CPU is one.
    """
    with begun(address, count or cores()) as nodes:
        from .workers import RayWorkers

        yield RayWorkers(sum(int(node.get("CPU", 0)) for node in nodes))


@contextmanager
def ray_crew(address: str | None, workers: int | None, limit_s: float | None) -> Iterator[Crew]:
    """Yield a crew of actors, see `begun`, which have the CPUs between them.

    Args:
        workers: of them; by default one a node, or on a Ray of its own one a core.
        limit_s: see `Crew`.

    Raises:
        QueryError: numbers that are none.
        InputError: more actors than CPUs.
    """
    check_numbers(workers, limit_s)
    with begun(address, max(workers or 1, cores())) as nodes:
        from .holder import RayHolder

        count = workers or (cores() if address is None else len(nodes))
        with Crew(count, limit_s, partial(RayHolder, cpus_of_holders(nodes, count))) as crew:
            yield crew


@contextmanager
def ray_engine(
    make_encoder: Callable[[], AnyEncoder],
    digest: str,
    *,
    address: str | None = None,
    workers: int = 1,
    gpus_per_encoder: float | None = None,
) -> Iterator[RayEngine]:
    """Yield an engine on Ray.

    Args:
        make_encoder: called in each encoder's process; what it needs of files must lie there, too.
        digest: of the weights that it must find.
        address: `auto` or HOST[:PORT] of a head that is there, this machine being one of its nodes. None
            starts a Ray of its own on this machine, and ends it.
        workers: processes that decode, in a Ray of its own; elsewhere all CPUs that encoders leave.
        gpus_per_encoder: 0 for none, parts of one are allowed; by default 1 where there are any.

    Raises:
        InputError: Ray is not installed, or cannot place an encoder.
        UnreachableError: no head answers, or it has other versions.
    """
    # As the local engine: the encoder has all cores, decoders come on top.
    with begun(address, cores() + max(1, workers)) as nodes:
        from .engine import RayEngine

        if address is None:
            shares = own_shares(nodes[0], gpus_per_encoder)
            yield RayEngine(make_encoder, digest, shares, room=lambda: shares.encoders)
        else:
            yield RayEngine(
                make_encoder,
                digest,
                shares_of(nodes, gpus_per_encoder),
                room=lambda: shares_of(living(), gpus_per_encoder).encoders,
            )
