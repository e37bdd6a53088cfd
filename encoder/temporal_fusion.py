"""Multi-modal temporal fusion: one Transformer over all tokens of a grid cell (paper, section 3.2)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import FusionConfig
from .linear import Linear
from .pieces import pieces
from .transformer import Layer


class TemporalFusion(nn.Module):
    """Collects a sequence of tokens, in any order and number, in one extra token (F_e).

    N sequences (grid cells), L tokens (modalities and dates), D width. Inside, tokens come first.
    """

    def __init__(self, config: FusionConfig) -> None:
        super().__init__()
        self.config = config
        self.project = Linear(config.in_width, config.width)
        self.class_token = nn.Parameter(torch.zeros(1, 1, config.width))
        self.layers = nn.ModuleList(
            Layer(config.width, config.heads, config.mlp_ratio, config.norm_eps, tokens_first=True)
            for _ in range(config.depth)
        )

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """tokens (N, L, in_width), mask (N, L) True where there is a token -> (N, D)."""
        return self.collect(*self._projected(tokens, mask))

    def collect(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Fuses projected tokens (L, N, D), mask (L, N) -> (N, D), some sequences at a time."""
        some = pieces(tokens.shape[1], 1 + len(tokens), tokens, self.config.chunk_tokens)
        made = [self._collect(tokens[:, i], None if mask is None else mask[:, i]) for i in some]
        return made[0] if len(made) == 1 else torch.cat(made)

    def _collect(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        x, mask = self._with_extra_token(tokens, mask)
        for layer in self.layers[:-1]:
            x = layer(x, mask)
        out: Tensor = self.layers[-1](x, mask, queries=1)[0]  # only the extra token is wanted
        return out

    def sequence(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """tokens (N, L, in_width) -> all tokens after the last layer (N, 1 + L, D), the extra token first."""
        x, mask = self._with_extra_token(*self._projected(tokens, mask))
        for layer in self.layers:
            x = layer(x, mask)
        return x.transpose(0, 1)

    def _projected(self, tokens: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(N, L, in_width), (N, L) -> (L, N, D), (L, N)."""
        return self.project(tokens.transpose(0, 1)), None if mask is None else mask.T

    def _with_extra_token(self, tokens: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        if not self.config.class_token:
            return tokens, mask
        x = torch.cat([self.class_token.expand(-1, tokens.shape[1], -1).to(tokens.dtype), tokens])
        return x, None if mask is None else F.pad(mask, (0, 0, 1, 0), value=True)
