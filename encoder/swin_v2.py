"""Swin Transformer V2, the encoder of high-resolution images (paper, section 3.1; Liu et al. 2022).

B images, C channels, H x W tokens; maps are channels-last inside.
"""

import math
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import SwinConfig
from .linear import Linear, PatchConv, linear
from .transformer import MLP
from .vit import pad_to_multiple

MAX_LOGIT_SCALE = 100.0
MASKED_LOGIT = -100.0  # between parts of a shifted window that are not neighbours on the map


class WindowAttention(nn.Module):
    """Cosine attention inside square windows, with a continuous relative position bias."""

    coords: Tensor
    index: Tensor
    cached_bias: Tensor | None

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.window = window
        self.qkv = Linear(width, 3 * width, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(width))
        self.v_bias = nn.Parameter(torch.zeros(width))
        self.logit_scale = nn.Parameter(torch.full((heads, 1, 1), math.log(10.0)))
        self.bias_mlp = nn.Sequential(nn.Linear(2, 512), nn.ReLU(), nn.Linear(512, heads, bias=False))
        self.out = Linear(width, width)
        self.register_buffer("coords", relative_coordinates(window), persistent=False)
        self.register_buffer("index", relative_index(window), persistent=False)
        self.register_buffer("cached_bias", None, persistent=False)

    def forward(self, windows: Tensor, mask: Tensor | None) -> Tensor:
        """windows (B * nW, window ** 2, C), mask (nW, window ** 2, window ** 2) additive or None."""
        bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        qkv = linear(windows, self.qkv.weight, bias)
        parts = torch.unflatten(qkv, -1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        scale = self.logit_scale.clamp(max=math.log(MAX_LOGIT_SCALE)).exp()
        scale = torch.stack([scale, torch.ones_like(scale)])[:, None]  # of q and k: (2, 1, heads, 1, 1)
        qk, v = parts[:2], parts[2]  # (2, B * nW, heads, window ** 2, C / heads)
        length = torch.linalg.vector_norm(qk, dim=-1, keepdim=True).clamp(min=1e-12)
        q, k = (qk * (scale / length)).to(v.dtype)
        logits = (self.position_bias() if self.cached_bias is None else self.cached_bias)[None]
        if mask is not None:
            logits = (logits + mask[:, None]).repeat(len(windows) // len(mask), 1, 1, 1)
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=logits.to(v.dtype), scale=1.0)
        out: Tensor = self.out(x.transpose(1, 2).flatten(2))
        return out

    def position_bias(self) -> Tensor:
        """16 sigmoid(mlp(coords)) for each pair of tokens: (heads, window ** 2, window ** 2)."""
        table = self.bias_mlp(self.coords).flatten(0, 2)  # ((2 window - 1) ** 2, heads)
        return 16 * torch.sigmoid(table[self.index]).permute(2, 0, 1)

    def cache_bias(self) -> None:
        """Keeps the position bias until the mode is set or weights are loaded."""
        self.cached_bias = self.position_bias().detach()

    def train(self, mode: bool = True) -> "WindowAttention":
        """Sets the mode and forgets the cached bias."""
        self.cached_bias = None
        return super().train(mode)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self.cached_bias = None
        super()._load_from_state_dict(*args, **kwargs)


def relative_coordinates(window: int) -> Tensor:
    """Log-spaced offsets between two tokens of a window: (1, 2 window - 1, 2 window - 1, 2)."""
    steps = torch.arange(1 - window, window) / (window - 1)
    coords = 8 * torch.stack(torch.meshgrid(steps, steps, indexing="ij"), dim=-1)
    return (coords.sign() * torch.log2(coords.abs() + 1) / math.log2(8))[None]


def relative_index(window: int) -> Tensor:
    """Row of the flattened coordinates for each pair of tokens: (window ** 2, window ** 2)."""
    rows, cols = torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")
    rows, cols = rows.flatten(), cols.flatten()
    row_offset = rows[:, None] - rows[None] + window - 1
    col_offset = cols[:, None] - cols[None] + window - 1
    return row_offset * (2 * window - 1) + col_offset


class SwinBlock(nn.Module):
    """x + norm1(attention(x)), then x + norm2(mlp(x)), then norm3 where there is one."""

    def __init__(self, config: SwinConfig, stage: int, block: int) -> None:
        super().__init__()
        width, eps = config.width * 2**stage, config.norm_eps
        self.shift = config.windows[stage] // 2 if block % 2 else 0
        self.pad_small_map = config.pad_small_map
        self.attention = WindowAttention(width, config.heads[stage], config.windows[stage])
        self.norm1 = nn.LayerNorm(width, eps=eps)
        self.mlp = MLP(width, config.mlp_ratio)
        self.norm2 = nn.LayerNorm(width, eps=eps)
        every = config.extra_norm_every
        extra = bool(every) and (block + 1) % every == 0
        self.norm3 = nn.LayerNorm(width, eps=eps) if extra else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        x = x + self.norm1(self._attend(x))
        x = x + self.norm2(self.mlp(x))
        out: Tensor = self.norm3(x)
        return out

    def _attend(self, x: Tensor) -> Tensor:
        window = self.attention.window
        h, w = x.shape[1:3]
        if min(h, w) < window and not self.pad_small_map:
            raise ValueError(f"a map of {h}x{w} tokens is smaller than the window of {window}: pad_small_map")
        shift = 0 if min(h, w) == window and not self.pad_small_map else self.shift
        x = F.pad(x, (0, 0, 0, -w % window, 0, -h % window))  # attended without a mask, as published
        padded = x.shape[1:3]
        if shift:
            x = x.roll((-shift, -shift), dims=(1, 2))
        mask_of = shift_mask if torch.compiler.is_compiling() else kept_shift_mask
        mask = mask_of(padded[0], padded[1], window, shift, x.device) if shift else None
        x = self.attention(to_windows(x, window), mask)
        x = from_windows(x, window, padded[0], padded[1])
        if shift:
            x = x.roll((shift, shift), dims=(1, 2))
        return x[:, :h, :w]


def to_windows(x: Tensor, window: int) -> Tensor:
    """(B, H, W, C) -> (B * nW, window ** 2, C)."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // window, window, w // window, window, c)
    return x.transpose(2, 3).flatten(3, 4).flatten(0, 2)


def from_windows(windows: Tensor, window: int, h: int, w: int) -> Tensor:
    """(B * nW, window ** 2, C) -> (B, H, W, C)."""
    x = windows.reshape(-1, h // window, w // window, window, window, windows.shape[-1])
    return x.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def shift_mask(h: int, w: int, window: int, shift: int, device: torch.device) -> Tensor:
    """MASKED_LOGIT between tokens that only the shift made neighbours: (nW, window ** 2, window ** 2)."""
    part = torch.zeros(1, h, w, 1, device=device)
    for axis, side in ((1, h), (2, w)):
        position = torch.arange(side, device=device)
        label = (position >= side - window).int() + (position >= side - shift).int()
        part = 3 * part + label.view([-1 if a == axis else 1 for a in range(4)])
    part = to_windows(part, window)[..., 0]  # (nW, window ** 2)
    return (part[:, :, None] != part[:, None]).float() * MASKED_LOGIT


@lru_cache(maxsize=64)
def kept_shift_mask(h: int, w: int, window: int, shift: int, device: torch.device) -> Tensor:
    """`shift_mask`, made once, so that it can be used in training too."""
    with torch.inference_mode(False):
        return shift_mask(h, w, window, shift, device)


class PatchMerging(nn.Module):
    """Halves the map: 2 x 2 tokens side by side, a linear layer 4C -> 2C, a norm."""

    def __init__(self, width: int, norm_eps: float) -> None:
        super().__init__()
        self.reduction = Linear(4 * width, 2 * width, bias=False)
        self.norm = nn.LayerNorm(2 * width, eps=norm_eps)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, ceil(H / 2), ceil(W / 2), 2C); weights are ordered (channel, row, column)."""
        b, h, w, c = x.shape
        x = F.pad(x, (0, 0, 0, w % 2, 0, h % 2)).reshape(b, -(-h // 2), 2, -(-w // 2), 2 * c)
        by_place = torch.unflatten(self.reduction.weight, 1, (c, 4)).transpose(1, 2).flatten(1)
        out: Tensor = self.norm(linear(x.transpose(2, 3).flatten(3), by_place, None))
        return out


class SwinV2(nn.Module):
    """The four stages, each with a norm on its output where `out_stages` names it."""

    def __init__(self, config: SwinConfig) -> None:
        super().__init__()
        self.config = config
        eps, stages = config.norm_eps, range(len(config.depths))
        self.patch_embed = PatchConv(config.in_channels, config.width, config.patch_px)
        self.patch_norm = nn.LayerNorm(config.width, eps=eps)
        self.downsamples = nn.ModuleList(
            PatchMerging(config.width * 2 ** (stage - 1), eps) if stage else nn.Identity() for stage in stages
        )
        self.stages = nn.ModuleList(
            nn.Sequential(*(SwinBlock(config, stage, block) for block in range(config.depths[stage])))
            for stage in stages
        )
        self.out_norms = nn.ModuleDict(
            {str(stage): nn.LayerNorm(config.width * 2**stage, eps=eps) for stage in config.out_stages}
        )

    def cache_bias(self) -> None:
        """Computes all position biases once: they depend on no input. See `WindowAttention.cache_bias`."""
        for module in self.modules():
            if isinstance(module, WindowAttention):
                module.cache_bias()

    def forward(self, images: Tensor) -> Tensor:
        """images (B, C, H, W) normalised -> the last stage's map (B, D, H / stride, W / stride)."""
        return self.stage_maps(images)[len(self.stages) - 1]

    def stage_maps(self, images: Tensor) -> dict[int, Tensor]:
        """The normed map of each of `out_stages`: (B, C * 2 ** stage, H / (patch * 2 ** stage), ...)."""
        x = self.patch_embed(pad_to_multiple(images, self.config.patch_px))
        x = self.patch_norm(x.permute(0, 2, 3, 1))
        maps = {}
        for stage, (downsample, blocks) in enumerate(zip(self.downsamples, self.stages, strict=True)):
            x = blocks(downsample(x))
            if str(stage) in self.out_norms:
                maps[stage] = self.out_norms[str(stage)](x).permute(0, 3, 1, 2)
        return maps
