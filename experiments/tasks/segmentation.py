"""Masks: a linear head on the dense map, its scores laid over the pixels by bilinear interpolation."""

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F

from ..datasets.scene import IGNORED
from . import confusion
from .confusion import OfCounts, count
from .features import Features
from .judges import Table
from .linear import LinearHead, fit_head
from .question import Asked

CELLS = 20_000  # that a head is fitted on, at most


class Segmentation:
    """Judge of masks, (H, W) codes of each tile."""

    def __init__(self, asked: Asked) -> None:
        self.n, self.k = len(asked.train), len(asked.classes)
        self.masks = [cast(np.ndarray, tile.truth) for tile in (*asked.train, *asked.test)]
        self.block, self.train_block = asked.query_block, asked.train_block
        self.measures = mask_measures(asked.about.averaged)
        self.metrics: tuple[str, ...] = (asked.about.measure,)

    def __call__(self, views: tuple[Features, ...]) -> Table:
        """The head is fitted on the shares of classes in each square."""
        dense = views[0].dense
        head = mask_head(dense[: self.n], self.masks[: self.n], self.k, self.train_block)
        return self.scored([predicted(head, dense[i], len(m)) for i, m in self._asked()])

    def _asked(self) -> list[tuple[int, np.ndarray]]:
        return list(enumerate(self.masks))[self.n :]

    def scored(self, answers: Sequence[np.ndarray]) -> Table:
        """Measures of the tiles asked, in their order."""
        pairs = zip(self.masks[self.n :], answers, strict=True)
        counts = np.stack([count(truth, answer, self.k) for truth, answer in pairs])
        return {name: confusion.measure(counts, self.block, of) for name, of in self.measures.items()}

    def floors(self, seed: int) -> dict[str, Table]:
        """Classes drawn as often as they are fitted on; the most frequent one everywhere."""
        share = class_shares(self.masks[: self.n], self.k)
        rng = np.random.default_rng(seed)
        at_random = [rng.choice(self.k, size=mask.shape, p=share) for _, mask in self._asked()]
        constant = [np.full(mask.shape, int(share.argmax())) for _, mask in self._asked()]
        return {"chance": self.scored(at_random), "majority": self.scored(constant)}


def mask_measures(averaged: Mapping[str, tuple[int, ...]]) -> dict[str, OfCounts]:
    """The set's own measures first (`mIoU ...` or `mF1 ...` over some classes), then those of all classes."""
    own = {
        name: (confusion.mean_f1 if name.startswith("mF1") else confusion.mean_iou)(classes)
        for name, classes in averaged.items()
    }
    return own | {"mIoU": confusion.mean_iou(), "mF1": confusion.mean_f1(), "OA": confusion.accuracy}


def class_shares(masks: Sequence[np.ndarray], classes: int) -> np.ndarray:
    """Share of each class among the pixels of all masks: (K,)."""
    counts = np.sum([np.bincount(m[m != IGNORED].ravel(), minlength=classes) for m in masks], axis=0)
    return np.asarray(counts / max(counts.sum(), 1))


def cell_counts(mask: np.ndarray, grid: tuple[int, int], classes: int) -> np.ndarray:
    """Pixels of each class in each square: (H, W) -> (h, w, K) float32."""
    h, w = grid
    square = mask.reshape(h, mask.shape[0] // h, w, mask.shape[1] // w)
    return np.stack([(square == code).sum(axis=(1, 3)) for code in range(classes)], axis=2).astype(np.float32)


def mask_head(dense: np.ndarray, masks: Sequence[np.ndarray], classes: int, block: np.ndarray) -> LinearHead:
    """Fitted on (n, h, w, F) maps and the masks under them; squares are drawn evenly if too many."""
    _, h, w, width = dense.shape
    target = np.stack([cell_counts(mask, (h, w), classes) for mask in masks]).reshape(-1, classes)
    rows = np.flatnonzero(target.sum(axis=1) > 0)
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), CELLS)).astype(int)]
    each = np.repeat(block, h * w)
    return fit_head(dense.reshape(-1, width)[rows], target[rows], each[rows], multi_label=False)


def scores_over_pixels(head: LinearHead, dense: np.ndarray, side: int) -> np.ndarray:
    """(h, w, F) -> (K, side, side) float32."""
    logits = torch.from_numpy(head(dense).transpose(2, 0, 1)[None].copy())  # (1, K, h, w)
    return F.interpolate(logits, size=(side, side), mode="bilinear", align_corners=False)[0].numpy()


def predicted(head: LinearHead, dense: np.ndarray, side: int) -> np.ndarray:
    """(h, w, F) -> (side, side) codes."""
    return np.asarray(scores_over_pixels(head, dense, side).argmax(axis=0))
