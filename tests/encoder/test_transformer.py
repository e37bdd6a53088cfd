"""The layer against plain arithmetic, and its shortcuts against the whole."""

import pytest
import torch
from torch import nn

from encoder.transformer import Attention, Layer, weighted_sums


def test_attention_is_softmax_of_scaled_products() -> None:
    torch.manual_seed(0)
    attention = Attention(width=6, heads=2)
    x = torch.randn(3, 5, 6)
    q, k, v = attention.qkv(x).chunk(3, dim=-1)
    heads = [
        torch.softmax(q[..., h] @ k[..., h].mT / 3**0.5, dim=-1) @ v[..., h]
        for h in (slice(0, 3), slice(3, 6))
    ]
    expected = attention.out(torch.cat(heads, dim=-1))
    torch.testing.assert_close(attention(x), expected)


def test_first_queries_alone_equal_the_whole_layer() -> None:
    torch.manual_seed(0)
    layer = Layer(width=8, heads=2, mlp_ratio=4, norm_eps=1e-5)
    x, mask = torch.randn(3, 5, 8), torch.rand(3, 5) > 0.3
    mask[:, 0] = True
    torch.testing.assert_close(layer(x, mask, queries=1), layer(x, mask)[:, :1])


def test_masked_tokens_equal_absent_ones() -> None:
    torch.manual_seed(0)
    layer = Layer(width=8, heads=2, mlp_ratio=4, norm_eps=1e-5)
    x = torch.randn(2, 5, 8)
    mask = torch.tensor([True, True, True, False, False]).expand(2, -1)
    torch.testing.assert_close(layer(x, mask)[:, :3], layer(x[:, :3]))


@pytest.mark.parametrize(("queries", "length"), [(1, 1), (1, 12), (3, 4), (4, 4), (8, 8)])
def test_weighted_sums_are_products(queries: int, length: int) -> None:
    torch.manual_seed(0)
    share, v = torch.rand(7, queries, length), torch.randn(length, 7, 32).transpose(0, 1)
    torch.testing.assert_close(weighted_sums(share, v), share @ v)


def test_norm_eps_is_the_configured_one() -> None:
    for eps in (1e-5, 1e-6):
        norms = [m for m in Layer(8, 2, 4, norm_eps=eps).modules() if isinstance(m, nn.LayerNorm)]
        assert [norm.eps for norm in norms] == [eps, eps]


@pytest.mark.parametrize("queries", [None, 1])
def test_tokens_first_is_the_same_layer(queries: int | None) -> None:
    torch.manual_seed(0)
    rows, columns = (Layer(8, 2, 4, norm_eps=1e-5, tokens_first=first) for first in (False, True))
    columns.load_state_dict(rows.state_dict())
    x, mask = torch.randn(3, 5, 8), torch.rand(3, 5) > 0.3
    mask[:, 0] = True
    for some in (mask, None):
        found = columns(x.transpose(0, 1), None if some is None else some.T, queries).transpose(0, 1)
        torch.testing.assert_close(found, rows(x, some, queries))
