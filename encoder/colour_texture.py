"""High-resolution images by what needs no training: colours and fixed filters, counted cell by cell.

Random convolutions after MOSAIKS (Rolf et al. 2021), and a colour histogram. Ours: the paper has a Swin here.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import TextureConfig
from .precision import wide

DARKEST, BRIGHTEST = -2.1, 2.25  # first and last bin of a channel, standardised: about 0 and 255
BIAS = 1.0  # a filter's response must exceed it


class ColourTexture(nn.Module):
    """Images -> non-negative features per cell of `patch_px`: histogram, moments, responses of filters."""

    filters: Tensor  # (F, C, k, k) on standardised pixels
    offset: Tensor  # (F,)

    def __init__(self, config: TextureConfig) -> None:
        super().__init__()
        self.config = config
        side = config.filter_px
        self.register_buffer("filters", torch.zeros(config.filters, config.in_channels, side, side))
        self.register_buffer("offset", torch.zeros(config.filters))

    def forward(self, images: Tensor, valid: Tensor | None = None) -> Tensor:
        """images (N, C, H, W) standardised, valid (N, H, W) -> (N, D, h, w), means over valid pixels."""
        pixels = wide(images)
        weight = torch.ones_like(pixels[:, 0]) if valid is None else valid.to(pixels.dtype)
        per_cell = self._cells(weight[:, None])  # (N, 1, h, w, P)
        count = per_cell.sum(dim=-1).clamp(min=1)  # (N, 1, h, w)
        plain = torch.cat([self._moments(pixels), self._responses(pixels)], dim=1)
        means = (self._cells(plain) * per_cell).sum(dim=-1) / count
        return torch.cat([self._histogram(pixels, per_cell) / count, means], dim=1)

    def _cells(self, maps: Tensor) -> Tensor:
        """(N, K, H, W) -> (N, K, h, w, P), P pixels of a cell."""
        px = self.config.patch_px
        n, k, height, width = maps.shape
        cut = maps.reshape(n, k, height // px, px, width // px, px)
        return cut.transpose(3, 4).flatten(4)

    def _histogram(self, pixels: Tensor, weight: Tensor) -> Tensor:
        """Joint histogram of the channels, each pixel shared by the bins around it: (N, bins^C, h, w)."""
        last = self.config.bins - 1
        at = ((pixels - DARKEST) / (BRIGHTEST - DARKEST) * last).clamp(0, last)
        bins = torch.arange(self.config.bins, device=pixels.device, dtype=pixels.dtype)
        share = F.relu(1 - (at[:, :, None] - bins[:, None, None]).abs())  # (N, C, bins, H, W)
        joint = weight
        for channel in share.unbind(dim=1)[:-1]:
            joint = (joint[:, :, None] * self._cells(channel)[:, None]).flatten(1, 2)
        return torch.einsum("nahwp,nbhwp->nabhw", joint, self._cells(share[:, -1])).flatten(1, 2)

    def _moments(self, pixels: Tensor) -> Tensor:
        """Each channel and its square, made non-negative: (N, 2 C, H, W)."""
        level = (pixels - DARKEST).clamp(min=0)
        return torch.cat([level, level.square()], dim=1)

    def _responses(self, pixels: Tensor) -> Tensor:
        """Both signs of each filter's response: (N, 2 F, H, W)."""
        around = self.config.filter_px // 2
        padded = F.pad(pixels, (around,) * 4, mode="replicate")
        response = F.conv2d(padded, self.filters) - self.offset[:, None, None]
        return F.relu(torch.cat([response, -response], dim=1) - BIAS)
