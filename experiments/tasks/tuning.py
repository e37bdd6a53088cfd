"""Fine-tuning: a head trained by steps on the frozen encoder, or the encoder with it.

Tiles are turned, mirrored and shown in another light and with other dates at each step. The weights kept
are those of the least loss on held-out blocks of what is fitted on; no asked tile is looked at before the
end. The encoder that is given stays as it is: what learns is a copy.
"""

import copy
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from data.modality import MODALITIES
from data.sample import ImageSeries, InputError, Sample
from encoder.batch import collate, largest_grid, window_shape
from encoder.embed import Encoder
from encoder.protocol import AnyEncoder
from encoder.skysense import SkySense
from encoder.training.augment import AugmentConfig, Window, disturbed, other_light
from encoder.training.supervised import Budget, Fit, groups_at
from encoder.vit import ViT

from ..datasets.scene import Boxes, Truth
from ..retrieval.protocols import inner_validation
from .features import AT_A_TIME
from .judges import Judge, Table
from .question import Asked, block_of
from .tiles import Tile
from .trained_heads import Head, Shown, head_of

PARTS = ("head", "all")
ENCODER_RATE = 0.1  # of the head's learning rate
DATES_KEPT = 2 / 3  # of a series, at each step
AUGMENT = AugmentConfig()
TUNING = Budget(seconds=300.0, batch=8, rate=2e-3)
LEAST_SPREAD = 1e-6


@dataclass(frozen=True)
class Tuning:
    """What is tuned, and what it may cost."""

    parts: str  # "head" or "all"
    budget: Budget = TUNING
    folder: Path | None = None  # of states, which a stopped run goes on from

    def __post_init__(self) -> None:
        if self.parts not in PARTS:
            raise InputError(f"--tune came as {self.parts!r}; expected one of {', '.join(PARTS)}.")

    def note(self, asked: Asked) -> str:
        """For the table: what learned, on how much, and which weights were kept."""
        what = "head alone" if self.parts == "head" else f"head, and encoder at {ENCODER_RATE:g} of its rate"
        kept = "the last weights, for want of blocks to hold out"
        if held := int(inner_validation(asked.train_block).sum()):
            kept = f"the weights of the least loss on {held} held-out tiles to fit on"
        return f"tuned: {what}, {self.budget.words} a row, {kept}"


class Tuned(nn.Module):
    """A head on an encoder's maps; the encoder is a part of it where it learns, too."""

    mean: Tensor  # (d, 1, 1) of the maps
    spread: Tensor

    def __init__(self, encoder: AnyEncoder, head: nn.Module, scale: tuple[Tensor, Tensor], *, learns: bool):
        super().__init__()
        self.frozen = None if learns else encoder
        self.model = copy.deepcopy(encoder.model) if learns and isinstance(encoder, Encoder) else None
        self.head = head
        self.register_buffer("mean", scale[0][:, None, None])
        self.register_buffer("spread", scale[1][:, None, None])
        if self.model is not None:
            _let_learn(self.model)

    def forward(self, tiles: Sequence[Tile]) -> Tensor:
        """What the head gives for B tiles."""
        return cast(Tensor, self.head(*self.shown(tiles)))

    def shown(self, tiles: Sequence[Tile]) -> Shown:
        """Standardised maps of each view, and where data is."""
        made = [self._maps(samples) for samples in by_view(tiles)]
        return [torch.where(s[:, None], (m - self.mean) / self.spread, 0) for m, s in made], [
            s for _, s in made
        ]

    def _maps(self, samples: Sequence[Sample]) -> tuple[Tensor, Tensor]:
        if self.frozen is not None:
            return frozen_maps(self.frozen, samples, self.mean.device)
        assert self.model is not None
        return model_maps(self.model, samples)


def by_view(tiles: Sequence[Tile]) -> list[list[Sample]]:
    """Samples of the first view, then of the second."""
    return [list(samples) for samples in zip(*(tile.samples for tile in tiles), strict=True)]


