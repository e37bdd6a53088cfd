"""Scenes with one label or several: kNN and a linear head on the pooled embedding."""

from typing import cast

import numpy as np

from ..retrieval.blocks import Measured, Scores
from ..retrieval.problem import Fold, Problem
from ..retrieval.protocols import knn_20_votes, probes
from .features import Features
from .judges import Table
from .linear import fit_head
from .question import Asked
from .ranking import label_f1, label_measures

TOP = 5


class Classification:
    """Judge of labels, (L,) bool of each scene."""

    def __init__(self, asked: Asked) -> None:
        tiles = (*asked.train, *asked.test)
        self.labels = np.stack([cast(np.ndarray, tile.truth) for tile in tiles])  # (n + q, L) bool
        self.n = len(asked.train)
        self.block, self.train_block = asked.query_block, asked.train_block
        position = np.full(len(tiles), np.nan)
        fold = Fold(asked.queries, np.arange(self.n))
        block = np.concatenate([self.train_block, self.block])
        self.problem = Problem(asked.name, self.labels, asked.classes, block, position, position, (fold,))
        self.several = self.problem.is_multi_label
        each = "mAP micro" if self.several else "top-1"
        self.metrics: tuple[str, ...] = (f"linear {each}", f"kNN-20 {each}")

    def __call__(self, views: tuple[Features, ...]) -> Table:
        """Heads are fitted on the scenes that come first."""
        vectors = views[0].pooled
        head = fit_head(vectors[: self.n], self.labels[: self.n], self.train_block, multi_label=self.several)
        votes = knn_20_votes(self.problem, self.problem.folds[0], vectors)
        table = self.scored("linear", head(vectors[self.n :]), 0.0)
        table |= self.scored("kNN-20", votes, 0.5)
        if not self.several:
            nearest = probes(self.problem, vectors, ("kNN-5",))["kNN-5"]
            table["kNN-5 top-1"] = Scores.plain(nearest, self.block)
        return table

    def scored(self, method: str, scores: np.ndarray, threshold: float) -> dict[str, Measured]:
        """Of (q, L) scores: mAP and F1 of several labels; the share that has the true class on top of one."""
        truth = self.labels[self.n :]
        table: dict[str, Measured] = {}
        if self.several:
            table |= label_measures(scores, truth, self.block)
            table["F1 micro"] = label_f1(scores > threshold, truth, self.block)
        else:
            rank = rank_of_truth(scores, truth)
            table["top-1"] = Scores.plain((rank < 1).astype(float), self.block)
            if truth.shape[1] > TOP:
                table["top-5"] = Scores.plain((rank < TOP).astype(float), self.block)
        return {f"{method} {name}": value for name, value in table.items()}

    def floors(self, seed: int) -> dict[str, Table]:
        """Scores drawn at random, and how frequent each class is."""
        frequent = self.labels[: self.n].mean(axis=0)
        random = np.random.default_rng(seed).random((len(self.block), len(frequent)))
        by_name = {"chance": random, "majority": np.broadcast_to(frequent, random.shape)}
        return {name: self.scored("linear", scores, 0.5) for name, scores in by_name.items()}


def rank_of_truth(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Classes scored above the true one, ties against us but for the first of them: (q, L) twice -> (q,)."""
    code = truth.argmax(axis=1)[:, None]
    own = np.take_along_axis(scores, code, axis=1)
    before = (scores == own) & (np.arange(scores.shape[1]) < code)
    return np.asarray(((scores > own) | before).sum(axis=1))
