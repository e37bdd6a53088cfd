"""Sizes and settings of the model: one frozen dataclass per part, one dial (`preset`) for the whole.

The defaults of each part are those of the published model (`huge`). The smaller presets, and every value
marked "ours", are not the paper's.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class SwinConfig:
    """Swin Transformer V2, the encoder of high-resolution images."""

    in_channels: int = 3
    width: int = 352  # channels of the first stage; each stage doubles them
    depths: tuple[int, ...] = (2, 2, 18, 2)
    heads: tuple[int, ...] = (8, 16, 32, 64)
    patch_px: int = 4
    windows: tuple[int, ...] = (8, 8, 8, 8)  # side of an attention window by stage, tokens
    mlp_ratio: float = 4.0
    extra_norm_every: int = 6  # a further norm after each n-th block of a stage; 0 = none
    norm_eps: float = 1e-5
    out_stages: tuple[int, ...] = (0, 1, 2, 3)  # stages that have an output norm
    pad_small_map: bool = False  # pad a map smaller than the window instead of refusing it

    @property
    def out_width(self) -> int:
        """Channels of the last stage."""
        return int(self.width * 2 ** (len(self.depths) - 1))

    @property
    def stride_px(self) -> int:
        """Side of one token of the last stage, pixels."""
        return int(self.patch_px * 2 ** (len(self.depths) - 1))


PATTERNS = 10  # local binary patterns: 0 to 8 brighter neighbours in one run, and several runs


@dataclass(frozen=True)
class TextureConfig:
    """Colours and fixed filters in the place of the Swin: features that need no training (ours)."""

    in_channels: int = 3
    patch_px: int = 32  # side of a cell
    bins: int = 4  # of each channel, in a joint histogram
    filters: int = 64
    filter_px: int = 3
    pattern_px: tuple[int, ...] = ()  # sides of the squares whose local binary patterns are counted, pixels

    @property
    def stride_px(self) -> int:
        """Side of a cell, pixels."""
        return self.patch_px

    @property
    def out_width(self) -> int:
        """Features of a cell, all groups."""
        return sum(self.groups)

    @property
    def groups(self) -> tuple[int, ...]:
        """Features by kind: histogram, two moments a channel, both signs of each filter, patterns by side."""
        counts = (self.bins**self.in_channels, 2 * self.in_channels, 2 * self.filters)
        return (*map(int, counts), *(PATTERNS for _ in self.pattern_px))


@dataclass(frozen=True)
class ViTConfig:
    """Vision Transformer, the encoder of one Sentinel-1 or Sentinel-2 date."""

    in_channels: int = 10
    image_px: tuple[int, int] = (64, 64)  # height, width that the position embedding is stored for
    patch_px: int = 4
    width: int = 1024
    depth: int = 24
    heads: int = 16
    mlp_ratio: float = 4.0
    class_token: bool = True  # False: dropped before the layers
    norm_eps: float = 1e-5


@dataclass(frozen=True)
class FusionConfig:
    """Multi-modal temporal fusion: a Transformer over the tokens of one grid cell."""

    in_width: int = 2816
    width: int = 1024  # of the embedding, too
    depth: int = 24
    heads: int = 16
    mlp_ratio: float = 4.0
    class_token: bool = True  # the extra token that collects the sequence
    norm_eps: float = 1e-5
    chunk_tokens: int = 2**17  # tokens fused at once: bounds memory, changes nothing else (ours)


@dataclass(frozen=True)
class GeoContextConfig:
    """Regional prototypes. A region is an H3 cell (ours: the paper's division is unpublished)."""

    region_resolution: int = 4  # H3 resolution of a region: 1,770 km2 on average
    region_count: int = 0  # 0 = the checkpoint holds no prototypes
    prototypes_per_region: int = 0


@dataclass(frozen=True)
class SeasonConfig:
    """A sensor's year without training, which stands beside what its encoder made (ours)."""

    mean: tuple[float, ...]  # by which pixels of each band were standardised, in the sensor's unit
    std: tuple[float, ...]
    logarithm: bool  # of values: for reflectances
    days: int  # of the year, evenly spaced
    reach_days: float  # standard deviation of a date's weight around its own day
    prior: float  # dates' worth of the mean of all dates, so that no day is without a value
    weight: float  # beside the encoder's vector

    @property
    def width(self) -> int:
        """Its features: each band on each day."""
        return self.days * len(self.mean)


@dataclass(frozen=True)
class GeometryConfig:
    """How sensors are mapped and joined after the model has made its vectors (ours)."""

    dimension: int = 128
    weights: Mapping[str, float] = field(default_factory=lambda: {"hr": 0.5, "s2": 1.0, "s1": 0.5})
    rooted: tuple[str, ...] = ()  # sensors whose features are counts: their square root is taken
    season: Mapping[str, SeasonConfig] = field(default_factory=dict)  # by sensor


Part = SwinConfig | TextureConfig | ViTConfig  # what encodes a modality
ENCODERS: dict[str, type[SwinConfig | ViTConfig]] = {  # by modality, in order of the fusion sequence
    "hr": SwinConfig,
    "s2": ViTConfig,
    "s1": ViTConfig,
}


@dataclass(frozen=True)
class SkySenseConfig:
    """The whole model and the pixel grid that its samples lie on.

    A modality set to None has no encoder.
    """

    hr: SwinConfig | TextureConfig | None = field(default_factory=SwinConfig)
    s2: ViTConfig | None = field(default_factory=ViTConfig)
    s1: ViTConfig | None = field(default_factory=lambda: ViTConfig(in_channels=2))
    up_scale: int = 4  # the ViTs' patches are this many grid cells wide
    fusion: FusionConfig = field(default_factory=FusionConfig)
    geo: GeoContextConfig = field(default_factory=GeoContextConfig)
    date_encoding: Literal["all", "s2"] = "all"  # modalities that get it: the paper's / the published code's
    cell_m: float = 10.0  # side of a grid cell, metres
    window_cells: int = 64  # side of the window, cells
    max_dates: Mapping[str, int] = field(default_factory=lambda: {"hr": 1, "s2": 20, "s1": 10})
    s2_levels: tuple[str, ...] = ("L2A",)
    min_valid_fraction: float = 0.5  # of a cell's pixels, for its token to count (ours)
    geometry: GeometryConfig | None = None  # None: sensors are joined by the fusion alone, as in the paper

    @property
    def dimension(self) -> int:
        """Of the embedding."""
        return self.geometry.dimension if self.geometry else self.fusion.width

    @property
    def encoders(self) -> dict[str, Part]:
        """The encoders that this model has, by modality, in order of the sequence."""
        parts = {name: getattr(self, name) for name in ENCODERS}
        return {name: part for name, part in parts.items() if part is not None}

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that this model has an encoder for, in order of the sequence."""
        return tuple(self.encoders)

    @property
    def px_per_cell(self) -> dict[str, int]:
        """Pixels along one grid cell, by modality."""
        return {
            name: part.patch_px // self.up_scale if isinstance(part, ViTConfig) else part.stride_px
            for name, part in self.encoders.items()
        }

    def to_json(self) -> str:
        """The configuration as canonical JSON, as a checkpoint stores it and its digest reads it."""
        values = asdict(self)
        # Weights from before there was one of these keep their digest.
        if self.geometry is None:
            del values["geometry"]
        elif not self.geometry.season:
            del values["geometry"]["season"]
        if isinstance(self.hr, TextureConfig) and not self.hr.pattern_px:
            del values["hr"]["pattern_px"]
        return json.dumps(values, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "SkySenseConfig":
        """The inverse of `to_json`. Raises ValueError, TypeError or KeyError for anything else."""
        values: dict[str, Any] = {"geometry": None, **json.loads(text)}
        parts: dict[str, Any] = {
            **ENCODERS,
            "fusion": FusionConfig,
            "geo": GeoContextConfig,
            "geometry": GeometryConfig,
        }
        if "bins" in (values["hr"] or {}):
            parts["hr"] = TextureConfig
        if "season" in (values["geometry"] or {}):
            seasons = values["geometry"]["season"].items()
            values["geometry"]["season"] = {name: SeasonConfig(**_tuples(part)) for name, part in seasons}
        for name, part in parts.items():
            if values[name] is not None:
                values[name] = part(**_tuples(values[name]))
        return cls(**_tuples(values))


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}


def preset(name: str) -> SkySenseConfig:
    """The configuration of a size: "nano", "small", "base" (ours) or "huge" (the paper's).

    Raises ValueError for another name.
    """
    if name not in PRESETS:
        raise ValueError(f"no model size {name!r}: choose one of {', '.join(PRESETS)}")
    return PRESETS[name]


_COARSE: dict[str, Any] = {"cell_m": 80.0, "window_cells": 8, "up_scale": 1}
_COARSE_DATES = {"hr": 1, "s2": 8, "s1": 4}

PRESETS = {
    "nano": SkySenseConfig(
        hr=SwinConfig(width=24, depths=(2, 2, 4, 2), heads=(1, 2, 4, 8), extra_norm_every=0, out_stages=(3,)),
        s2=ViTConfig(in_channels=10, patch_px=8, width=128, depth=5, heads=4),
        s1=ViTConfig(in_channels=2, patch_px=8, width=128, depth=5, heads=4),
        fusion=FusionConfig(in_width=192, width=128, depth=4, heads=4),
        max_dates=_COARSE_DATES,
        **_COARSE,
    ),
    "small": SkySenseConfig(
        hr=SwinConfig(width=64, depths=(2, 2, 6, 2), heads=(2, 4, 8, 16), out_stages=(3,)),
        s2=ViTConfig(in_channels=10, patch_px=8, width=384, depth=8, heads=6),
        s1=ViTConfig(in_channels=2, patch_px=8, width=384, depth=8, heads=6),
        fusion=FusionConfig(in_width=512, width=256, depth=6, heads=8),
        max_dates=_COARSE_DATES,
        **_COARSE,
    ),
    "base": SkySenseConfig(
        hr=SwinConfig(width=128, heads=(4, 8, 16, 32), out_stages=(3,)),
        s2=ViTConfig(in_channels=10, width=768, depth=12, heads=12),
        s1=ViTConfig(in_channels=2, width=768, depth=12, heads=12),
        fusion=FusionConfig(in_width=1024, width=512, depth=12, heads=8),
        up_scale=1,
        cell_m=40.0,
        window_cells=16,
    ),
    "huge": SkySenseConfig(),
}