def _let_learn(model: SkySense) -> None:
    """Everything but patch positions that never were learned: they stay zero."""
    model.requires_grad_(True)
    for encoder in model.encoders.values():
        if isinstance(encoder, ViT) and not encoder.position.any():
            encoder.position.requires_grad_(False)


def frozen_maps(
    encoder: AnyEncoder, samples: Sequence[Sample], device: torch.device
) -> tuple[Tensor, Tensor]:
    """(B, d, h, w) and where data is: (B, h, w)."""
    dense = encoder.embed(samples, dense=True).dense
    if dense is None:
        raise InputError(f"{encoder.info.name} gives no dense map; tuning needs one.")
    maps = torch.from_numpy(dense).to(device)
    seen = torch.isfinite(maps).all(dim=1)
    return torch.where(seen[:, None], maps, 0), seen


def model_maps(model: SkySense, samples: Sequence[Sample]) -> tuple[Tensor, Tensor]:
    """The same with gradients."""
    config, device = model.config, next(model.parameters()).device
    shapes = [window_shape(sample, config.window_cells, config.up_scale) for sample in samples]
    largest = (max(h for h, _ in shapes), max(w for _, w in shapes))
    batch = collate(samples, config.px_per_cell, largest).to(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        made = model.embed(batch, by_modality=False)
    h, w = largest_grid(samples)
    return made.fused[:, :, :h, :w].float(), made.cell_valid[:, :h, :w]


def check_tunable(encoder: AnyEncoder, tuning: Tuning) -> None:
    """Raises InputError where the encoder has no weights of ours that could learn."""
    if tuning.parts == "all" and not isinstance(encoder, Encoder):
        raise InputError(
            f"{encoder.info.name} came to --tune all; expected weights of this project's own. "
            "Of others the head can be tuned: --tune head."
        )


def tuned(encoder: AnyEncoder, asked: Asked, judge: Judge, tuning: Tuning, seed: int, name: str) -> Table:
    """Train on the tiles to fit on and score those asked.

    Args:
        name: of the row: with the question it names the file of the state.

    Raises:
        InputError: the encoder has no weights that could learn, or no dense map.
    """
    check_tunable(encoder, tuning)
    learns = tuning.parts == "all"
    head, held = head_of(judge), inner_validation(asked.train_block)
    fit_on = [tile for tile, out in zip(asked.train, held, strict=True) if not out]
    checked = [tile for tile, out in zip(asked.train, held, strict=True) if out]
    model = _module(encoder, head, fit_on, learns, seed)
    groups = groups_at(model.head, 1.0, tuning.budget.weight_decay)
    if model.model is not None:
        groups += groups_at(model.model, ENCODER_RATE, tuning.budget.weight_decay)

    def loss_of(rng: np.random.Generator) -> Tensor:
        rows = rng.choice(len(fit_on), size=min(tuning.budget.batch, len(fit_on)), replace=False)
        shown = [augmented(fit_on[row], rng) for row in rows]
        return head.loss(model(shown), [tile.truth for tile in shown])

    def check() -> float:
        return float(head.loss(_given(model, checked, tuning.budget.batch), [t.truth for t in checked]))

    path = _state_path(encoder, asked, tuning, seed, name)
    fit = Fit(model.train(), tuning.budget, path, groups=groups, check=check if checked else None)
    fit.run(loss_of, seed)
    with torch.no_grad():
        chosen = checked or fit_on
        given, known = (_given(model, tiles, tuning.budget.batch) for tiles in (asked.test, chosen))
    return head.scored(given, known, [tile.truth for tile in chosen])


def _module(encoder: AnyEncoder, head: Head, tiles: Sequence[Tile], learns: bool, seed: int) -> Tuned:
    """Seeded; maps are standardised by these tiles, and the head starts as a linear one fitted on them."""
    device = encoder.device if isinstance(encoder.device, torch.device) else torch.device("cpu")
    parts = [tiles[i : i + AT_A_TIME] for i in range(0, len(tiles), AT_A_TIME)]
    made = [frozen_maps(encoder, samples, device) for part in parts for samples in by_view(part)]
    squares = torch.cat([maps.permute(0, 2, 3, 1)[seen] for maps, seen in made])  # (N, d)
    spread = squares.std(dim=0, correction=0)
    scale = squares.mean(dim=0), torch.where(spread > LEAST_SPREAD, spread, 1.0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Tuned(encoder, head.module(squares.shape[1]), scale, learns=learns).to(device)
    block = np.array([block_of(tile) for tile in tiles])
    with torch.no_grad():
        head.start(model.head, [model.eval().shown(part) for part in parts], [t.truth for t in tiles], block)
    return model


def _given(model: Tuned, tiles: Sequence[Tile], at_a_time: int) -> Tensor:
    """What the head gives, tile by tile, on the CPU."""
    parts = [model(tiles[i : i + at_a_time]).float().cpu() for i in range(0, len(tiles), at_a_time)]
    return torch.cat(parts)


def _state_path(encoder: AnyEncoder, asked: Asked, tuning: Tuning, seed: int, name: str) -> Path | None:
    """Named by all that decides a run, so that no other is gone on with."""
    if tuning.folder is None:
        return None
    tiles = [tile.samples[0].sample_id for tile in (*asked.train, *asked.test)]
    told = [name, encoder.info.digest, tuning.parts, asdict(tuning.budget), seed, tiles]
    key = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]
    return tuning.folder / f"{asked.name}-{key}.pt"


def augmented(tile: Tile, rng: np.random.Generator) -> Tile:
    """The tile as it might also have been: turned, mirrored, in another light, on some of its dates."""
    squares = tile.samples[0].grid_shape
    window = Window.drawn(squares, rng, max(squares))
    side_px = max(series.valid.shape[-1] for series in tile.samples[0].series.values())
    samples = tuple(_relit(window.of_sample(sample), rng) for sample in tile.samples)
    return replace(tile, samples=samples, truth=turned(tile.truth, window, side_px))


def turned(truth: Truth, window: Window, side_px: int) -> Truth:
    """The truth of a whole tile under a window that turns it."""
    if isinstance(truth, np.ndarray):
        return truth if truth.dtype == bool else window.of(truth, truth.shape[-1] // window.shape[1]).copy()
    x, y = truth.corners[..., 0], truth.corners[..., 1]
    for _ in range(window.turns):
        x, y = y, side_px - x
    x = side_px - x if window.mirrored else x
    return Boxes(np.stack([x, y], axis=-1), truth.code, truth.difficult)


def _relit(sample: Sample, rng: np.random.Generator) -> Sample:
    """Dates without a valid pixel are never drawn."""
    series = {}
    for name, s in sample.series.items():
        usable = np.flatnonzero(s.valid.any(axis=(1, 2)))
        if not len(usable):
            continue
        kept = np.sort(rng.permutation(usable)[: max(1, round(len(usable) * DATES_KEPT))])
        lit = other_light(s.pixels[kept], rng, AUGMENT.gain(name), AUGMENT.offset(name))
        days = disturbed(s.day_of_year[kept], rng, AUGMENT.date_jitter_days)
        series[name] = ImageSeries(
            pixels=_as(lit, MODALITIES[name].dtype),
            valid=s.valid[kept].copy(),
            day_of_year=days.astype(s.day_of_year.dtype),
            source_items=tuple(s.source_items[i] for i in kept),
        )
    return replace(sample, series=series)


def _as(pixels: np.ndarray, dtype: str) -> np.ndarray:
    """In the modality's dtype, within what it can hold."""
    if np.dtype(dtype).kind == "f":
        return pixels.astype(dtype)
    info = np.iinfo(dtype)
    return np.asarray(np.clip(np.rint(pixels), info.min, info.max).astype(dtype))
