"""The head that scores features for the contrastive losses; it is dropped after pre-training (DINO's)."""

import torch.nn.functional as F
from torch import Tensor, nn


class Projection(nn.Module):
    """An MLP to a unit vector, scored against K learned directions."""

    def __init__(self, in_width: int, hidden: int, bottleneck: int, outputs: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(in_width, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, bottleneck),
        )
        self.directions = nn.Linear(bottleneck, outputs, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """(M, D) -> (M, K) cosines."""
        unit = F.normalize(self.mlp(features), dim=-1)
        return F.linear(unit, F.normalize(self.directions.weight, dim=-1))
