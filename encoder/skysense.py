"""The whole model: encoders by modality, a common grid, temporal fusion, geo-context (paper, section 3).

B samples, T dates, C bands, H x W pixels, h x w grid cells, D width of the common grid, d of the embedding.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .batch import Batch
from .colour_texture import ColourTexture
from .common_grid import UPHead
from .config import SkySenseConfig, SwinConfig, TextureConfig
from .date_encoding import DateEncoding
from .geo_context import GeoContext
from .geometry import SEASON, Geometry
from .pieces import pieces
from .precision import wide
from .season import season
from .swin_v2 import SwinV2
from .temporal_fusion import TemporalFusion
from .vit import ViT


@dataclass(frozen=True)
class Embeddings:
    """What the model makes of a batch. Vectors are L2-normalised; rows of what is absent are NaN."""

    embedding: Tensor  # (B, d) float32
    embedding_geo: Tensor | None  # (B, 2d) float32, None where the model holds no prototypes
    by_modality: dict[str, Tensor]  # (B, d) float32 each
    fused: Tensor  # (B, d, h, w) F_fus^mm
    cell_valid: Tensor  # (B, h, w) bool: at least one token took part


class SkySense(nn.Module):
    """The factorised encoder. Each step is usable alone; `embed` takes all of them."""

    def __init__(self, config: SkySenseConfig) -> None:
        super().__init__()
        self.config = config
        width = config.fusion.in_width
        self.encoders = nn.ModuleDict()
        self.heads = nn.ModuleDict()
        for name, part in config.encoders.items():
            if isinstance(part, SwinConfig):
                assert part.out_width == width, (part.out_width, width)
                self.encoders[name] = SwinV2(part)
            elif isinstance(part, TextureConfig):
                assert config.geometry, "colours and textures are joined by a geometry, not by the fusion"
                self.encoders[name] = ColourTexture(part)
            else:
                self.encoders[name] = ViT(part)
                self.heads[name] = UPHead(part.width, width, config.up_scale)
        self.date_encoding = DateEncoding(width)
        self.fusion = TemporalFusion(config.fusion)
        self.geo = GeoContext(config.geo, config.dimension)
        self.geometry = Geometry(config.geometry, self._widths()) if config.geometry else None

    def _widths(self) -> dict[str, int]:
        """Of each sensor's own vector, and of its season, before the geometry."""
        fused = self.config.fusion.width
        parts = self.config.encoders.items()
        widths = {n: p.out_width if isinstance(p, TextureConfig) else fused for n, p in parts}
        seasons = self.config.geometry.season if self.config.geometry else {}
        return widths | {SEASON.format(name): part.width for name, part in seasons.items()}

    def encode_hr(self, pixels: Tensor) -> Tensor:
        """High-resolution images (B, T, 3, H, W) -> F_HR (B, T, D, h, w), one cell per 32 px."""
        return self.encode("hr", pixels)

    def encode_s2(self, pixels: Tensor, valid: Tensor | None = None) -> Tensor:
        """Sentinel-2 series (B, T, 10, H, W), valid (B, T, H, W) -> F_Ms (B, T, D, h, w)."""
        return self.encode("s2", pixels, valid)

    def encode_s1(self, pixels: Tensor, valid: Tensor | None = None) -> Tensor:
        """Sentinel-1 series (B, T, 2, H, W), valid (B, T, H, W) -> F_SAR (B, T, D, h, w)."""
        return self.encode("s1", pixels, valid)

    def encode(self, modality: str, pixels: Tensor, valid: Tensor | None = None) -> Tensor:
        """All dates of all samples in one call. Pixels are normalised and zero where not valid."""
        part = self.config.encoders.get(modality)
        if part is None:
            raise ValueError(
                f"this model has no {modality} encoder: it has {', '.join(self.config.modalities)}"
            )
        if pixels.ndim != 5 or pixels.shape[2] != part.in_channels:
            raise ValueError(
                f"{modality} pixels of shape {tuple(pixels.shape)}: expected (B, T, {part.in_channels}, H, W)"
            )
        images = pixels.flatten(0, 1)  # (B * T, C, H, W)
        flat_valid = None if valid is None else valid.flatten(0, 1)
        tokens = math.prod(-(-side // part.patch_px) for side in images.shape[2:])
        maps = [
            self._maps(modality, images[i], None if flat_valid is None else flat_valid[i])
            for i in pieces(len(images), tokens, images)
        ]
        return torch.unflatten(maps[0] if len(maps) == 1 else torch.cat(maps), 0, pixels.shape[:2])

    def _maps(self, modality: str, images: Tensor, valid: Tensor | None) -> Tensor:
        """images (N, C, H, W) -> (N, D, h, w)."""
        if isinstance(self.config.encoders[modality], SwinConfig):
            maps: Tensor = self.encoders[modality](images)
        else:
            maps = self.encoders[modality](images, valid)
        return self.heads[modality](maps) if modality in self.heads else maps

    def fuse(
        self,
        maps: Mapping[str, Tensor],
        day_of_year: Mapping[str, Tensor] | None = None,
        token_valid: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """Maps (B, T, D, h, w) by modality -> F_fus^mm (B, d, h, w).

        day_of_year: (B, T) int, 0 = unknown; without it no date is known. token_valid: (B, T, h, w) bool;
        tokens that are False, and modalities without a map, are not in the sequence.
        """
        return self._attend(self.tokens(maps, day_of_year or {}), token_valid or {})

    def tokens(self, maps: Mapping[str, Tensor], day_of_year: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Maps (B, T, D, h, w) with their dates added, projected to the fusion's width: (T, B, h, w, d)."""
        if len({(len(m), *m.shape[3:]) for m in maps.values()}) != 1:
            shapes = {name: tuple(m.shape) for name, m in maps.items()}
            raise ValueError(f"maps of one batch on one grid are expected, got {shapes}")
        dated = self.config.modalities if self.config.date_encoding == "all" else ("s2",)
        out = {}
        for name in (n for n in self.config.modalities if n in maps):
            x = maps[name].permute(1, 0, 3, 4, 2)  # (T, B, h, w, D)
            if name in dated and name in day_of_year:
                x = x + self.date_encoding(day_of_year[name].T)[:, :, None, None].to(x.dtype)
            out[name] = self.fusion.project(x)
        return out

    def _attend(self, tokens: Mapping[str, Tensor], token_valid: Mapping[str, Tensor]) -> Tensor:
        x = torch.cat(list(tokens.values()))  # (L, B, h, w, d)
        mask = _sequence_mask(tokens, token_valid)
        fused = self.fusion.collect(x.flatten(1, 3), None if mask is None else mask.flatten(1))
        return torch.unflatten(fused, 0, x.shape[1:4]).permute(0, 3, 1, 2)

    def geo_context(self, fused: Tensor, h3_cells: Tensor) -> Tensor:
        """F_fus^mm (B, d, h, w) and H3 cells (B,) int64 -> F_fus (B, 2d, h, w)."""
        cells = self.geo(fused.flatten(2).transpose(1, 2), h3_cells)  # (B, h * w, 2d)
        return torch.unflatten(cells.transpose(1, 2), 2, fused.shape[2:])

    def prepare(self) -> "SkySense":
        """Sets eval mode and computes what depends on no input; `train`, `eval` and new weights undo it."""
        self.eval()
        for encoder in self.encoders.values():
            if isinstance(encoder, SwinV2):
                encoder.cache_bias()
        return self

    def compile_parts(self) -> None:
        """Compiles each encoder, head and fusion layer in place with `torch.compile`."""
        for part in (*self.encoders.values(), *self.heads.values(), *self.fusion.layers):
            part.compile()

    def hold_prototypes(self, region_cells: Tensor, prototypes: Tensor, prototype_count: Tensor) -> None:
        """Takes regional prototypes (see `GeoContext.hold`), to be saved with the weights."""
        self.geo.hold(region_cells, prototypes, prototype_count)
        self.config = replace(self.config, geo=self.geo.config)

    def embed(self, batch: Batch, by_modality: bool = True) -> Embeddings:
        """Everything of a batch: fused and geo-context embeddings, one per modality, the dense map."""
        maps = {name: self.encode(name, s.pixels, s.valid) for name, s in batch.series.items()}
        if self.geometry is not None:
            return self._embed_joined(self.geometry, maps, batch)
        tokens = self.tokens(maps, {name: s.day_of_year for name, s in batch.series.items()})
        token_valid = {
            name: cell_validity(s.valid, self.config.px_per_cell[name], self.config.min_valid_fraction)
            for name, s in batch.series.items()
            if s.valid is not None
        }
        fused = self._attend(tokens, token_valid)
        cell_valid = _any_valid(tokens, token_valid)
        embedding = pool(fused, cell_valid)
        only = len(tokens) == 1
        wanted = tuple(tokens) if by_modality else ()
        return Embeddings(
            embedding=embedding,
            embedding_geo=self._with_geo(fused, cell_valid, batch.h3_cell),
            by_modality={n: embedding if only else self._alone(n, tokens, token_valid) for n in wanted},
            fused=fused,
            cell_valid=cell_valid,
        )

    def _embed_joined(self, geometry: Geometry, maps: Mapping[str, Tensor], batch: Batch) -> Embeddings:
        """Each sensor fused over its own dates, mapped, and joined: late fusion."""
        alone, cells, vectors = {}, {}, {}
        for name, series in batch.series.items():
            valid = self._token_validity(name, series.valid, maps[name])  # (B, T, h, w)
            cells[name] = valid.any(dim=1)
            own = self._over_dates(name, maps[name], series.day_of_year, valid)  # (B, D, h, w)
            counts = isinstance(self.config.encoders[name], TextureConfig)
            vector = geometry(name, (mean_of if counts else pool)(own, cells[name]))
            each = own.permute(0, 2, 3, 1)  # (B, h, w, D)
            each = geometry(name, each if counts else F.normalize(wide(each), dim=-1))
            if part := geometry.config.season.get(name):
                of_year = season(series.pixels, series.valid, valid, series.day_of_year, part)
                vector = geometry.with_season(name, vector, mean_of(of_year, cells[name]))
                each = geometry.with_season(name, each, of_year.permute(0, 2, 3, 1))
            vectors[name] = torch.where(cells[name].flatten(1).any(dim=1)[:, None], vector, torch.nan)
            alone[name] = torch.where(cells[name][..., None], each, torch.nan)
        fused = geometry.join(alone).permute(0, 3, 1, 2)
        cell_valid = torch.stack(list(cells.values())).any(dim=0)
        return Embeddings(
            embedding=geometry.join(vectors),
            embedding_geo=self._with_geo(fused, cell_valid, batch.h3_cell),
            by_modality=vectors,
            fused=fused,
            cell_valid=cell_valid,
        )

    def _token_validity(self, name: str, valid: Tensor | None, maps: Tensor) -> Tensor:
        """(B, T, h, w) bool."""
        if valid is None:
            return torch.ones_like(maps[:, :, 0], dtype=torch.bool)
        return cell_validity(valid, self.config.px_per_cell[name], self.config.min_valid_fraction)

    def _over_dates(self, name: str, maps: Tensor, day_of_year: Tensor, valid: Tensor) -> Tensor:
        """One sensor's maps (B, T, D, h, w) as one map: fused, or the mean where they are counts."""
        if isinstance(self.config.encoders[name], TextureConfig):
            weight = valid[:, :, None].to(maps.dtype)
            return (maps * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)
        return self._attend(self.tokens({name: maps}, {name: day_of_year}), {name: valid})

    def _with_geo(self, fused: Tensor, cell_valid: Tensor, h3_cells: Tensor) -> Tensor | None:
        if not self.config.geo.region_count:
            return None
        known = self.geo.region_index(h3_cells) >= 0
        return torch.where(known[:, None], pool(self.geo_context(fused, h3_cells), cell_valid), torch.nan)

    def _alone(self, name: str, tokens: Mapping[str, Tensor], token_valid: Mapping[str, Tensor]) -> Tensor:
        """The same fusion over one modality's tokens, so that its embedding lies in the same space."""
        own = {name: tokens[name]}
        own_valid = {name: token_valid[name]} if name in token_valid else {}
        cell_valid = _any_valid(own, own_valid)
        embedding = pool(self._attend(own, own_valid), cell_valid)
        return torch.where(cell_valid.flatten(1).any(dim=1)[:, None], embedding, torch.nan)


def _sequence_mask(tokens: Mapping[str, Tensor], token_valid: Mapping[str, Tensor]) -> Tensor | None:
    """(L, B, h, w) True where a token is in the sequence; None when all are."""
    if not token_valid:
        return None
    return torch.cat(
        [
            token_valid[name].transpose(0, 1)
            if name in token_valid
            else torch.ones(x.shape[:4], dtype=torch.bool, device=x.device)
            for name, x in tokens.items()
        ]
    )


def _any_valid(tokens: Mapping[str, Tensor], token_valid: Mapping[str, Tensor]) -> Tensor:
    """(B, h, w) True where a cell has a token."""
    mask = _sequence_mask(tokens, token_valid)
    if mask is None:
        first = next(iter(tokens.values()))
        return torch.ones(first.shape[1:4], dtype=torch.bool, device=first.device)
    return mask.any(dim=0)


def cell_validity(valid: Tensor, px_per_cell: int, min_fraction: float) -> Tensor:
    """Pixels valid (B, T, H, W) -> cells valid (B, T, h, w): at least `min_fraction` of their pixels are.

    A series in which no cell reaches that keeps each cell with a valid pixel, so that no data is lost.
    """
    fraction = F.avg_pool2d(valid.float(), px_per_cell)
    enough = fraction >= min_fraction
    has_enough = enough.flatten(1).any(dim=1)[:, None, None, None]
    return torch.where(has_enough, enough, fraction > 0)


def pool(cells: Tensor, cell_valid: Tensor) -> Tensor:
    """Mean over the valid cells of a map (B, d, h, w), L2-normalised: (B, d) float32."""
    cells = wide(cells.flatten(2))  # (B, d, h * w)
    weight = cell_valid.flatten(1).to(cells.dtype)  # (B, h * w)
    weight = weight / weight.sum(dim=1, keepdim=True).clamp(min=1)
    mean = (cells * weight[:, None]).sum(dim=2)
    return F.normalize(mean, dim=-1)


def mean_of(cells: Tensor, cell_valid: Tensor) -> Tensor:
    """Mean over the valid cells of a map (B, D, h, w): (B, D)."""
    weight = cell_valid[:, None].to(cells.dtype)
    return (cells * weight).sum(dim=(2, 3)) / weight.sum(dim=(2, 3)).clamp(min=1)
