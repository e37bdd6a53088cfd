"""Sinkhorn-Knopp: similarities become a balanced soft assignment (Cuturi 2013; as in SwAV)."""

import torch
from torch import Tensor

from ..precision import wide

TEMPERATURE = 0.05  # SwAV's epsilon; unpublished in the paper
ITERATIONS = 3


@torch.no_grad()
def sinkhorn(similarity: Tensor, mask: Tensor | None = None) -> Tensor:
    """S = Sinkhorn-Knopp(M): each row sums to one, each column to about N / P.

    The same in NumPy, for the prototypes of a table: `indexer.prototypes.sinkhorn.sinkhorn_knopp`.

    Args:
        similarity: (..., N, P) cosines.
        mask: (..., N) bool, False for rows that do not take part; their assignment is zero.
    """
    logits = wide(similarity) / TEMPERATURE
    rows = torch.ones_like(logits[..., :1]) if mask is None else mask[..., None].to(logits)  # (..., N, 1)
    s = (logits - logits.amax(dim=(-2, -1), keepdim=True)).exp() * rows
    for _ in range(ITERATIONS):
        s = s / s.sum(dim=-2, keepdim=True).clamp(min=1e-12)  # columns
        s = s / s.sum(dim=-1, keepdim=True).clamp(min=1e-12)  # rows last: each is a distribution
    return s
