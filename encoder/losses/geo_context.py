"""Geo-context prototype learning: regional prototypes follow the student's features (paper, section 3.4)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..precision import wide
from .sinkhorn import sinkhorn

MOMENTUM = 0.99  # m, ours: unpublished


@torch.no_grad()
def updated_prototypes(prototypes: Tensor, fused: Tensor, momentum: float = MOMENTUM) -> Tensor:
    """P_r <- m P_r + (1 - m) S^T F_fus^mm with S = Sinkhorn-Knopp(cos(F_fus^mm, P_r)); no gradient.

    The columns of S are scaled to sum to one (ours), so that a prototype is a mean of features whatever their
    number. No loss, but the one equation of section 3.4 that is a rule of update.

    Args:
        prototypes: (N_p, D) of one region.
        fused: (N_S, D) features of samples of that region, of the student branch.
        momentum: m.
    """
    similarity = F.normalize(wide(fused), dim=-1) @ F.normalize(wide(prototypes), dim=-1).T  # M (N_S, N_p)
    assignment = sinkhorn(similarity)
    weights = assignment / assignment.sum(dim=0, keepdim=True).clamp(min=1e-8)
    return torch.lerp(weights.T @ wide(fused), wide(prototypes), momentum).to(prototypes.dtype)
