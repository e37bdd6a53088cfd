"""The teacher: a running mean of the student, and the centre of its scores (paper, section 3.4; DINO)."""

import copy
import math
from collections.abc import Callable
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..precision import wide
from .diagnostics import outputs_used

Module = TypeVar("Module", bound=nn.Module)


def make_teacher(student: Module) -> Module:
    """A copy of the student that no gradient reaches."""
    teacher = copy.deepcopy(student)
    return teacher.requires_grad_(False)


@torch.no_grad()
def follow(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """teacher <- m teacher + (1 - m) student, of what floats; other buffers are copied."""
    ours = dict(student.named_parameters()) | dict(student.named_buffers())
    for name, tensor in (dict(teacher.named_parameters()) | dict(teacher.named_buffers())).items():
        if tensor.is_floating_point():
            tensor.lerp_(ours[name].to(tensor.dtype), 1 - momentum)
        else:
            tensor.copy_(ours[name])


def teacher_momentum(step: int, steps: int, start: float) -> float:
    """m rises from `start` to 1 along a cosine."""
    return 1 - (1 - start) * (math.cos(math.pi * step / steps) + 1) / 2


class Centring:
    """A running mean of each head's teacher scores, subtracted so that no output wins for all samples."""

    def __init__(self, momentum: float = 0.9) -> None:
        self.momentum = momentum
        self.centres: dict[str, Tensor] = {}  # (K,) by head
        self.used: dict[str, float] = {}  # share of a head's outputs in use at the last update
        self._seen: dict[str, list[Tensor]] = {}

    def head(
        self, name: str, score: Callable[[Tensor], Tensor], temperature: float
    ) -> Callable[[Tensor], Tensor]:
        """The head as the losses call it: (score(features) - centre) / temperature."""

        def centred(features: Tensor) -> Tensor:
            scores = wide(score(features))  # (M, K)
            self._seen.setdefault(name, []).append(scores.detach())
            return (scores - self.centres.get(name, torch.zeros_like(scores[0]))) / temperature

        return centred

    def update(self) -> None:
        """c <- m c + (1 - m) mean of the scores since the last call, over all processes.

        The first mean is taken whole.
        """
        for name in sorted(self._seen):
            scores = torch.cat(self._seen[name])
            total = torch.cat([scores.sum(dim=0), scores.new_tensor([len(scores)])])  # (K + 1,)
            if dist.is_initialized():
                dist.all_reduce(total)
            self.used[name] = outputs_used(scores - self.centres.get(name, 0))
            mean = total[:-1] / total[-1].clamp(min=1)
            old = self.centres.get(name, mean)
            self.centres[name] = torch.lerp(mean, old, self.momentum)
        self._seen.clear()

    def state_dict(self) -> dict[str, Tensor]:
        """The centres."""
        return dict(self.centres)

    def load_state_dict(self, centres: dict[str, Tensor]) -> None:
        """The inverse of `state_dict`."""
        self.centres = dict(centres)
