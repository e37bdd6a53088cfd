"""Swin V2: shapes, windows, the shift and its mask, the cached bias."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from encoder.config import SwinConfig
from encoder.initialise import initialise
from encoder.swin_v2 import (
    SwinV2,
    WindowAttention,
    from_windows,
    relative_coordinates,
    relative_index,
    shift_mask,
    to_windows,
)

CONFIG = SwinConfig(
    width=8, depths=(2, 2), heads=(1, 2), windows=(4, 4), extra_norm_every=2, out_stages=(0, 1)
)


def swin(config: SwinConfig = CONFIG) -> SwinV2:
    model = SwinV2(config)
    initialise(model, seed=2)
    return model.eval()


@pytest.mark.parametrize(("height", "width"), [(64, 64), (40, 56), (61, 66)])
def test_stage_maps(height: int, width: int) -> None:
    maps = swin().stage_maps(torch.randn(2, 3, height, width))
    h, w = -(-height // 4), -(-width // 4)
    assert maps[0].shape == (2, 8, h, w)
    assert maps[1].shape == (2, 16, -(-h // 2), -(-w // 2))


def test_output_norm_is_applied() -> None:
    out = swin()(torch.randn(1, 3, 64, 64))
    torch.testing.assert_close(out.mean(dim=1), torch.zeros(1, 8, 8))


def test_the_extra_norm_sits_after_every_nth_block() -> None:
    model = swin(replace(CONFIG, depths=(2, 6), extra_norm_every=3))
    norms = [key for key in model.state_dict() if "norm3.weight" in key]
    assert norms == ["stages.1.2.norm3.weight", "stages.1.5.norm3.weight"]


def test_a_map_smaller_than_the_window_is_an_error_unless_padded() -> None:
    image = torch.randn(1, 3, 16, 16)  # 4 x 4, then 2 x 2 tokens
    with pytest.raises(ValueError, match="2x2 tokens is smaller than the window of 4"):
        swin()(image)
    assert swin(replace(CONFIG, pad_small_map=True))(image).shape == (1, 16, 2, 2)


def test_windows_round_trip() -> None:
    x = torch.arange(2 * 8 * 12 * 3.0).view(2, 8, 12, 3)
    windows = to_windows(x, 4)
    assert windows.shape == (2 * 6, 16, 3)
    assert torch.equal(windows[1], x[0, :4, 4:8].reshape(16, 3))
    assert torch.equal(from_windows(windows, 4, 8, 12), x)


def test_shift_mask_parts_only_what_is_not_adjacent() -> None:
    mask = shift_mask(8, 8, window=4, shift=2, device=torch.device("cpu"))  # (4, 16, 16)
    assert (mask[0] == 0).all()
    rows, cols = torch.arange(16) // 4 >= 2, torch.arange(16) % 4 >= 2
    same_column = cols[:, None] == cols[None]
    assert torch.equal(mask[1] == 0, same_column)
    assert torch.equal(mask[3] == 0, same_column & (rows[:, None] == rows[None]))
    assert mask.unique().tolist() == [-100, 0]


def test_relative_position_of_two_tokens() -> None:
    coords, index = relative_coordinates(3), relative_index(3)
    assert coords.shape == (1, 5, 5, 2)
    offset = coords.flatten(0, 2)[index]  # (9, 9, 2)
    assert offset[4, 4].tolist() == [0, 0]
    full = torch.log2(torch.tensor(9.0)) / 3
    torch.testing.assert_close(offset[8, 0], torch.stack([full, full]))  # two steps of window - 1 = 2
    torch.testing.assert_close(offset, -offset.transpose(0, 1))


def test_attention_against_plain_arithmetic() -> None:
    torch.manual_seed(0)
    attention = WindowAttention(width=8, heads=2, window=2)
    torch.nn.init.normal_(attention.q_bias)
    torch.nn.init.normal_(attention.v_bias)
    x, mask = torch.randn(6, 4, 8), -100 * (torch.rand(3, 4, 4) > 0.7).float()
    q, k, v = (x @ w.mT for w in attention.qkv.weight.chunk(3))
    q, v = q + attention.q_bias, v + attention.v_bias
    heads = []
    for h, own in enumerate((slice(0, 4), slice(4, 8))):
        logits = F.normalize(q[..., own], dim=-1) @ F.normalize(k[..., own], dim=-1).mT
        logits = logits * 10 + attention.position_bias()[h] + mask.repeat(2, 1, 1)
        heads.append(torch.softmax(logits, dim=-1) @ v[..., own])
    torch.testing.assert_close(attention(x, mask), attention.out(torch.cat(heads, dim=-1)))


def test_logit_scale_is_clamped_at_one_hundred() -> None:
    attention, x = WindowAttention(8, 2, 2), torch.randn(1, 4, 8)
    with torch.no_grad():
        attention.logit_scale.fill_(torch.log(torch.tensor(100.0)))
        at_limit = attention(x, None)
        attention.logit_scale.fill_(9.0)
        torch.testing.assert_close(attention(x, None), at_limit)


def test_the_cached_bias_changes_nothing_and_goes_with_mode_and_weights() -> None:
    model, image = swin(), torch.randn(1, 3, 40, 56)
    before = model(image)
    model.cache_bias()
    torch.testing.assert_close(model(image), before)
    attention = model.stages[1][0].attention
    assert attention.cached_bias is not None
    assert "cached_bias" not in attention.state_dict()
    assert attention.train().cached_bias is None
    attention.cache_bias()
    other = WindowAttention(16, 2, 4)
    attention.load_state_dict(other.state_dict())
    assert attention.cached_bias is None
    x = torch.randn(1, 16, 16)
    torch.testing.assert_close(attention(x, None), other(x, None))


def test_norm_eps_is_the_configured_one() -> None:
    norms = [m for m in swin(replace(CONFIG, norm_eps=1e-3)).modules() if isinstance(m, torch.nn.LayerNorm)]
    assert {norm.eps for norm in norms} == {1e-3}
    assert len(norms) == 2 + 2 * 2 * 2 + 2 + 2 - 1 + 1  # patch, blocks, extra, output, downsampling
