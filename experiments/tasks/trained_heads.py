"""Heads that are trained by steps, one for each kind of truth: what they give, their loss, their scores.

B tiles, d numbers a cell, h x w cells; a head is given the maps of all views, standardised, zero where no
data is, and where data is.
"""

from collections.abc import Sequence
from typing import Protocol, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..datasets.scene import IGNORED, Boxes, Truth
from .change import Change, SemanticChange, best_threshold
from .classification import Classification
from .detection import Detection, DetectionHead, FinerGrid, detection_loss
from .judges import Judge, Table
from .segmentation import Segmentation

Maps = Sequence[Tensor]  # (B, d, h, w) of each view
Seen = Sequence[Tensor]  # (B, h, w) bool of each view


class Head(Protocol):
    """Of one kind of truth. `Given` is what its module gives for B tiles; its rows are tiles."""

    def module(self, width: int) -> nn.Module:
        """From maps and where data is, to what is given."""
        ...

    def loss(self, given: Tensor, truth: Sequence[Truth]) -> Tensor:
        """Of B tiles."""
        ...

    def scored(self, given: Tensor, chosen: Tensor, truth: Sequence[Truth]) -> Table:
        """The judge's measures of all tiles asked.

        Args:
            given: of the tiles asked.
            chosen, truth: of tiles that a threshold may be chosen on.
        """
        ...


def head_of(judge: Judge) -> Head:
    """The head that is trained for a judge's kind of truth."""
    if isinstance(judge, Classification):
        return LabelHead(judge)
    if isinstance(judge, Segmentation):
        return MaskHead(judge)
    if isinstance(judge, Change):
        return ChangeHead(judge)
    return SemanticHead(judge) if isinstance(judge, SemanticChange) else BoxHead(cast(Detection, judge))


class LabelHead:
    """Labels: a linear layer on the mean over cells."""

    def __init__(self, judge: Classification) -> None:
        self.judge = judge

    def module(self, width: int) -> nn.Module:
        return Pooled(width, self.judge.labels.shape[1])

    def loss(self, given: Tensor, truth: Sequence[Truth]) -> Tensor:
        wanted = torch.from_numpy(np.stack([cast(np.ndarray, t) for t in truth])).to(given)
        if self.judge.several:
            return F.binary_cross_entropy_with_logits(given, wanted)
        return F.cross_entropy(given, wanted.argmax(dim=1))

    def scored(self, given: Tensor, chosen: Tensor, truth: Sequence[Truth]) -> Table:
        return self.judge.scored("linear", given.numpy(), 0.0)


class MaskHead:
    """Masks: scores on a grid finer than the cells, laid over the pixels bilinearly."""

    def __init__(self, judge: Segmentation) -> None:
        self.judge = judge

    def module(self, width: int) -> nn.Module:
        return Joined(width, self.judge.k)

    def loss(self, given: Tensor, truth: Sequence[Truth]) -> Tensor:
        return mask_loss(given, truth)

    def scored(self, given: Tensor, chosen: Tensor, truth: Sequence[Truth]) -> Table:
        masks = self.judge.masks[self.judge.n :]
        return self.judge.scored([codes(g, m) for g, m in zip(given, masks, strict=True)])


class ChangeHead:
    """Change: the same on two dates joined; counted as changed above the score of the best F1."""

    def __init__(self, judge: Change) -> None:
        self.judge = judge

    def module(self, width: int) -> nn.Module:
        return Joined(width, 2, self.judge.joining)

    def loss(self, given: Tensor, truth: Sequence[Truth]) -> Tensor:
        return mask_loss(given, truth)

    def scored(self, given: Tensor, chosen: Tensor, truth: Sequence[Truth]) -> Table:
        known = [cast(np.ndarray, t) for t in truth]
        least = best_threshold([margin(g, m) for g, m in zip(chosen, known, strict=True)], known)
        masks = self.judge.masks[self.judge.n :]
        return self.judge.scored(
            [(margin(g, m) > least).astype(int) for g, m in zip(given, masks, strict=True)]
        )


class SemanticHead:
    """Two masks: both dates are segmented alike."""

    def __init__(self, judge: SemanticChange) -> None:
        self.judge = judge

    def module(self, width: int) -> nn.Module:
        return EachDate(width, self.judge.k)

    def loss(self, given: Tensor, truth: Sequence[Truth]) -> Tensor:
        pairs = np.stack([cast(np.ndarray, t) for t in truth])  # (B, 2, H, W)
        return mask_loss(given.flatten(0, 1), list(pairs.reshape(-1, *pairs.shape[2:])))

    def scored(self, given: Tensor, chosen: Tensor, truth: Sequence[Truth]) -> Table:
        asked = self.judge.masks[self.judge.n :]
        answers = [
            np.stack([codes(g, m) for g, m in zip(of_tile, pair, strict=True)])
            for of_tile, pair in zip(given, asked, strict=True)
        ]
        return self.judge.scored(answers)


