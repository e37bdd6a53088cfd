"""The pre-norm Transformer layer that the ViTs and the temporal fusion are built from.

N sequences, L tokens, D width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head self-attention through `scaled_dot_product_attention`."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        assert width % heads == 0, (width, heads)
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None = None, queries: int | None = None) -> Tensor:
        """x (N, L, D), mask (N, L) True where a token is attended to -> (N, queries or L, D).

        With `queries` only the first so many tokens ask; all tokens answer.
        """
        if queries is None:
            q, k, v = self.qkv(x).chunk(3, dim=-1)  # 3 x (N, L, D)
        else:
            width = x.shape[-1]
            weight, bias = self.qkv.weight, self.qkv.bias
            q = F.linear(x[:, :queries], weight[:width], bias[:width])  # (N, queries, D)
            k, v = F.linear(x, weight[width:], bias[width:]).chunk(2, dim=-1)
        shape = (self.heads, x.shape[-1] // self.heads)
        q, k, v = (torch.unflatten(t, -1, shape).transpose(1, 2) for t in (q, k, v))  # (N, heads, L, -1)
        keys = None if mask is None else mask[:, None, None]  # (N, 1, 1, L)
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=keys)
        out: Tensor = self.out(x.transpose(1, 2).flatten(2))
        return out


class MLP(nn.Sequential):
    """Two linear layers with a GELU between them."""

    def __init__(self, width: int, ratio: float) -> None:
        hidden = int(width * ratio)
        super().__init__(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))


class Layer(nn.Module):
    """x + attention(norm1(x)), then x + mlp(norm2(x))."""

    def __init__(self, width: int, heads: int, mlp_ratio: float, norm_eps: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=norm_eps)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=norm_eps)
        self.mlp = MLP(width, mlp_ratio)

    def forward(self, x: Tensor, mask: Tensor | None = None, queries: int | None = None) -> Tensor:
        """x (N, L, D), mask (N, L) -> (N, queries or L, D)."""
        x = x[:, :queries] + self.attention(self.norm1(x), mask, queries)
        out: Tensor = x + self.mlp(self.norm2(x))
        return out
