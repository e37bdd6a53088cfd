"""One branch of pre-training: the model with the heads that the losses look through.

B samples, T dates, N grid cells, D width of the common grid, d of the embedding.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from data.modality import MODALITIES

from ..batch import Batch
from ..skysense import SkySense, cell_validity, pool
from .projection import Projection

HARMONICS = 3  # of the year, by which a date is asked for


@dataclass(frozen=True)
class Seen:
    """What a branch makes of a batch."""

    maps: dict[str, Tensor]  # (B, T, N, D) F_i by modality
    valid: dict[str, Tensor]  # (B, T, N) bool
    fused: Tensor  # (B, 1, N, d) F_fus^mm of the modalities shown
    fused_valid: Tensor  # (B, 1, N) bool
    contextual: Tensor  # (B, 1, N, d or 2d) F_fus: beside the region's prototypes, where the model holds any
    embedding: Tensor  # (B, d) what a table would store
    alone: dict[str, Tensor]  # (B, d) embedding of each modality by itself; only where there are several
    alone_valid: dict[str, Tensor]  # (B,) bool


class Branch(nn.Module):
    """A SkySense model, a projection head per modality and for the fused map, and the completion heads."""

    def __init__(self, model: SkySense, hidden: int, bottleneck: int, outputs: int) -> None:
        super().__init__()
        self.model = model
        widths = dict.fromkeys(model.config.modalities, model.config.fusion.in_width)
        widths["fused"] = model.config.fusion.width * (2 if model.config.geo.region_count else 1)
        self.heads = nn.ModuleDict({n: Projection(w, hidden, bottleneck, outputs) for n, w in widths.items()})
        asked = model.config.fusion.width + 2 * HARMONICS
        self.completion = nn.ModuleDict(
            {
                name: nn.Sequential(
                    nn.Linear(asked, hidden), nn.GELU(), nn.Linear(hidden, len(MODALITIES[name].bands))
                )
                for name in model.heads  # of series: an aerial image has no date to ask for
            }
        )

    def forward(self, batch: Batch, shown: Iterable[str]) -> Seen:
        """Encodes all modalities of a batch and fuses those shown."""
        maps = {
            n: self.model.encode(n, s.pixels, s.valid) for n, s in batch.series.items()
        }  # (B, T, D, h, w)
        valid = {name: self._valid(name, batch, maps[name]) for name in maps}  # (B, T, h, w)
        days = {name: s.day_of_year for name, s in batch.series.items()}

        def fuse(names: tuple[str, ...]) -> tuple[Tensor, Tensor]:
            fused = self.model.fuse({n: maps[n] for n in names}, days, {n: valid[n] for n in names})
            return fused, torch.cat([valid[n] for n in names], dim=1).any(dim=1)  # (B, d, h, w), (B, h, w)

        shown = tuple(shown)
        fused, cells = fuse(shown)
        alone = {n: (fused, cells) if shown == (n,) else fuse((n,)) for n in maps} if len(maps) > 1 else {}
        return Seen(
            maps={n: m.flatten(3).transpose(2, 3) for n, m in maps.items()},
            valid={n: v.flatten(2) for n, v in valid.items()},
            fused=fused.flatten(2).transpose(1, 2)[:, None],
            fused_valid=cells.flatten(1)[:, None],
            contextual=self._contextual(fused, batch).flatten(2).transpose(1, 2)[:, None],
            embedding=pool(fused, cells),
            alone={n: pool(*pair) for n, pair in alone.items()},
            alone_valid={n: c.flatten(1).any(dim=1) for n, (_, c) in alone.items()},
        )

    def _contextual(self, fused: Tensor, batch: Batch) -> Tensor:
        """(B, d, h, w) -> the same, or (B, 2d, h, w) with the geo-context."""
        return self.model.geo_context(fused, batch.h3_cell) if self.model.config.geo.region_count else fused

    def _valid(self, name: str, batch: Batch, maps: Tensor) -> Tensor:
        valid = batch.series[name].valid
        if valid is None:
            return torch.ones_like(maps[:, :, 0], dtype=torch.bool)
        config = self.model.config
        return cell_validity(valid, config.px_per_cell[name], config.min_valid_fraction)


def date_harmonics(day_of_year: Tensor) -> Tensor:
    """(B, T) -> (B, T, 2 HARMONICS): sines and cosines of the year's first harmonics."""
    angle = (
        day_of_year[..., None]
        * (2 * torch.pi / 365)
        * torch.arange(1, HARMONICS + 1, device=day_of_year.device)
    )
    return torch.cat([angle.sin(), angle.cos()], dim=-1)
