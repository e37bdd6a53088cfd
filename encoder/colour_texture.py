"""High-resolution images by what needs no training: colours and fixed filters, counted cell by cell.

Random convolutions after MOSAIKS (Rolf et al. 2021), a colour histogram, and uniform local binary patterns
(Ojala et al. 2002), softened so that rounding cannot turn one into another. Ours: the paper has a Swin here.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import TextureConfig
from .pieces import pieces
from .precision import wide, without_autocast

DARKEST, BRIGHTEST = -2.1, 2.25  # first and last bin of a channel, standardised: about 0 and 255
BIAS = 1.0  # a filter's response must exceed it
BRIGHTER = (0.02, 0.08)  # of a neighbour, in deviations of a channel: where it begins and where it is full
RING = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))  # around (1, 1)


class ColourTexture(nn.Module):
    """Images -> non-negative features per cell of `patch_px`: histogram, moments, filters, patterns."""

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
        px, around = self.config.patch_px, self._around
        n, _, height, width = pixels.shape
        cells = _cut(F.pad(pixels, (around,) * 4, mode="replicate"), px + 2 * around, px)
        weights = _cut(weight[:, None], px, px).flatten(1)
        some = pieces(len(cells), px**2, cells)
        with without_autocast(images.device.type):  # sums over a thousand pixels
            features = torch.cat([self._features(cells[i], weights[i]) for i in some])
        return features.reshape(n, height // px, width // px, -1).permute(0, 3, 1, 2)

    @property
    def _around(self) -> int:
        """Pixels beyond a cell that its features see."""
        return max(self.config.filter_px // 2, *self.config.pattern_px, 0)

    def _features(self, cells: Tensor, weight: Tensor) -> Tensor:
        """Cells (M, side, side, C) with the pixels around them, weight (M, P) of their own -> (M, D)."""
        pixels = self._with(cells, 0).flatten(1, 2).mT.contiguous()  # (M, C, P)
        level = (pixels - DARKEST).clamp(min=0)  # non-negative
        sums = [
            self._histogram(pixels, weight),
            (torch.cat([level, level.square()], dim=1) @ weight[..., None]).flatten(1),
            (weight[:, None] @ self._responses(self._with(cells, self.config.filter_px // 2))).flatten(1),
            *(self._patterns(cells, weight, px) for px in self.config.pattern_px),
        ]
        return torch.cat(sums, dim=1) / weight.sum(dim=1, keepdim=True).clamp(min=1)

    def _with(self, cells: Tensor, around: int) -> Tensor:
        """Cells with fewer pixels around them."""
        first = self._around - around
        own = slice(first, cells.shape[1] - first)
        return cells[:, own, own]

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

    def _patterns(self, cells: Tensor, weight: Tensor, px: int) -> Tensor:
        """Local binary patterns of squares of `px` pixels, weighted by their valid pixels: (M, PATTERNS)."""
        least, full = BRIGHTER
        grey = self._with(cells, px).mean(dim=3) / (full - least)
        if px > 1:
            grey = F.avg_pool2d(grey[:, None], px)[:, 0]
        side = grey.shape[1] - 2
        ring = torch.stack([grey[:, y : y + side, x : x + side] for y, x in RING])
        bit = ring.sub_(grey[:, 1:-1, 1:-1] + least / (full - least)).clamp_(0, 1)  # (8, M, side, side)
        count = bit.sum(dim=0).flatten(1)
        turns = (bit - bit.roll(1, 0)).abs_().sum(dim=0).flatten(1)  # 2 where the brighter ones are one run
        uniform = turns.neg_().add_(4).div_(2).clamp_(0, 1)  # (M, squares)
        if px > 1:
            weight = weight.reshape(-1, side, px, side, px).sum(dim=(2, 4)).flatten(1)
        counts = torch.arange(len(RING) + 1, device=grey.device, dtype=grey.dtype)[:, None]
        near = (count[:, None] - counts).abs_().neg_().add_(1).relu_()  # (M, 9, squares)
        runs = (near @ (weight * uniform)[..., None]).flatten(1)
        return torch.cat([runs, (weight * (1 - uniform)).sum(dim=1, keepdim=True)], dim=1)


def _cut(maps: Tensor, side: int, step: int) -> Tensor:
    """(N, C, H, W) -> squares of `side` pixels, `step` pixels apart: (N * h * w, side, side, C)."""
    squares = maps.unfold(2, side, step).unfold(3, side, step)  # (N, C, h, w, side, side)
    return squares.permute(0, 2, 3, 4, 5, 1).flatten(0, 2).contiguous()
