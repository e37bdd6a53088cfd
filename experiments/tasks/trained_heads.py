"""Heads that are trained by steps, one for each kind of truth: what they give, their loss, their scores.

Those of labels and masks start as the linear head that frozen features get, so steps can but add to it.

B tiles, d numbers a square, h x w squares; a head is given the maps of all views, standardised, zero where no
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
from .linear import LinearHead, fit_head
from .segmentation import Segmentation, mask_head

Maps = Sequence[Tensor]  # (B, d, h, w) of each view
Seen = Sequence[Tensor]  # (B, h, w) bool of each view
Shown = tuple[Maps, Seen]


class Head(Protocol):
    """Of one kind of truth. `Given` is what its module gives for B tiles; its rows are tiles."""

    def module(self, width: int) -> nn.Module:
        """From maps and where data is, to what is given."""
        ...

    def start(
        self, module: nn.Module, shown: Sequence[Shown], truth: Sequence[Truth], block: np.ndarray
    ) -> None:
        """Sets the linear part of `module` by all tiles to fit on."""
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
    """Labels: a linear layer on the mean over squares."""

    def __init__(self, judge: Classification) -> None:
        self.judge = judge

    def module(self, width: int) -> nn.Module:
        return Pooled(width, self.judge.labels.shape[1])

    def start(
        self, module: nn.Module, shown: Sequence[Shown], truth: Sequence[Truth], block: np.ndarray
    ) -> None:
        assert isinstance(module, Pooled)
        vectors = torch.cat([module.mean(*some) for some in shown]).cpu().numpy()
        labels = np.stack([cast(np.ndarray, t) for t in truth])
        set_linear(module.linear, fit_head(vectors, labels, block, multi_label=self.judge.several))

    def loss(self, given: Tensor, truth: Sequence[Truth]) -> Tensor:
        wanted = torch.from_numpy(np.stack([cast(np.ndarray, t) for t in truth])).to(given)
        if self.judge.several:
            return F.binary_cross_entropy_with_logits(given, wanted)
        return F.cross_entropy(given, wanted.argmax(dim=1))

    def scored(self, given: Tensor, chosen: Tensor, truth: Sequence[Truth]) -> Table:
        return self.judge.scored("linear", given.numpy(), 0.0)


class OfMasks:
    """What heads that give a mask begin with, and learn from."""

    def start(
        self, module: nn.Module, shown: Sequence[Shown], truth: Sequence[Truth], block: np.ndarray
    ) -> None:
        start_masks(module, shown, truth, block)

    def loss(self, given: Tensor, truth: Sequence[Truth]) -> Tensor:
        return mask_loss(given, truth)


class MaskHead(OfMasks):
    """Masks: scores on a grid finer than the squares, laid over the pixels bilinearly."""

    def __init__(self, judge: Segmentation) -> None:
        self.judge = judge

    def module(self, width: int) -> nn.Module:
        return Joined(width, self.judge.k)

    def scored(self, given: Tensor, chosen: Tensor, truth: Sequence[Truth]) -> Table:
        masks = self.judge.masks[self.judge.n :]
        return self.judge.scored([codes(g, m) for g, m in zip(given, masks, strict=True)])


class ChangeHead(OfMasks):
    """Change: the same on two dates joined; counted as changed above the score of the best F1."""

    def __init__(self, judge: Change) -> None:
        self.judge = judge

    def module(self, width: int) -> nn.Module:
        return Joined(width, 2, self.judge.joining)

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

    def start(
        self, module: nn.Module, shown: Sequence[Shown], truth: Sequence[Truth], block: np.ndarray
    ) -> None:
        assert isinstance(module, EachDate)
        pairs = [cast(np.ndarray, t) for t in truth]
        each = [([maps[date]], [seen[date]]) for date in range(2) for maps, seen in shown]
        masks = [pair[date] for date in range(2) for pair in pairs]
        start_masks(module.head, each, masks, np.tile(block, 2))

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

    def start(
        self, module: nn.Module, shown: Sequence[Shown], truth: Sequence[Truth], block: np.ndarray
    ) -> None:
        """Boxes have no linear head."""

    def loss(self, given: Tensor, truth: Sequence[Truth]) -> Tensor:
        grid = (given.shape[2], given.shape[3])
        wanted = [self.judge.targets(cast(Boxes, t), grid) for t in truth]
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
    """(B, L) of the mean over squares with data."""

    def __init__(self, width: int, labels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, labels)

    def mean(self, maps: Maps, seen: Seen) -> Tensor:
        """(B, d)."""
        weight = seen[0][:, None].to(maps[0])  # (B, 1, h, w)
        return (maps[0] * weight).sum(dim=(2, 3)) / weight.sum(dim=(2, 3)).clamp(min=1)

    def forward(self, maps: Maps, seen: Seen) -> Tensor:
        return cast(Tensor, self.linear(self.mean(maps, seen)))


class Joined(nn.Module):
    """(B, K, 4h, 4w) of one map, or of two joined: linear on the squares, and more on a finer grid."""

    def __init__(self, width: int, classes: int, joining: str = "") -> None:
        super().__init__()
        self.joining = joining
        width *= 2 if joining == "concatenation" else 1
        self.linear = nn.Conv2d(width, classes, 1)
        self.finer = FinerGrid(width)
        self.more = nn.Conv2d(self.finer.width, classes, 1)
        nn.init.zeros_(self.more.weight)
        assert self.more.bias is not None
        nn.init.zeros_(self.more.bias)

    def joined(self, maps: Maps) -> Tensor:
        """(B, F, h, w)."""
        if self.joining == "difference":
            return (maps[1] - maps[0]).abs()
        return torch.cat(list(maps), dim=1) if self.joining else maps[0]

    def forward(self, maps: Maps, seen: Seen) -> Tensor:
        joined = self.joined(maps)
        more = self.more(self.finer(joined))
        return over_pixels(self.linear(joined), more.shape[2:]) + cast(Tensor, more)


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


def set_linear(layer: nn.Linear | nn.Conv2d, head: LinearHead) -> None:
    """The layer gives what the head gives."""
    weight = head.weight / head.spread[:, None]  # (F, K)
    assert layer.bias is not None
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight.T).reshape(layer.weight.shape))
        layer.bias.copy_(torch.from_numpy(head.bias - head.mean @ weight))


def start_masks(module: nn.Module, shown: Sequence[Shown], truth: Sequence[Truth], block: np.ndarray) -> None:
    """The linear part of `Joined`, by the shares of classes in each square."""
    assert isinstance(module, Joined)
    dense = torch.cat([module.joined(maps) for maps, _ in shown]).permute(0, 2, 3, 1).cpu().numpy()
    masks = [cast(np.ndarray, t) for t in truth]
    set_linear(module.linear, mask_head(dense, masks, module.linear.out_channels, block))


def over_pixels(given: Tensor, size: Sequence[int]) -> Tensor:
    """(B, K, h, w) scores laid over a finer grid: (B, K, *size)."""
    return F.interpolate(given, size=tuple(size), mode="bilinear", align_corners=False)


def mask_loss(given: Tensor, truth: Sequence[Truth]) -> Tensor:
    """Cross-entropy over labelled pixels; zero where there is none."""
    wanted = torch.from_numpy(np.stack([cast(np.ndarray, t) for t in truth]).astype(np.int64))
    wanted = wanted.to(given.device)
    scores = over_pixels(given, wanted.shape[1:])
    total = F.cross_entropy(scores, wanted, ignore_index=IGNORED, reduction="sum")
    return total / (wanted != IGNORED).sum().clamp(min=1)


def codes(given: Tensor, mask: np.ndarray) -> np.ndarray:
    """(K, h, w) -> the class of each pixel of the mask."""
    return np.asarray(over_pixels(given[None], mask.shape)[0].argmax(dim=0))


def margin(given: Tensor, mask: np.ndarray) -> np.ndarray:
    """(2, h, w) -> score of change minus that of none, over the mask's pixels."""
    scores = over_pixels(given[None], mask.shape)[0]
    return np.asarray(scores[1] - scores[0])
