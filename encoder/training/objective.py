"""L = alpha L_MGCL + beta L_align (paper, section 3.4), and three of ours: completion, place, spread."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..batch import Batch, SeriesBatch
from ..precision import wide
from .branch import Branch, Seen, date_harmonics
from .losses import (
    View,
    alignment_loss,
    completion_loss,
    fine_grained_loss,
    image_loss,
    info_nce_loss,
    multi_granularity_loss,
    spread_loss,
)
from .parallel import gathered
from .teacher import Centring

PLACE_TEMPERATURE = 0.1  # of the place contrast


@dataclass(frozen=True)
class ObjectiveConfig:
    """Weights of the losses. The paper publishes none."""

    alpha: float = 1.0  # of L_MGCL
    beta: float = 1.0  # of L_align
    levels: Literal["all", "image"] = "all"  # of L_FGCL; "image" leaves pixel and object out (ablation)
    completion: float = 0.0  # of the prediction of other dates' pixels (ours)
    place: float = 0.0  # of InfoNCE between the two views' embeddings (ours)
    spread: float = 0.0  # of VICReg's terms on each sensor's own embeddings (ours)


class Observed(NamedTuple):
    """What diagnostics and prototypes need of the student, without gradients."""

    embedding: Tensor  # (B, d)
    fused: Tensor  # (B, N, d)
    valid: Tensor  # (B, N) bool


def observed(seen: Seen) -> Observed:
    """The part of a branch's output that outlives the step."""
    return Observed(seen.embedding.detach(), seen.fused[:, 0].detach(), seen.fused_valid[:, 0])


def objective(
    student: Branch,
    teacher: Branch,
    centring: Centring,
    pair: tuple[Batch, Batch],
    shown: tuple[tuple[str, ...], tuple[str, ...]],
    config: ObjectiveConfig,
    *,
    teacher_temperature: float,
    same_window: bool = True,
) -> tuple[dict[str, Tensor], Observed]:
    """The losses of one step by name, unweighted, and what the student made of the first view.

    Each view goes through both branches; the student of one is compared with the teacher of the other.

    Args:
        student, teacher: The branches.
        centring: State of the teacher's centres.
        pair: Two views of the same places, with the same modalities and numbers of dates.
        shown: Modalities that the student fuses of each view; the teacher fuses all.
        config: Weights and levels.
        teacher_temperature: Divides the teacher's centred scores.
        same_window: Whether cells of the two views correspond.
    """
    seen = [student(batch, names) for batch, names in zip(pair, shown, strict=True)]
    with torch.no_grad():
        targets = [teacher(batch, tuple(batch.series)) for batch in pair]
    level = fine_grained_loss if config.levels == "all" and same_window else image_loss
    losses: dict[str, list[Tensor]] = {}
    for i, j in ((0, 1), (1, 0)):
        if config.alpha:
            other = {
                name: replace(view, head=centring.head(name, view.head, teacher_temperature))
                for name, view in views(teacher, targets[j]).items()
            }
            own = views(student, seen[i])
            losses.setdefault("mgcl", []).append(multi_granularity_loss(own, other, level))
        if config.place:
            losses.setdefault("place", []).append(_place_contrast(seen[i], targets[j], same_window))
        if config.completion and same_window:
            losses.setdefault("completion", []).extend(_completion(student, seen[i], pair[j]))
        if config.beta and seen[i].alone:
            losses.setdefault("align", []).append(_alignment(seen[i]))
        if config.spread:
            losses.setdefault("spread", []).append(_spread(seen[i]))
    return {name: torch.stack(values).mean() for name, values in losses.items() if values}, observed(seen[0])


def views(branch: Branch, seen: Seen) -> dict[str, View]:
    """What the contrastive losses compare: F_i of each modality and F_fus."""
    own = {name: View(m, seen.valid[name], branch.heads[name]) for name, m in seen.maps.items()}
    return own | {"fused": View(seen.contextual, seen.fused_valid, branch.heads["fused"])}


