"""High-resolution images by what needs no training: colours and fixed filters, counted cell by cell.

Random convolutions after MOSAIKS (Rolf et al. 2021), and a colour histogram. Ours: the paper has a Swin here.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import TextureConfig
from .pieces import pieces
from .precision import wide, without_autocast

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
        px, around = self.config.patch_px, self.config.filter_px // 2
        n, _, height, width = pixels.shape
        cells = _cut(F.pad(pixels, (around,) * 4, mode="replicate"), px + 2 * around, px)
        weights = _cut(weight[:, None], px, px).flatten(1)
        some = pieces(len(cells), px**2, cells)
        with without_autocast(images.device.type):  # sums over a thousand pixels
            features = torch.cat([self._features(cells[i], weights[i]) for i in some])
        return features.reshape(n, height // px, width // px, -1).permute(0, 3, 1, 2)

    def _features(self, cells: Tensor, weight: Tensor) -> Tensor:
        """Cells (M, side, side, C) with the pixels around them, weight (M, P) of their own -> (M, D)."""
        own = slice(self.config.filter_px // 2, self.config.filter_px // 2 + self.config.patch_px)
        pixels = cells[:, own, own].flatten(1, 2).mT.contiguous()  # (M, C, P)
        level = (pixels - DARKEST).clamp(min=0)  # non-negative
        sums = [
            self._histogram(pixels, weight),
            (torch.cat([level, level.square()], dim=1) @ weight[..., None]).flatten(1),
            (weight[:, None] @ self._responses(cells)).flatten(1),
        ]
        return torch.cat(sums, dim=1) / weight.sum(dim=1, keepdim=True).clamp(min=1)

    def _histogram(self, pixels: Tensor, weight: Tensor) -> Tensor:
        """pixels (M, C, P), weight (M, P) -> their joint histogram (M, bins^C).

        Each pixel is shared by the bins around it.
        """
        last = self.config.bins - 1
        at = ((pixels - DARKEST) / (BRIGHTEST - DARKEST) * last).clamp(0, last)
        bins = torch.arange(self.config.bins, device=pixels.device, dtype=pixels.dtype)
        share = F.relu(1 - (at[:, :, None] - bins[:, None]).abs())  # (M, C, bins, P)
        joint = weight[:, None]
        for channel in share.unbind(dim=1)[:-1]:
            joint = (joint[:, :, None] * channel[:, None]).flatten(1, 2)
        return (joint @ share[:, -1].mT).flatten(1)

    def _responses(self, cells: Tensor) -> Tensor:
        """Both signs of each filter's response at each pixel: (M, P, 2 F)."""
        filters = torch.cat([self.filters, -self.filters])
        beyond = torch.cat([-self.offset, self.offset]) - BIAS
        response = F.conv2d(cells.permute(0, 3, 1, 2), filters, beyond).relu_()
        return response.flatten(2).mT


def _cut(maps: Tensor, side: int, step: int) -> Tensor:
    """(N, C, H, W) -> squares of `side` pixels, `step` pixels apart: (N * h * w, side, side, C)."""
    squares = maps.unfold(2, side, step).unfold(3, side, step)  # (N, C, h, w, side, side)
    return squares.permute(0, 2, 3, 4, 5, 1).flatten(0, 2).contiguous()