class BoxHead:
    """Boxes: the anchor-free head of `detection`."""

    def __init__(self, judge: Detection) -> None:
        self.judge = judge

    def module(self, width: int) -> nn.Module:
        return OfBoxes(DetectionHead(width, self.judge.k))

    def loss(self, given: Tensor, truth: Sequence[Truth]) -> Tensor:
        wanted = [self.judge.targets(cast(Boxes, t), tuple(given.shape[2:])) for t in truth]
        score, shape, centres = (torch.stack(part).to(given.device) for part in zip(*wanted, strict=True))
        return detection_loss(self._parts(given), (score, shape), centres)

    def scored(self, given: Tensor, chosen: Tensor, truth: Sequence[Truth]) -> Table:
        score, shape = self._parts(given)
        return self.judge.scored(
            [self.judge.decoded(s.sigmoid(), f) for s, f in zip(score, shape, strict=True)]
        )

    def _parts(self, given: Tensor) -> tuple[Tensor, Tensor]:
        return given[:, : self.judge.k], given[:, self.judge.k :]


class Pooled(nn.Module):
    """(B, L) of the mean over cells with data."""

    def __init__(self, width: int, labels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, labels)
        nn.init.zeros_(self.linear.weight)

    def forward(self, maps: Maps, seen: Seen) -> Tensor:
        weight = seen[0][:, None].to(maps[0])  # (B, 1, h, w)
        mean = (maps[0] * weight).sum(dim=(2, 3)) / weight.sum(dim=(2, 3)).clamp(min=1)
        return cast(Tensor, self.linear(mean))


class Joined(nn.Module):
    """(B, K, 4h, 4w) of one map, or of two joined."""

    def __init__(self, width: int, classes: int, joining: str = "") -> None:
        super().__init__()
        self.joining = joining
        self.finer = FinerGrid(2 * width if joining == "concatenation" else width)
        self.score = nn.Conv2d(self.finer.width, classes, 1)

    def forward(self, maps: Maps, seen: Seen) -> Tensor:
        joined = {
            "": lambda: maps[0],
            "difference": lambda: (maps[-1] - maps[0]).abs(),
            "concatenation": lambda: torch.cat(list(maps), dim=1),
        }[self.joining]()
        return cast(Tensor, self.score(self.finer(joined)))


class EachDate(nn.Module):
    """(B, 2, K, 4h, 4w): one head for both dates."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.head = Joined(width, classes)

    def forward(self, maps: Maps, seen: Seen) -> Tensor:
        return torch.stack([self.head([one], seen) for one in maps], dim=1)


class OfBoxes(nn.Module):
    """(B, K + 6, 4h, 4w): scores and shapes."""

    def __init__(self, head: DetectionHead) -> None:
        super().__init__()
        self.head = head

    def forward(self, maps: Maps, seen: Seen) -> Tensor:
        return torch.cat(self.head(maps[0]), dim=1)


def over_pixels(given: Tensor, side: int) -> Tensor:
    """(B, K, h, w) scores laid over the pixels: (B, K, side, side)."""
    return F.interpolate(given, size=(side, side), mode="bilinear", align_corners=False)


def mask_loss(given: Tensor, truth: Sequence[Truth]) -> Tensor:
    """Cross-entropy over labelled pixels; zero where there is none."""
    wanted = torch.from_numpy(np.stack([cast(np.ndarray, t) for t in truth]).astype(np.int64))
    wanted = wanted.to(given.device)
    scores = over_pixels(given, wanted.shape[-1])
    total = F.cross_entropy(scores, wanted, ignore_index=IGNORED, reduction="sum")
    return total / (wanted != IGNORED).sum().clamp(min=1)


def codes(given: Tensor, mask: np.ndarray) -> np.ndarray:
    """(K, h, w) -> the class of each pixel of the mask."""
    return np.asarray(over_pixels(given[None], len(mask))[0].argmax(dim=0))


def margin(given: Tensor, mask: np.ndarray) -> np.ndarray:
    """(2, h, w) -> score of change minus that of none, over the mask's pixels."""
    scores = over_pixels(given[None], len(mask))[0]
    return np.asarray(scores[1] - scores[0])
