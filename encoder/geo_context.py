"""Attentive geo-context: attention over the prototypes of a sample's region (paper, section 3.3).

A region is an H3 cell (ours: the paper's map from location to region is unpublished).
B samples, N tokens, D width, R regions, P prototypes.
"""

from dataclasses import replace

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
        if not len(self.region_cells):
            return torch.cat([fused, torch.zeros_like(fused)], dim=-1)
        row = self.region_index(h3_cells)
        vectors = self.prototypes[row.clamp(min=0)].to(fused.dtype)  # (B, P, D)
        slots = torch.arange(vectors.shape[1], device=fused.device)
        used = slots < self.prototype_count[row.clamp(min=0), None]  # (B, P)
        context = F.scaled_dot_product_attention(fused, vectors, vectors, attn_mask=used[:, None])
        return torch.cat([fused, torch.where((row >= 0)[:, None, None], context, 0.0)], dim=-1)

    def hold(self, region_cells: Tensor, prototypes: Tensor, prototype_count: Tensor) -> None:
        """Takes prototypes (R, P, D) of regions (R,) int64; `prototype_count` (R,) of each are in use.

        Raises ValueError for shapes that do not fit, a region without prototypes or given twice, and a cell
        of another resolution.
        """
        regions, count, width = prototypes.shape
        if region_cells.shape != (regions,) or prototype_count.shape != (regions,):
            raise ValueError(
                f"prototypes {tuple(prototypes.shape)} with {len(region_cells)} regions"
                f" and {len(prototype_count)} counts: expected one of each per region"
            )
        if width != self.prototypes.shape[2]:
            raise ValueError(f"prototypes are {width} wide, the embedding is {self.prototypes.shape[2]}")
        if prototype_count.min() < 1 or prototype_count.max() > count:
            raise ValueError(f"each region holds 1 to {count} prototypes, got {prototype_count.tolist()}")
        resolution = (region_cells >> H3_RESOLUTION_SHIFT) & 0xF
        if (resolution != self.config.region_resolution).any() or len(set(region_cells.tolist())) != regions:
            raise ValueError(f"regions are distinct H3 cells of resolution {self.config.region_resolution}")
        order = region_cells.argsort()
        self.region_cells = region_cells[order].clone()
        self.prototypes = prototypes[order].to(self.prototypes.dtype).clone()
        self.prototype_count = prototype_count[order].clone()
        self.config = replace(self.config, region_count=regions, prototypes_per_region=count)
