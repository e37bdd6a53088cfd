"""TSViT: first in time with a token for each class, then in space (Tarasiou et al., arXiv 2301.04944).

With the paper's sizes (patch 2, width 128, 4 + 4 layers) and PASTIS' 19 classes it has its 1.7 M parameters.
"""

import torch
from torch import Tensor, nn

DAYS = 366


class TSViT(nn.Module):
    """See the head of this file.

    Args:
        in_channels: C.
        classes: K.
        side_px: H and W.
        patch_px: side of a token.
        width, depth, heads: of both encoders; `depth` layers each.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        side_px: int = 24,
        patch_px: int = 2,
        width: int = 128,
        depth: int = 4,
        heads: int = 4,
    ) -> None:
        super().__init__()
        assert side_px % patch_px == 0, (side_px, patch_px)
        self.patch_px, self.classes, self.tokens = patch_px, classes, (side_px // patch_px) ** 2
        self.embed = nn.Linear(in_channels * patch_px**2, width)
        self.date = nn.Linear(DAYS, width)  # a table of days, with a bias
        self.class_tokens = nn.Parameter(torch.randn(1, classes, width))
        self.in_time = _encoder(width, depth, heads)
        self.position = nn.Parameter(torch.randn(1, self.tokens, width))
        self.in_space = _encoder(width, depth, heads)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, patch_px**2))

    def forward(self, pixels: Tensor, valid: Tensor, day_of_year: Tensor) -> Tensor:
        """Dates without a valid pixel are hidden from attention."""
        b, t, c, h, w = pixels.shape
        p = self.patch_px
        cut = pixels.reshape(b, t, c, h // p, p, w // p, p).permute(0, 3, 5, 1, 4, 6, 2)
        x = self.embed(cut.reshape(b, self.tokens, t, p * p * c))  # (B, N, T, d)
        x = x + (self.date.weight.T[day_of_year.clamp(0, DAYS - 1)] + self.date.bias)[:, None]
        k = self.classes
        x = torch.cat([self.class_tokens.expand(b * self.tokens, k, -1), x.flatten(0, 1)], dim=1)
        seen = valid.flatten(2).any(dim=2)  # (B, T)
        hidden = torch.cat([torch.zeros(b, k, dtype=torch.bool), ~seen], dim=1)
        x = self.in_time(x, src_key_padding_mask=hidden.repeat_interleave(self.tokens, 0))[:, :k]
        x = x.reshape(b, self.tokens, k, -1).transpose(1, 2).flatten(0, 1)  # (B * K, N, d)
        x = self.head(self.in_space(x + self.position))  # (B * K, N, p * p)
        laid: Tensor = x.reshape(b, k, h // p, w // p, p, p).permute(0, 1, 2, 4, 3, 5).reshape(b, k, h, w)
        return laid


def _encoder(width: int, depth: int, heads: int) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(
        width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    return nn.TransformerEncoder(layer, depth, nn.LayerNorm(width), enable_nested_tensor=False)
