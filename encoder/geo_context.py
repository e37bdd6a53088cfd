"""Attentive geo-context: attention over the prototypes of a sample's region (paper, section 3.3).

A region is an H3 cell (ours: the paper's map from location to region is unpublished).
B samples, N tokens, D width, R regions, P prototypes.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import GeoContextConfig

H3_RESOLUTION_SHIFT = 52  # bits of an H3 id: 3 per digit from bit 42 down, the resolution in bits 52-55


def h3_parent(cells: Tensor, resolution: int) -> Tensor:
    """Parents (int64) of H3 cells (int64) by bit arithmetic; a coarser cell stays itself."""
    own = (cells >> H3_RESOLUTION_SHIFT) & 0xF
    unused_digits = (1 << (3 * (15 - resolution))) - 1
    parents = (cells & ~(0xF << H3_RESOLUTION_SHIFT)) | (resolution << H3_RESOLUTION_SHIFT) | unused_digits
    return torch.where(own > resolution, parents, cells)


class GeoContext(nn.Module):
    """Regional prototypes, as buffers: they are saved with the weights and no gradient reaches them."""

    region_cells: Tensor
    prototypes: Tensor
    prototype_count: Tensor

    def __init__(self, config: GeoContextConfig, width: int) -> None:
        super().__init__()
        self.config = config
        regions, count = config.region_count, config.prototypes_per_region
        self.register_buffer("region_cells", torch.zeros(regions, dtype=torch.int64))  # ascending H3 ids
        self.register_buffer("prototypes", torch.zeros(regions, count, width))
        self.register_buffer("prototype_count", torch.zeros(regions, dtype=torch.int64))  # in use, of P

    def region_index(self, h3_cells: Tensor) -> Tensor:
        """H3 cells (B,) int64 -> row of their region (B,), -1 = unknown."""
        if not len(self.region_cells):
            return torch.full_like(h3_cells, -1)
        regions = h3_parent(h3_cells, self.config.region_resolution)
        row = torch.searchsorted(self.region_cells, regions).clamp(max=len(self.region_cells) - 1)
        return torch.where(self.region_cells[row] == regions, row, -1)

    def forward(self, fused: Tensor, h3_cells: Tensor) -> Tensor:
        """fused F_fus^mm (B, N, D), h3_cells (B,) int64 -> Concat[F_fus^mm, Softmax(Q K^T / sqrt(D)) V].

        (B, N, 2D); Q = F_fus^mm, K = V = the region's prototypes. An unknown region's second half is zero.
        """
        row = self.region_index(h3_cells)
        known = row >= 0
        context = torch.zeros_like(fused)
        if known.any():
            vectors = self.prototypes[row[known]].to(fused.dtype)  # (B', P, D)
            slots = torch.arange(vectors.shape[1], device=fused.device)
            used = slots < self.prototype_count[row[known], None]  # (B', P)
            context[known] = F.scaled_dot_product_attention(
                fused[known], vectors, vectors, attn_mask=used[:, None]
            )
        return torch.cat([fused, context], dim=-1)
