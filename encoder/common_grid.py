"""From a ViT's patches to the grid that all modalities share (paper, section 3.1; "UPHead" in the code)."""

import torch.nn.functional as F
from torch import Tensor, nn

from .linear import PatchConv


class UPHead(nn.Module):
    """A 1x1 convolution and a pixel shuffle: each patch becomes scale x scale cells."""

    def __init__(self, in_width: int, out_width: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.project = PatchConv(in_width, out_width * scale**2, 1)

    def forward(self, patches: Tensor) -> Tensor:
        """(N, in_width, h, w) -> (N, out_width, h * scale, w * scale)."""
        cells = self.project(patches)
        return cells if self.scale == 1 else F.pixel_shuffle(cells, self.scale)
