"""Training with labels: one loop for every module and loss, on a budget of CPU seconds or steps.

Step n draws from the seed and n alone, and the whole state lies in one file: a run that was stopped goes on
as if it had not been. CPU seconds are the same on a busy machine.
"""

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..state_file import load_state, save_state
from .optimiser import half_cosine, parameter_groups

LEAST_WARM = 0.02  # of the rate, at the first step


@dataclass(frozen=True)
class Budget:
    """What every run is given."""

    seconds: float = 1200.0  # of CPU time
    steps: int | None = None  # instead of seconds
    batch: int = 16
    rate: float = 1e-3  # at its highest
    warm_up: float = 0.05  # of the budget
    weight_decay: float = 0.05
    clip_norm: float = 1.0  # of the gradient
    checks: int = 10  # looks at held-out rows, spread over the budget
    save_every: float = 30.0  # seconds

    @property
    def words(self) -> str:
        """For the table."""
        return f"{self.steps} steps" if self.steps else f"{self.seconds:g} CPU seconds"

    def done(self, spent: float, step: int) -> float:
        """Share that is used up."""
        return step / self.steps if self.steps else spent / self.seconds

    def rate_at(self, done: float) -> float:
        """Up in a line, then half a cosine down, as a share of the highest."""
        if done < self.warm_up:
            return max(done / self.warm_up, LEAST_WARM)
        return half_cosine((done - self.warm_up) / (1 - self.warm_up))


def groups_at(module: nn.Module, rate: float, weight_decay: float) -> list[dict[str, Any]]:
    """The optimiser's groups of a part that learns at a share `rate` of the budget's rate."""
    return [{**group, "rate": rate} for group in parameter_groups(module, weight_decay)]


class Fit:
    """One run: everything that changes from step to step.

    Args:
        module: all that learns, on its device.
        budget: what it is given.
        path: where the state lies; nowhere where None.
        groups: of the optimiser, see `groups_at`; else all parameters learn and decay alike.
        check: of the module in eval mode, on rows that nothing is fitted on: the lower, the better. The
            weights of the best check are kept, the first being before any step; without it those of the last.
    """

    def __init__(
        self,
        module: nn.Module,
        budget: Budget,
        path: Path | None = None,
        *,
        groups: Sequence[dict[str, Any]] = (),
        check: Callable[[], float] | None = None,
    ) -> None:
        self.module, self.budget, self.path, self.check = module, budget, path, check
        alike = [{"params": list(module.parameters())}]
        self.optimiser = torch.optim.AdamW(groups or alike, lr=budget.rate, weight_decay=budget.weight_decay)
        self.spent, self.step, self.checked = 0.0, 0, 0
        self.best, self.best_state = math.inf, dict[str, Tensor]()
        if path and path.is_file():
            self._load(path)

    def run(
        self, loss_of: Callable[[np.random.Generator], Tensor], seed: int, stop_at_step: int | None = None
    ) -> nn.Module:
        """The module in eval mode, with its best weights once the budget is used up.

        Args:
            loss_of: of one step; the only source of chance is what it is given.
            seed: of the run.
            stop_at_step: to be gone on with later.
        """
        started, saved = time.process_time() - self.spent, self.spent
        if self.step == 0:
            self._check()
        while self.done < 1 and self.step != stop_at_step:
            self._update(loss_of(np.random.default_rng((seed, self.step))))
            self.step, self.spent = self.step + 1, time.process_time() - started
            self._check_if_due()
            if self.spent - saved > self.budget.save_every:
                self._save()
                saved = self.spent
        self._save()
        if self.done >= 1 and self.best_state:
            self.module.load_state_dict(self.best_state)
        return self.module.eval()

    @property
    def done(self) -> float:
        """Share of the budget that is used up."""
        return self.budget.done(self.spent, self.step)

    def _update(self, loss: Tensor) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = self.budget.rate * group.get("rate", 1.0) * self.budget.rate_at(self.done)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.module.parameters(), self.budget.clip_norm)
        self.optimiser.step()

    def _check_if_due(self) -> None:
        if self.done * self.budget.checks >= self.checked + 1:
            self.checked = int(self.done * self.budget.checks)
            self._check()

    def _check(self) -> None:
        """Keep the weights if none were better."""
        if self.check is None:
            return
        self.module.eval()
        with torch.no_grad():
            value = self.check()
        self.module.train()
        if value < self.best:
            self.best, self.best_state = value, copy.deepcopy(self.module.state_dict())

    def _save(self) -> None:
        if self.path is None:
            return
        state = {
            "model": self.module.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "spent": self.spent,
            "step": self.step,
            "checked": self.checked,
            "best": self.best,
            "best_state": self.best_state,
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        save_state(state, self.path)

    def _load(self, path: Path) -> None:
        state = load_state(path)
        self.module.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.spent, self.step = float(state["spent"]), int(state["step"])
        self.checked, self.best = int(state.get("checked", 0)), float(state.get("best", math.inf))
        self.best_state = state.get("best_state", {})
