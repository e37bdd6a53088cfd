"""Change between two dates: a linear head on the difference, or on both, of two dense maps."""

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np

from . import confusion
from .confusion import count
from .features import Features
from .judges import Table
from .question import Asked
from .segmentation import class_shares, mask_head, predicted, scores_over_pixels

Joined = Callable[[np.ndarray, np.ndarray], np.ndarray]  # two maps (n, h, w, F) -> (n, h, w, F')
JOININGS: dict[str, Joined] = {
    "difference": lambda before, after: np.abs(after - before),
    "concatenation": lambda before, after: np.concatenate([before, after], axis=3),
}
THRESHOLDS = 200  # that are tried
MEASURES = {"F1": confusion.class_f1(1), "IoU": confusion.class_iou(1)}  # of change, class 1


class Change:
    """Judge of masks of two classes: 0 unchanged, 1 changed.

    Change is rare, so pixels count as changed above the score that gives the best F1 on the tiles fitted on.
    """

    def __init__(self, asked: Asked, joining: str) -> None:
        self.n = len(asked.train)
        self.joining, self.join = joining, JOININGS[joining]
        self.masks = [cast(np.ndarray, tile.truth) for tile in (*asked.train, *asked.test)]
        self.block, self.train_block = asked.query_block, asked.train_block
        self.metrics: tuple[str, ...] = (asked.about.measure,)

    def __call__(self, views: tuple[Features, ...]) -> Table:
        """Views: the earlier date, the later one."""
        dense = self.join(views[0].dense, views[1].dense)
        head = mask_head(dense[: self.n], self.masks[: self.n], 2, self.train_block)
        margin = [np.diff(scores_over_pixels(head, d, len(m)), axis=0)[0] for d, m in self._over(dense)]
        least = best_threshold(margin[: self.n], self.masks[: self.n])
        return self.scored([(m > least).astype(int) for m in margin[self.n :]])

    def _over(self, dense: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        return list(zip(dense, self.masks, strict=True))

    def scored(self, answers: Sequence[np.ndarray]) -> Table:
        """Measures of the tiles asked, in their order."""
        pairs = zip(self.masks[self.n :], answers, strict=True)
        counts = np.stack([count(truth, answer, 2) for truth, answer in pairs])
        return {name: confusion.measure(counts, self.block, of) for name, of in MEASURES.items()}

    def floors(self, seed: int) -> dict[str, Table]:
        """Change drawn as often as it is; change everywhere, which scores more than none."""
        share = class_shares(self.masks[: self.n], 2)
        rng = np.random.default_rng(seed)
        asked = self.masks[self.n :]
        return {
            "chance": self.scored([rng.choice(2, size=mask.shape, p=share) for mask in asked]),
            "majority": self.scored([np.zeros(mask.shape, dtype=int) for mask in asked]),
            "change everywhere": self.scored([np.ones(mask.shape, dtype=int) for mask in asked]),
        }


def best_threshold(margin: Sequence[np.ndarray], masks: Sequence[np.ndarray]) -> float:
    """The score above which F1 of change is highest, among evenly drawn quantiles."""
    score = np.concatenate([m.ravel() for m in margin])
    truth = np.concatenate([m.ravel() for m in masks])
    order = np.argsort(-score[truth >= 0], kind="stable")
    ranked, hit = score[truth >= 0][order], (truth[truth >= 0] == 1)[order]
    hits = np.cumsum(hit)
    f1 = 2 * hits / (np.arange(1, len(hits) + 1) + max(hits[-1], 1))
    at = np.linspace(0, len(f1) - 1, min(len(f1), THRESHOLDS * THRESHOLDS)).astype(int)
    best = int(at[f1[at].argmax()])
    return float(ranked[best + 1]) if best + 1 < len(ranked) else -np.inf


class SemanticChange:
    """Judge of pairs of masks (2, H, W) of two dates: what changed, and into what.

    Both dates are segmented alike; where the answers differ is change. Classes are judged on the later one.
    """

    metrics: tuple[str, ...] = ("SCS",)

    def __init__(self, asked: Asked) -> None:
        self.n, self.k = len(asked.train), len(asked.classes)
        self.masks = np.stack([cast(np.ndarray, tile.truth) for tile in (*asked.train, *asked.test)])
        self.block, self.train_block = asked.query_block, asked.train_block

    def __call__(self, views: tuple[Features, ...]) -> Table:
        """Views: the earlier date, the later one."""
        fitted = np.concatenate([view.dense[: self.n] for view in views])
        truth = [*self.masks[: self.n, 0], *self.masks[: self.n, 1]]
        head = mask_head(fitted, truth, self.k, np.tile(self.train_block, 2))
        side = self.masks.shape[2]
        answers = [
            np.stack([predicted(head, view.dense[i], side) for view in views])
            for i in range(self.n, len(self.masks))
        ]
        return self.scored(answers)

    def scored(self, answers: Sequence[np.ndarray]) -> Table:
        """Measures of the tiles asked, in their order."""
        pairs = list(zip(self.masks[self.n :], answers, strict=True))
        changed = np.stack([count(changes(truth), changes(answer), 2) for truth, answer in pairs])
        semantic = np.stack(
            [count(np.where(changes(truth) == 1, truth[1], -1), answer[1], self.k) for truth, answer in pairs]
        )
        return dict(confusion.semantic_change(changed, semantic, self.block))

    def floors(self, seed: int) -> dict[str, Table]:
        """Classes drawn at random on both dates; the most frequent class on both."""
        share = class_shares(list(self.masks[: self.n].reshape(-1, *self.masks.shape[2:])), self.k)
        rng = np.random.default_rng(seed)
        asked = self.masks[self.n :]
        return {
            "chance": self.scored([rng.choice(self.k, size=pair.shape, p=share) for pair in asked]),
            "majority": self.scored([np.full(pair.shape, int(share.argmax())) for pair in asked]),
        }


def changes(pair: np.ndarray) -> np.ndarray:
    """(2, H, W) codes -> (H, W): 1 where they differ, IGNORED where either is."""
    return np.where((pair >= 0).all(axis=0), (pair[0] != pair[1]).astype(int), -1)
