"""The pre-norm Transformer layer that the ViTs and the temporal fusion are built from.

N sequences, L tokens, D width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .linear import Linear, linear
from .precision import wide


class Attention(nn.Module):
    """Multi-head self-attention.

    With `tokens_first`, for many short sequences, tokens (N, L, D) and masks (N, L) are (L, N, D) and (L, N).
    """

    def __init__(self, width: int, heads: int, tokens_first: bool = False) -> None:
        super().__init__()
        assert width % heads == 0, (width, heads)
        self.heads = heads
        self.tokens_first = tokens_first
        self.qkv = Linear(width, 3 * width)
        self.out = Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None = None, queries: int | None = None) -> Tensor:
        """x (N, L, D), mask (N, L) True where a token is attended to -> (N, queries or L, D).

        With `queries` only the first so many tokens ask; all tokens answer.
        """
        asking = first_tokens(x, queries, self.tokens_first)
        if self.tokens_first:
            parts = zip((asking, x, x), self.qkv.weight.chunk(3), self.qkv.bias.chunk(3), strict=True)
            q, k, v = (linear(*part) for part in parts)
        elif queries is None:
            q, k, v = self.qkv(x).chunk(3, dim=-1)  # 3 x (N, L, D)
        else:
            width = x.shape[-1]
            weight, bias = self.qkv.weight, self.qkv.bias
            q = linear(asking, weight[:width], bias[:width])  # (N, queries, D)
            k, v = linear(x, weight[width:], bias[width:]).chunk(2, dim=-1)
        attend = attend_short if self.tokens_first else attend_long
        out: Tensor = self.out(attend(q, k, v, mask, self.heads))
        return out


def first_tokens(x: Tensor, count: int | None, tokens_first: bool) -> Tensor:
    """The first `count` tokens of each sequence, or all."""
    return x[:count] if tokens_first else x[:, :count]


def attend_long(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, heads: int) -> Tensor:
    """q (N, Q, D), k and v (N, L, D), mask (N, L) -> (N, Q, D), through `scaled_dot_product_attention`."""
    q, k, v = (torch.unflatten(t, -1, (heads, -1)).transpose(1, 2) for t in (q, k, v))  # (N, heads, L, -1)
    keys = None if mask is None else mask[:, None, None]  # (N, 1, 1, L)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=keys).transpose(1, 2).flatten(2)


def attend_short(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, heads: int) -> Tensor:
    """q (Q, N, D), k and v (L, N, D), mask (L, N) -> (Q, N, D).

    On a CPU as a few products of all sequences at once: `scaled_dot_product_attention` takes them one by one.
    """
    length, n, width = k.shape
    if q.device.type != "cpu":
        q, k, v = (t.transpose(0, 1) for t in (q, k, v))
        return attend_long(q, k, v, None if mask is None else mask.T, heads).transpose(0, 1)
    q, k, v = (t.reshape(len(t), n * heads, -1).transpose(0, 1) for t in (q, k, v))  # (N * heads, L, -1)
    absent = q.new_zeros(1, 1, 1)
    if mask is not None:
        floor = q.new_zeros(mask.shape).masked_fill(~mask, torch.finfo(q.dtype).min)  # (L, N)
        absent = floor.T[:, None].expand(n, heads, length).reshape(-1, 1, length)
    logits = wide(
        torch.baddbmm(absent, q, k.transpose(1, 2), alpha=(width // heads) ** -0.5)
    )  # (N * heads, Q, L)
    share = (logits - logits.amax(dim=-1, keepdim=True)).exp()
    out = weighted_sums(share.to(v.dtype), v) / share.sum(dim=-1, keepdim=True)
    return out.to(v.dtype).transpose(0, 1).reshape(-1, n, width)


def weighted_sums(share: Tensor, v: Tensor) -> Tensor:
    """share (N, Q, L) @ v (N, L, D) -> (N, Q, D).

    `torch.bmm` takes products of fewer than 400 multiplications number by number: those go token by token.
    """
    if share[0].numel() * v.shape[-1] >= 400:
        return torch.bmm(share, v)
    out = share[..., :1] * v[:, :1]
    for i in range(1, v.shape[1]):
        out = torch.addcmul(out, share[..., i : i + 1], v[:, i : i + 1])
    return out


class MLP(nn.Sequential):
    """Two linear layers with a GELU between them."""

    def __init__(self, width: int, ratio: float) -> None:
        hidden = int(width * ratio)
        super().__init__(Linear(width, hidden), nn.GELU(), Linear(hidden, width))

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        first, _, last = self
        assert isinstance(first, nn.Linear)
        out: Tensor = last(linear(x, first.weight, first.bias, gelu=True))
        return out


class Layer(nn.Module):
    """x + attention(norm1(x)), then x + mlp(norm2(x)). See `Attention` for `tokens_first`."""

    def __init__(
        self, width: int, heads: int, mlp_ratio: float, norm_eps: float, tokens_first: bool = False
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=norm_eps)
        self.attention = Attention(width, heads, tokens_first)
        self.norm2 = nn.LayerNorm(width, eps=norm_eps)
        self.mlp = MLP(width, mlp_ratio)

    def forward(self, x: Tensor, mask: Tensor | None = None, queries: int | None = None) -> Tensor:
        """x (N, L, D), mask (N, L) -> (N, queries or L, D)."""
        asking = first_tokens(x, queries, self.attention.tokens_first)
        x = asking + self.attention(self.norm1(x), mask, queries)
        out: Tensor = x + self.mlp(self.norm2(x))
        return out
