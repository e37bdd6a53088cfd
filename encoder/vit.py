"""The Vision Transformer that encodes one Sentinel-1 or Sentinel-2 date (paper, section 3.1)."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import ViTConfig
from .linear import PatchConv
from .precision import wide
from .transformer import Layer


class ViT(nn.Module):
    """Pre-norm ViT with a class token, a learned position embedding and no final norm."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.config = config
        self.grid = (config.image_px[0] // config.patch_px, config.image_px[1] // config.patch_px)
        self.patch_embed = PatchConv(config.in_channels, config.width, config.patch_px)
        self.class_token = nn.Parameter(torch.zeros(1, 1, config.width))
        self.position = nn.Parameter(
            torch.zeros(1, 1 + math.prod(self.grid), config.width)
        )  # the class token's first
        self.layers = nn.ModuleList(
            Layer(config.width, config.heads, config.mlp_ratio, config.norm_eps) for _ in range(config.depth)
        )

    def forward(self, images: Tensor, valid: Tensor | None = None) -> Tensor:
        """images (N, C, H, W) normalised, valid (N, H, W) bool -> (N, D, h, w), h = ceil(H / patch).

        Images are zero-padded at the right and bottom to a multiple of the patch. Patches with no valid
        pixel are not attended to.
        """
        return self.layer_maps(images, [len(self.layers) - 1], valid)[0]

    def layer_maps(self, images: Tensor, layers: Sequence[int], valid: Tensor | None = None) -> list[Tensor]:
        """The patch tokens after each of the given layers (zero-based, ascending): (N, D, h, w) each."""
        patches = self.patch_embed(pad_to_multiple(images, self.config.patch_px))  # (N, D, h, w)
        h, w = patches.shape[-2:]
        position = resize_position(self.position, self.grid, (h, w))
        x = patches.flatten(2).transpose(1, 2) + position[:, 1:]  # (N, h * w, D)
        mask = None if valid is None else self._attended(valid)
        if self.config.class_token:
            first = (self.class_token + position[:, :1]).expand(len(x), -1, -1)
            x = torch.cat([first, x], dim=1)
            mask = None if mask is None else F.pad(mask, (1, 0), value=True)
        maps = []
        for number, layer in enumerate(self.layers):
            x = layer(x, mask)
            if number in layers:
                maps.append(torch.unflatten(x[:, -h * w :].transpose(1, 2), 2, (h, w)))
        return maps

    def _attended(self, valid: Tensor) -> Tensor:
        """(N, H, W) -> (N, h * w): patches with a valid pixel; all of them in an image that has none."""
        padded = pad_to_multiple(valid[:, None].float(), self.config.patch_px)
        patches = F.max_pool2d(padded, self.config.patch_px).flatten(1) > 0
        return patches | ~patches.any(dim=1, keepdim=True)


def resize_position(position: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """A position embedding (1, 1 + h * w, D) of the grid `old`, resized bicubically to the grid `new`."""
    if old == new:
        return position
    grid = torch.unflatten(position[:, 1:].transpose(1, 2), 2, old)  # (1, D, h, w)
    grid = F.interpolate(wide(grid), size=new, mode="bicubic", align_corners=False)
    return torch.cat([position[:, :1], grid.flatten(2).transpose(1, 2).to(position.dtype)], dim=1)


def pad_to_multiple(images: Tensor, multiple: int) -> Tensor:
    """(..., H, W), zero-padded at the right and bottom."""
    h, w = images.shape[-2:]
    return F.pad(images, (0, -w % multiple, 0, -h % multiple))
