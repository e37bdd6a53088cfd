"""A linear head on frozen features: softmax over classes or a sigmoid per label, by L-BFGS.

N rows, F features, K classes. The penalty is chosen on held-out blocks of the rows that it is fitted on.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..retrieval.protocols import inner_validation

PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)  # on the mean loss
STEPS = 60  # of L-BFGS
LEAST_SPREAD = 1e-6  # of a feature that always is the same


@dataclass(frozen=True)
class LinearHead:
    """Scores of K classes: standardised features times weights."""

    mean: np.ndarray  # (F,)
    spread: np.ndarray  # (F,)
    weight: np.ndarray  # (F, K)
    bias: np.ndarray  # (K,)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """(..., F) -> (..., K) float32 logits."""
        return np.asarray(((features - self.mean) / self.spread) @ self.weight + self.bias, dtype=np.float32)


def fit_head(features: np.ndarray, target: np.ndarray, block: np.ndarray, *, multi_label: bool) -> LinearHead:
    """The head of the penalty that predicts held-out blocks best, fitted on all rows.

    Args:
        features: (N, F) finite.
        target: (N, K) how often each class is true of a row (its pixels), or bool labels.
        block: (N,).
        multi_label: a sigmoid per label instead of one softmax.
    """
    asked = np.ones(len(target), dtype=bool) if multi_label else target.sum(axis=1) > 0
    x, y, block = features[asked], target[asked].astype(np.float32), block[asked]
    mean, spread = x.mean(axis=0), x.std(axis=0)
    spread = np.where(spread > LEAST_SPREAD, spread, 1)
    scaled, truth = torch.from_numpy(((x - mean) / spread).astype(np.float32)), torch.from_numpy(y)
    held = inner_validation(block)
    penalty = _chosen(scaled, truth, torch.from_numpy(held), multi_label) if held.any() else PENALTIES[2]
    weight, bias = _fit(scaled, truth, penalty, multi_label)
    return LinearHead(mean, spread, weight.numpy(), bias.numpy())


def _chosen(x: Tensor, y: Tensor, held: Tensor, multi_label: bool) -> float:
    losses = []
    for penalty in PENALTIES:
        weight, bias = _fit(x[~held], y[~held], penalty, multi_label)
        losses.append(float(_loss(x[held] @ weight + bias, y[held], multi_label)))
    return PENALTIES[int(np.argmin(losses))]


def _loss(logits: Tensor, y: Tensor, multi_label: bool) -> Tensor:
    if multi_label:
        return F.binary_cross_entropy_with_logits(logits, y)
    return -(y * logits.log_softmax(dim=1)).sum() / y.sum()


def _fit(x: Tensor, y: Tensor, penalty: float, multi_label: bool) -> tuple[Tensor, Tensor]:
    weight = torch.zeros(x.shape[1], y.shape[1], requires_grad=True)
    bias = torch.zeros(y.shape[1], requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = _loss(x @ weight + bias, y, multi_label) + penalty / 2 * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return weight.detach(), bias.detach()
