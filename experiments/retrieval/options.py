"""What every `skyhex eval` command is told, and the encoders it compares."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from data.sample import InputError, SampleSpec
from encoder.checkpoint import weights_info
from encoder.config import SkySenseConfig, TextureConfig, preset
from encoder.embed import Encoder
from encoder.initialise import initialise
from encoder.loading import load_encoder
from encoder.protocol import AnyEncoder
from encoder.skysense import SkySense
from encoder.training.pretrain import TrainConfig, fix_positions, start_dates

from .series_sets import SensorRules

PROTOCOLS = ("all", "zero-shot", "probes", "cross-modal", "leakage", "compression")
COMPARE_PROTOCOLS = ("all", "neighbours", "zero-shot", "probes")
PROTOTYPE_PROTOCOLS = ("all", "agreement", "stability", "gain")
UNTRAINED_SEEDS = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Options:
    """Choices of one run. They are printed with its results."""

    command: str = "skyhex eval"
    weights: str = "nano"
    device: str = "auto"
    split: str = "validation"  # "test" for the final table alone
    hold_out: str = "blocks"  # or "country": each country is asked for among all others
    seed: int = 0
    rules: SensorRules = field(default_factory=SensorRules)
    protocol: str = "all"
    protocols: tuple[str, ...] = PROTOCOLS  # that the command knows
    max_queries: int = 1500
    max_database: int = 4000
    max_dates: int | None = None  # of each sensor; all if None
    untrained_seeds: tuple[int, ...] = UNTRAINED_SEEDS

    def __post_init__(self) -> None:
        if self.protocol not in self.protocols:
            expected = ", ".join(self.protocols)
            raise InputError(f"--protocol came as {self.protocol!r}; expected one of {expected}.")
        if self.split not in ("validation", "test"):
            raise InputError(f"--split came as {self.split!r}; expected validation or test.")
        if self.hold_out not in ("blocks", "country"):
            raise InputError(f"--hold-out came as {self.hold_out!r}; expected blocks or country.")

    @property
    def settings(self) -> dict[str, Any]:
        """All choices that decide a number, but for the weights: those are known by their digest."""
        unsaid = ("command", "weights", "device", "rules", "protocols")
        return {k: v for k, v in asdict(self).items() if k not in unsaid} | asdict(self.rules)

    def wants(self, protocol: str) -> bool:
        """Whether a part of the work was asked for."""
        return protocol in self.protocols and self.protocol in ("all", protocol)


@dataclass(frozen=True)
class Encoders:
    """The encoder in question, and, of ours, the same architecture before any training, several times."""

    ours: SkySense | AnyEncoder
    untrained: tuple[SkySense, ...]
    info: dict[str, Any]
    spec: SampleSpec

    @property
    def frozen(self) -> tuple[AnyEncoder, ...]:
        """Ours and the untrained ones, as samples are embedded in a job."""
        return tuple(
            Encoder.of(m, weights_info(m, "", trained=False, licence="")) if isinstance(m, SkySense) else m
            for m in (self.ours, *self.untrained)
        )

    @classmethod
    def load(cls, options: Options) -> "Encoders":
        """Raises CheckpointError when the weights cannot be used."""
        encoder = load_encoder(options.weights, options.device)
        info = encoder.info
        about = {
            "name": info.name,
            "digest": info.digest,
            "trained": info.trained,
            "dimension": info.dimension,
        }
        if not isinstance(encoder, Encoder):
            return cls(encoder, (), about, encoder.spec)  # nobody knows what it was before its training
        config, seeds = encoder.model.config, options.untrained_seeds
        untrained = (untrained_model(config, seed).to(encoder.device) for seed in seeds)
        return cls(encoder.model, tuple(untrained), about, encoder.spec)


def untrained_model(config: SkySenseConfig, seed: int) -> SkySense:
    """The state that training starts from, positions and dates too: a gain is then the training's own.

    What is fitted without training, the geometry and colours and textures, has no such state: the size's own
    Swin and fusion stand for it.
    """
    if config.geometry:
        hr = preset("nano").hr if isinstance(config.hr, TextureConfig) else config.hr
        config = replace(config, geometry=None, hr=hr)
    model = SkySense(config)
    initialise(model, seed)
    fix_positions(model, TrainConfig.learn_position)
    start_dates(model, TrainConfig.date_amplitude, seed)
    return model.eval()


def capped(mask: np.ndarray, at_most: int, seed: int) -> np.ndarray:
    """At most `at_most` of the True entries, drawn at random: (n,) bool -> (n,) bool."""
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(mask))[:at_most]
    out = np.zeros_like(mask)
    out[rows] = True
    return out
