"""Regional prototypes while training: where they start, and how each step moves them (paper, section 3.4)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..geo_context import GeoContext, h3_parent
from ..precision import wide
from ..skysense import SkySense
from .sinkhorn import sinkhorn

MOMENTUM = 0.99  # m, ours: unpublished
NO_PLACE = 0  # the H3 cell of a sample whose position is unknown


def seed_prototypes(model: SkySense, h3_cells: Tensor, per_region: int, seed: int) -> None:
    """Gives each region that holds one of the cells (n,) random unit prototypes.

    A position that is unknown lies in no region.
    """
    known = h3_cells[h3_cells != NO_PLACE]
    regions = torch.unique(h3_parent(known, model.config.geo.region_resolution))
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(len(regions), per_region, model.config.dimension, generator=generator)
    model.hold_prototypes(regions, F.normalize(start, dim=-1), torch.full((len(regions),), per_region))


@torch.no_grad()
def learn_prototypes(geo: GeoContext, fused: Tensor, valid: Tensor, h3_cells: Tensor) -> None:
    """One update of the prototypes of each region that has samples in a batch.

    Args:
        geo: The student's.
        fused: (B, N, D) F_fus^mm of the student branch.
        valid: (B, N) bool.
        h3_cells: (B,) int64.
    """
    rows = geo.region_index(h3_cells)
    for row in torch.unique(rows[rows >= 0]).tolist():
        here = rows == row
        features = fused[here][valid[here]]  # (N_S, D)
        if len(features):
            geo.prototypes[row] = updated_prototypes(geo.prototypes[row], features)


@torch.no_grad()
def updated_prototypes(prototypes: Tensor, fused: Tensor, momentum: float = MOMENTUM) -> Tensor:
    """P_r <- m P_r + (1 - m) S^T F_fus^mm with S = Sinkhorn-Knopp(cos(F_fus^mm, P_r)); no gradient.

    The columns of S are scaled to sum to one (ours), so that a prototype is a mean of features whatever their
    number. Prototypes of a table are learned likewise, in NumPy: `indexer.prototypes.sinkhorn.updated`.

    Args:
        prototypes: (N_p, D) of one region.
        fused: (N_S, D) features of samples of that region, of the student branch.
        momentum: m.
    """
    similarity = F.normalize(wide(fused), dim=-1) @ F.normalize(wide(prototypes), dim=-1).T  # M (N_S, N_p)
    assignment = sinkhorn(similarity)
    weights = assignment / assignment.sum(dim=0, keepdim=True).clamp(min=1e-8)
    return torch.lerp(weights.T @ wide(fused), wide(prototypes), momentum).to(prototypes.dtype)
