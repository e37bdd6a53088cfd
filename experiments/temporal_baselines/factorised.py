"""Our factorised encoder as a segmentation model: space first, date by date, then time, square by square.

The modules are SkySense's own (encoder/): a ViT over each date, the date encoding, the fusion Transformer
that collects a square's dates in an extra token; a linear layer gives the scores of a square's pixels.
"""

import torch
from torch import Tensor, nn

from encoder.config import FusionConfig, SkySenseConfig, ViTConfig
from encoder.initialise import initialise
from encoder.skysense import SkySense, cell_validity
from encoder.training.pretrain import start_dates


class Factorised(nn.Module):
    """Sentinel-2 series alone.

    Args:
        in_channels: C.
        classes: K.
        side_px: H and W.
        patch_px: side of a token, one square of the grid.
        width, depth, heads: of both Transformers; `depth` layers each.
        seed: of the weights.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        side_px: int = 24,
        patch_px: int = 2,
        width: int = 96,
        depth: int = 3,
        heads: int = 4,
        seed: int = 0,
    ) -> None:
        super().__init__()
        vit = ViTConfig(in_channels, (side_px, side_px), patch_px, width, depth, heads, class_token=False)
        fusion = FusionConfig(in_width=width, width=width, depth=depth, heads=heads)
        config = SkySenseConfig(hr=None, s2=vit, s1=None, up_scale=1, fusion=fusion)
        self.encoder = SkySense(config)
        initialise(self.encoder, seed)
        start_dates(self.encoder, 1.0, seed)
        self.patch_px, self.classes = patch_px, classes
        self.head = nn.Linear(width, classes * patch_px**2)

    def forward(self, pixels: Tensor, valid: Tensor, day_of_year: Tensor) -> Tensor:
        """Dates that are not valid in a square are hidden from its fusion."""
        maps = {"s2": self.encoder.encode_s2(pixels, valid)}
        seen = {"s2": cell_validity(valid, self.patch_px, 0.5)}
        fused = self.encoder.fuse(maps, {"s2": day_of_year}, seen)  # (B, d, h, w)
        scores = self.head(fused.permute(0, 2, 3, 1))  # (B, h, w, K * p * p)
        return torch.pixel_shuffle(scores.permute(0, 3, 1, 2), self.patch_px)
