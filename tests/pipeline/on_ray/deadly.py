"""What the processes of Ray are given to do in a test: they find it here by its name."""

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from data.cover import SampleTask
from data.sample import Sample, SampleSpec
from encoder.embed import EmbeddingBatch
from encoder.loading import load_encoder
from encoder.protocol import AnyEncoder
from indexer.errors import QueryError
from indexer.index import shards
from pipeline.on_ray.decode import Piece, read_piece


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def reader(folder: Path, deadly: Sequence[str] = ()) -> Callable[[Sequence[SampleTask], SampleSpec], Piece]:
    """Reads as ever, and keeps count of it in a folder; its process dies of some samples."""

    def read(tasks: Sequence[SampleTask], spec: SampleSpec) -> Piece:
        names = [task.sample_id for task in tasks]
        (folder / f"{names[0]}-{len(names)}-{os.getpid()}").touch()
        if set(names) & set(deadly):
            die()
        return read_piece(tasks, spec)

    return read


class Deadly:
    """An encoder whose process dies of some samples."""

    def __init__(self, encoder: AnyEncoder, deadly: Sequence[str]) -> None:
        self.encoder, self.deadly = encoder, deadly
        self.info, self.spec, self.device = encoder.info, encoder.spec, encoder.device

    def embed(self, samples: Sequence[Sample], dense: bool = False) -> EmbeddingBatch:
        if {sample.sample_id for sample in samples} & set(self.deadly):
            die()
        return self.encoder.embed(samples, dense)


def deadly(weights: str, *names: str) -> Deadly:
    return Deadly(load_encoder(weights), names)


def stillborn(weights: str) -> AnyEncoder:
    die()
    return load_encoder(weights)


def telling(weights: str, path: Path) -> AnyEncoder:
    """An encoder that writes down the threads it has."""
    encoder = load_encoder(weights)
    path.write_text(f"{torch.get_num_threads()} {os.environ['OMP_WAIT_POLICY']}")
    return encoder


def counted(folder: Path, bad: int, number: int) -> int:
    """A square, whose process dies of one number; who tried is kept in a folder."""
    (folder / f"{number}-{os.getpid()}").touch()
    if number == bad:
        die()
    return number**2


def refusing(number: int) -> int:
    raise QueryError("no such piece")


write_shard = shards._write


def but_the_second(*given: Any) -> Path:
    """Writes a shard, but of the second its process dies."""
    number, _ = given[-1]
    if number == 1:
        die()
    return write_shard(*given)
