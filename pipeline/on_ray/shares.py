"""What each encoder gets of a cluster."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data.sample import InputError

from ..cores import cores

CPUS_OF_AN_ENCODER = 4  # at most, where there is no GPU; one more decodes for them
TRIES = 3  # of what kills its process

Node = Mapping[str, float]  # what it has, by Ray's names: CPU, GPU


@dataclass(frozen=True)
class Shares:
    """How many encoders a cluster takes, and what each gets of it."""

    encoders: int
    cpus: int
    gpus: float

    def __str__(self) -> str:
        kind = f"{self.gpus:g} GPU" if self.gpus else f"{self.cpus} CPU"
        return f"{self.encoders} encoder{'s' if self.encoders > 1 else ''} with {kind} each"


def own_shares(node: Node, gpus_per_encoder: float | None) -> Shares:
    """Of a Ray of our own: its encoders share the machine's cores, decoders come on top."""
    share = shares_of([node], gpus_per_encoder)
    encoders = share.encoders if share.gpus else 1
    return Shares(encoders, max(1, cores() // encoders), share.gpus)


def shares_of(nodes: Sequence[Node], gpus_per_encoder: float | None) -> Shares:
    """An encoder for every `gpus_per_encoder` of a node, or without GPUs one for each few of its CPUs.

    Raises:
        InputError: there is room for none, or none to decode.
    """
    cpus = [int(node.get("CPU", 0)) for node in nodes]
    gpus = sum(node.get("GPU", 0.0) for node in nodes)
    has = f"Ray has {sum(cpus)} CPUs and {gpus:g} GPUs on {len(nodes)} nodes"
    wanted = (1.0 if gpus else 0.0) if gpus_per_encoder is None else gpus_per_encoder
    if wanted:
        encoders = sum(int(node.get("GPU", 0.0) / wanted) for node in nodes)
        share = Shares(encoders, 1, wanted)
    else:
        each = max(1, min(CPUS_OF_AN_ENCODER, max(cpus) - 1))
        share = Shares(max(1, sum(n // (each + 1) for n in cpus)), each, 0.0)
    if not share.encoders:
        raise InputError(
            f"no encoder finds the {wanted:g} GPUs that it asks for: {has}; try --gpus-per-encoder"
        )
    if sum(cpus) <= share.encoders * share.cpus:
        raise InputError(f"no CPU is left to decode for {share}: {has}; add a node")
    return share


def cpus_of_holders(nodes: Sequence[Node], count: int) -> int:
    """Of each of so many actors of one size that hold shards, as many as are to be had.

    Raises:
        InputError: there is no room for so many.
    """
    cpus = [int(node.get("CPU", 0)) for node in nodes]
    each = sum(cpus) // count
    while each and sum(n // each for n in cpus) < count:
        each -= 1
    if not each:
        raise InputError(f"{count} processes are to hold shards, and Ray has {sum(cpus)} CPUs: ask for fewer")
    return each
