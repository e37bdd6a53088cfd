"""UNet3D: convolutions in time and space (Rustowicz et al. 2019, as the PASTIS benchmark configures it).

Two levels that halve time and space, a bottleneck, two that double them with skips; scores are averaged over
time. With 8 features and 20 classes it has the 1.55 M parameters of the PASTIS paper (arXiv 2107.07933), with
16 the 6.2 M of TSViT's table (arXiv 2301.04944).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MULTIPLE = 4  # of time and space: two halvings


class UNet3D(nn.Module):
    """See the head of this file.

    Args:
        in_channels: C.
        classes: K.
        features: dial of the width.
    """

    def __init__(self, in_channels: int, classes: int, features: int = 8) -> None:
        super().__init__()
        f = features
        self.down1 = nn.Sequential(*_conv(in_channels, 4 * f), *_conv(4 * f, 4 * f))
        self.down2 = nn.Sequential(*_conv(4 * f, 8 * f), *_conv(8 * f, 8 * f))
        self.bottom = nn.Sequential(*_conv(8 * f, 16 * f), *_conv(16 * f, 16 * f), _double(16 * f, 8 * f))
        self.up2 = nn.Sequential(*_conv(16 * f, 8 * f), *_conv(8 * f, 8 * f))
        self.double1 = nn.Sequential(_double(8 * f, 4 * f), nn.BatchNorm3d(4 * f), nn.LeakyReLU())
        self.up1 = nn.Sequential(*_conv(8 * f, 4 * f), *_conv(4 * f, 2 * f))
        self.head = nn.Conv3d(2 * f, classes, 3, padding=1)

    def forward(self, pixels: Tensor, valid: Tensor, day_of_year: Tensor) -> Tensor:
        """Dates are seen by their order alone."""
        t, h, w = pixels.shape[1], *pixels.shape[3:]
        x = _padded(pixels.transpose(1, 2))  # (B, C, T', H', W')
        first = self.down1(x)
        second = self.down2(F.max_pool3d(first, 2))
        x = self.bottom(F.max_pool3d(second, 2))
        x = self.up2(torch.cat([x, second], dim=1))
        x = self.up1(torch.cat([self.double1(x), first], dim=1))
        scores = self.head(x)[:, :, :t, :h, :w]
        seen = valid.flatten(2).any(dim=2).float()[:, None, :, None, None]  # (B, 1, T, 1, 1)
        averaged: Tensor = (scores * seen).sum(dim=2) / seen.sum(dim=2).clamp(min=1)
        return averaged


def _conv(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Conv3d(inputs, outputs, 3, padding=1), nn.BatchNorm3d(outputs), nn.LeakyReLU()


def _double(inputs: int, outputs: int) -> nn.Module:
    return nn.ConvTranspose3d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)


def _padded(x: Tensor) -> Tensor:
    """Zeros behind time and space up to a multiple of 4."""
    t, h, w = ((-n) % MULTIPLE for n in x.shape[2:])
    return F.pad(x, (0, w, 0, h, 0, t))