def _place_contrast(seen: Seen, target: Seen, same_window: bool) -> Tensor:
    """InfoNCE over the fused cells of all places, so that a cell must be told from its neighbours too (ours).

    Where cells do not correspond, over the embeddings.
    """
    if not same_window:
        return info_nce_loss(gathered(seen.embedding), gathered(target.embedding), PLACE_TEMPERATURE)
    both = gathered(seen.fused_valid & target.fused_valid)  # (B, 1, N)
    return info_nce_loss(gathered(seen.fused)[both], gathered(target.fused)[both], PLACE_TEMPERATURE)


def _alignment(seen: Seen) -> Tensor:
    """L_align over the places that have all modalities of the batch."""
    complete = gathered(torch.stack(list(seen.alone_valid.values())).all(dim=0))  # (B,)
    vectors = {name: gathered(vector)[complete] for name, vector in seen.alone.items()}
    if complete.sum() < 2:
        return sum(vector.sum() * 0 for vector in vectors.values())  # type: ignore[return-value]
    return alignment_loss(vectors, vectors)


def _spread(seen: Seen) -> Tensor:
    """Each sensor alone, over the places that it saw; where there is one sensor, the embedding."""
    if not seen.alone:
        return spread_loss(gathered(seen.embedding))
    alone = [gathered(v)[gathered(seen.alone_valid[name])] for name, v in seen.alone.items()]
    return torch.stack([spread_loss(vectors) for vectors in alone]).mean()


def _completion(student: Branch, seen: Seen, other: Batch) -> list[Tensor]:
    """One loss per modality of the other view, asked of the student's fused cells."""
    cells = F.normalize(wide(seen.fused), dim=-1)  # (B, 1, N, d): a table stores directions alone
    return [
        completion_loss(
            _asked(cells, seen.fused_valid, series.day_of_year, student.completion[name]),
            band_values(series, student.model.config.px_per_cell[name]),
        )
        for name, series in other.series.items()
        if name in student.completion
    ]


def _asked(cells: Tensor, valid: Tensor, day_of_year: Tensor, head: torch.nn.Module) -> View:
    """Fused cells (B, 1, N, d) beside each date (B, T): features (B, T, N, d + 2 HARMONICS).

    Unknown dates are masked.
    """
    b, dates = day_of_year.shape
    n = cells.shape[2]
    harmonics = date_harmonics(day_of_year)[:, :, None].expand(-1, -1, n, -1)
    features = torch.cat([cells.expand(-1, dates, -1, -1), harmonics], dim=-1)
    return View(features, valid & (day_of_year > 0)[..., None].expand(b, dates, n), head)


def band_values(series: SeriesBatch, px_per_cell: int) -> View:
    """Mean of the valid pixels of each cell: features (B, T, N, C)."""
    valid = (
        torch.ones_like(series.pixels[:, :, 0], dtype=torch.bool) if series.valid is None else series.valid
    )
    share = F.avg_pool2d(valid.to(series.pixels.dtype), px_per_cell).flatten(2)  # (B, T, N)
    total = F.avg_pool2d(series.pixels.flatten(0, 1), px_per_cell)  # (B * T, C, h, w), zero where not valid
    total = total.flatten(2).reshape(*series.pixels.shape[:3], -1).transpose(2, 3)  # (B, T, N, C)
    return View(total / share.clamp(min=1e-6)[..., None], share >= 0.5, torch.nn.Identity())


def weighted(losses: Mapping[str, Tensor], config: ObjectiveConfig) -> Tensor:
    """The scalar that is minimised."""
    weights = {
        "mgcl": config.alpha, "align": config.beta, "completion": config.completion, "place": config.place,
        "spread": config.spread,
    }  # fmt: skip
    return torch.stack([weights[name] * value for name, value in losses.items()]).sum()
