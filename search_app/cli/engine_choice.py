"""Who reads and embeds: this process with its decoders, or Ray."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from data.sample import InputError
from encoder.loading import load_encoder
from encoder.protocol import AnyEncoder
from pipeline.batch import Engine
from pipeline.on_ray.start import ray_engine

from .options import Engine as Name
from .progress import say
from .working import check_words


@dataclass(frozen=True)
class EngineChoice:
    """What the command line says of it.

    Raises:
        InputError, QueryError: words that do not go together.
    """

    name: Name = "local"
    address: str | None = None
    gpus_per_encoder: float | None = None
    workers: int | None = None  # processes that decode, on this machine

    def __post_init__(self) -> None:
        check_words(self.name, self.address, self.workers)
        if self.name == "local" and self.gpus_per_encoder is not None:
            raise InputError("--gpus-per-encoder is for Ray: expected --engine ray with it")
        if self.gpus_per_encoder is not None and self.gpus_per_encoder < 0:
            raise InputError(
                f"--gpus-per-encoder {self.gpus_per_encoder:g}: expected 0, 1 or more, or a part"
            )

    @property
    def decoders(self) -> int:
        """Processes that decode on this machine."""
        return max(1, (os.cpu_count() or 2) - 1) if self.workers is None else self.workers

    def device_here(self, device: str) -> str:
        """Of the encoder in this process, which only says what it is where Ray's embed."""
        return device if self.name == "local" else "cpu"

    def place(self, encoder: AnyEncoder) -> object:
        """Where it embeds, in words."""
        return encoder.device if self.name == "local" else "Ray"

    @contextmanager
    def engine(self, encoder: AnyEncoder, weights: str, device: str) -> Iterator[Engine | None]:
        """Ray's engine; None for the local one, which `embed_plan` makes of the encoder.

        Raises:
            InputError, UnreachableError: see `ray_engine`.
        """
        if self.name == "local":
            yield None
            return
        weights = str(Path(weights).absolute()) if Path(weights).is_file() else weights
        with ray_engine(
            partial(load_encoder, weights, device, folder=Path.cwd()),
            encoder.info.digest,
            address=self.address,
            workers=self.decoders,
            gpus_per_encoder=0.0 if device == "cpu" else self.gpus_per_encoder,
        ) as engine:
            say(f"Ray: {engine.shares}")
            yield engine
