"""nano-2's geometry, fitted on training vectors without a label: centred, half whitened, turned and joined.

    python -m experiments.nano_geometry --shared ../shared --folder FOLDER --base WEIGHTS --out FILE

`--base` are weights without a geometry. Sentinel sensors keep their encoders; HR becomes colours and fixed
filters, because its Swin lies below an untrained one (LOG.md).
"""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data.modality import HR
from encoder.batch import collate
from encoder.config import GeometryConfig, TextureConfig
from encoder.skysense import SkySense

from .aerial_crops import Crops, read_crops
from .kept_vectors import read_model, training_vectors
from .nano import save_half
from .retrieval.baselines import half_whitening
from .retrieval.embedding import Embedded
from .retrieval.protocols import finite_rows

PATCHES = 20_000  # that filters are whitened on
NAME = "skyhex/nano-2"
Map = tuple[np.ndarray, np.ndarray]  # mean (D,), axes (D, d)


def turned_towards(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The rotation (d, d) that brings unit vectors x (n, d) nearest to partners y (Schoenemann 1966)."""
    u, _, vt = np.linalg.svd(x.T @ y)
    return np.asarray(u @ vt)


def fit_geometry(base: SkySense, shared: Path, folder: Path, crops: Crops) -> SkySense:
    """The base's Sentinel encoders with a geometry, and an HR encoder that needs no training."""
    model = fit_sentinel(base, shared, folder)
    return fit_hr(model, crops)


def fit_sentinel(base: SkySense, shared: Path, folder: Path) -> SkySense:
    """Each sensor half whitened, every training set counting alike; S1 turned towards S2."""
    config = replace(base.config, hr=TextureConfig(), geometry=GeometryConfig(rooted=("hr",)))
    model = SkySense(config).eval()
    model.load_state_dict(
        {n: t for n, t in base.state_dict().items() if not n.startswith("encoders.hr.")}, strict=False
    )
    maps = sentinel_maps(training_vectors(base, shared, folder), config.dimension)
    for name, fitted in maps.items():
        _write(model, name, *fitted)
    return model


def sentinel_maps(vectors: Mapping[str, Embedded], dimension: int) -> dict[str, Map]:
    """Mean (D,) and axes (D, d) of S2 and S1, every set counting alike; S1 is turned towards S2."""
    sets = [embedded.by_modality for embedded in vectors.values()]
    maps = {}
    for name in ("s2", "s1"):
        parts = [_finite(one[name]) for one in sets]
        weight = np.concatenate([np.full(len(part), 1 / max(len(part), 1)) for part in parts])
        maps[name] = half_whitening(np.concatenate(parts), weight, dimension)
    pairs = {name: np.concatenate([one[name] for one in sets]) for name in maps}
    both = finite_rows(pairs["s1"], pairs["s2"])
    s1, s2 = (mapped(pairs[name][both], maps[name]) for name in ("s1", "s2"))
    return maps | {"s1": (maps["s1"][0], maps["s1"][1] @ turned_towards(s1, s2))}


def mapped(vectors: np.ndarray, by: Map) -> np.ndarray:
    """Vectors (n, D) in the geometry: (n, d) of norm 1."""
    mean, axes = by
    return _unit((vectors - mean) @ axes)


@torch.no_grad()
def fit_hr(model: SkySense, crops: Crops, seed: int = 0) -> SkySense:
    """Filters are whitened windows of places that may be fitted on; groups of features count alike."""
    part = model.config.hr
    assert isinstance(part, TextureConfig)
    shown = [sample for sample, held in zip(crops.samples, crops.held, strict=True) if not held]
    images = np.stack([sample.series["hr"].pixels[0] for sample in shown]).astype(np.float32)
    mean, std = (np.array(v, np.float32)[:, None, None] for v in (HR.mean, HR.std))
    filters, offset = whitened_filters((images - mean) / std, part, seed)
    encoder = model.encoders["hr"]
    encoder.get_buffer("filters").copy_(filters)
    encoder.get_buffer("offset").copy_(offset)
    rooted = np.sqrt(np.maximum(hr_features(model, crops)[~crops.held], 0))
    bounds = np.cumsum([0, part.bins**3, 6, 2 * part.filters])
    scale = np.ones(rooted.shape[1])
    for first, stop in pairwise(bounds):
        scale[first:stop] = 1 / np.sqrt(rooted[:, first:stop].var(axis=0).sum())
    centre, axes = half_whitening(rooted * scale, np.ones(len(rooted)), model.config.dimension)
    _write(model, "hr", centre / scale, scale[:, None] * axes)
    return model


def hr_features(model: SkySense, crops: Crops) -> np.ndarray:
    """Means over the cells of each window: (n, D)."""
    out = []
    for first in range(0, len(crops.samples), 32):
        some = crops.samples[first : first + 32]
        batch = collate(some, model.config.px_per_cell, some[0].grid_shape).series["hr"]
        with torch.inference_mode():
            out.append(model.encode("hr", batch.pixels, batch.valid)[:, 0].mean(dim=(2, 3)).numpy())
    return np.concatenate(out).astype(np.float64)


def whitened_filters(images: np.ndarray, part: TextureConfig, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random windows of standardised images (n, 3, H, W), ZCA-whitened, on whitened windows (MOSAIKS).

    Returns filters (F, 3, k, k) and offsets (F,).
    """
    rng, k = np.random.default_rng(seed), part.filter_px
    n, _, height, width = images.shape
    at = rng.integers(0, [n, height - k + 1, width - k + 1], size=(PATCHES, 3))
    windows = np.stack([images[i, :, y : y + k, x : x + k].ravel() for i, y, x in at])
    mean = windows.mean(axis=0)
    values, axes = np.linalg.eigh(np.cov((windows - mean).T) + 0.1 * np.eye(windows.shape[1]))
    whiten = (axes / np.sqrt(values)) @ axes.T
    picked = _unit((windows[rng.choice(len(windows), size=part.filters)] - mean) @ whiten) @ whiten
    filters = torch.from_numpy(picked.astype(np.float32).reshape(part.filters, 3, k, k))
    return filters, torch.from_numpy((picked @ mean).astype(np.float32))


def _write(model: SkySense, name: str, mean: np.ndarray, axes: np.ndarray) -> None:
    assert model.geometry is not None
    model.geometry.get_buffer(f"mean_{name}").copy_(torch.from_numpy(mean.astype(np.float32)))
    model.geometry.get_buffer(f"axes_{name}").copy_(torch.from_numpy(axes.astype(np.float32)))


def _finite(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors[np.isfinite(vectors).all(axis=1)], np.float64)


def _unit(x: np.ndarray) -> np.ndarray:
    return np.asarray(x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="of kept vectors")
    parser.add_argument("--base", default="encoder/weights/nano-1.safetensors")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    base = read_model(arguments.base)
    crops = read_crops(arguments.shared, base.config.px_per_cell["hr"])
    model = fit_geometry(base, arguments.shared, arguments.folder, crops)
    print(save_half(model, arguments.out, NAME))


if __name__ == "__main__":
    main()
