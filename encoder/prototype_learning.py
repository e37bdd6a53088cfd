"""Regional prototypes while training: where they start, and how each step moves them (paper, section 3.4)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .geo_context import GeoContext, h3_parent
from .losses.geo_context import updated_prototypes
from .skysense import SkySense

NO_PLACE = 0  # the H3 cell of a sample whose position is unknown


def seed_prototypes(model: SkySense, h3_cells: Tensor, per_region: int, seed: int) -> None:
    """Gives each region that holds one of the cells (n,) random unit prototypes.

    A position that is unknown lies in no region.
    """
    known = h3_cells[h3_cells != NO_PLACE]
    regions = torch.unique(h3_parent(known, model.config.geo.region_resolution))
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(len(regions), per_region, model.config.fusion.width, generator=generator)
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
