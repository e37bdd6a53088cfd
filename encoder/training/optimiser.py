"""What every training run shares: which parameters decay, and how the learning rate falls."""

import math
from typing import Any

from torch import nn


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay; biases, norms, tokens and date tables do not."""
    learned = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    plain = {
        name for name, p in learned if p.ndim < 2 or "token" in name or "table" in name or "position" in name
    }
    return [
        {"params": [p for name, p in learned if name not in plain], "weight_decay": weight_decay},
        {"params": [p for name, p in learned if name in plain], "weight_decay": 0.0},
    ]


def half_cosine(done: float) -> float:
    """From 1 down to a hundredth, over a share of 0 to 1."""
    return 0.01 + 0.99 * (1 + math.cos(math.pi * min(1.0, done))) / 2
