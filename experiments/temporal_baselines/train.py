"""One run of one model on one budget; it goes on where it was stopped."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from encoder.training.supervised import Budget, Fit

from ..datasets.scene import IGNORED
from ..tasks.confusion import count
from .factorised import Factorised
from .series_data import SeriesData
from .tsvit import TSViT
from .unet3d import UNet3D

MODELS = ("factorised", "TSViT", "UNet3D")


def make_model(name: str, data: SeriesData, seed: int) -> nn.Module:
    """A model of seeded weights for these series."""
    torch.manual_seed(seed)
    bands, classes, side = data.pixels.shape[2], len(data.classes), data.side_px
    patch = 2 if side % 2 == 0 else 1
    if name == "factorised":
        return Factorised(bands, classes, side, patch, seed=seed)
    return TSViT(bands, classes, side, patch) if name == "TSViT" else UNet3D(bands, classes)


def parameters(model: nn.Module) -> int:
    """Numbers that are learned."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def train(name: str, data: SeriesData, seed: int, budget: Budget, path: Path) -> nn.Module:
    """Train on the series that are not asked, from `path` if it is there; the state is kept there."""
    model = make_model(name, data, seed)
    rows = np.flatnonzero(~data.asked)

    def loss_of(rng: np.random.Generator) -> Tensor:
        batch = torch.from_numpy(rng.choice(rows, size=min(budget.batch, len(rows)), replace=False))
        scores = model(data.pixels[batch], data.valid[batch], data.day_of_year[batch])
        return F.cross_entropy(scores, data.codes[batch], ignore_index=IGNORED)

    return Fit(model.train(), budget, path).run(loss_of, seed)


@torch.inference_mode()
def counts_of(model: nn.Module, data: SeriesData, batch: int = 64) -> np.ndarray:
    """Pixels by true and predicted class of each series asked: (q, K, K)."""
    rows = np.flatnonzero(data.asked)
    counts = []
    for start in range(0, len(rows), batch):
        some = torch.from_numpy(rows[start : start + batch])
        answers = model(data.pixels[some], data.valid[some], data.day_of_year[some]).argmax(dim=1)
        pairs = zip(data.codes[some].numpy(), answers.numpy(), strict=True)
        counts += [count(truth, answer, len(data.classes)) for truth, answer in pairs]
    return np.stack(counts)
