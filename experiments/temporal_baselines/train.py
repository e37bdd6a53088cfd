"""One run: its budget is CPU seconds, the same on a busy machine; it goes on where it was stopped."""

import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from encoder.state_file import load_state, save_state

from ..datasets.scene import IGNORED
from ..tasks.confusion import count
from .factorised import Factorised
from .series_data import SeriesData
from .tsvit import TSViT
from .unet3d import UNet3D

MODELS = ("factorised", "TSViT", "UNet3D")


@dataclass(frozen=True)
class Budget:
    """What every run is given."""

    seconds: float = 1200.0  # of CPU time, on one core
    steps: int | None = None  # instead of seconds
    batch: int = 16
    rate: float = 1e-3  # at its highest
    warm_up: float = 0.05  # of the budget
    weight_decay: float = 0.05
    save_every: float = 30.0  # seconds

    @property
    def words(self) -> str:
        """For the table."""
        return f"{self.steps} steps" if self.steps else f"{self.seconds:g} CPU seconds"

    def done(self, spent: float, step: int) -> float:
        """Share that is used up."""
        return step / self.steps if self.steps else spent / self.seconds


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
    optimiser = torch.optim.AdamW(model.parameters(), lr=budget.rate, weight_decay=budget.weight_decay)
    spent, step = 0.0, 0
    if path.is_file():
        spent, step = _load(path, model, optimiser)
    rows = np.flatnonzero(~data.asked)
    started, saved = time.process_time() - spent, spent
    while (done := budget.done(spent, step)) < 1:
        rng = np.random.default_rng((seed, step))
        batch = torch.from_numpy(rng.choice(rows, size=min(budget.batch, len(rows)), replace=False))
        for group in optimiser.param_groups:
            group["lr"] = budget.rate * _schedule(done, budget.warm_up)
        scores = model.train()(data.pixels[batch], data.valid[batch], data.day_of_year[batch])
        loss = F.cross_entropy(scores, data.codes[batch], ignore_index=IGNORED)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        step, spent = step + 1, time.process_time() - started
        if spent - saved > budget.save_every or budget.done(spent, step) >= 1:
            _save(path, model, optimiser, spent, step)
            saved = spent
    return model.eval()


def _schedule(done: float, warm_up: float) -> float:
    """Up, then half a cosine down."""
    if done < warm_up:
        return max(done / warm_up, 0.02)
    return 0.01 + 0.99 * (1 + math.cos(math.pi * min(1.0, (done - warm_up) / (1 - warm_up)))) / 2


def _save(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, spent: float, step: int) -> None:
    state = {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "spent": spent, "step": step}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_state(state, path)


def _load(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer) -> tuple[float, int]:
    state = load_state(path)
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    return float(state["spent"]), int(state["step"])


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
