"""nano-3's geometry, fitted on training vectors without a label: centred, half whitened, turned and joined.

    python -m experiments.nano_geometry --shared ../shared --folder FOLDER --base WEIGHTS --out FILE

`--base` are weights without a geometry. Sentinel sensors keep their encoders, and their seasons are
added (`encoder/season.py`); HR becomes colours, fixed filters and patterns, because its Swin lies below an
untrained one (LOG.md). nano-2 was fitted by this file at commit d63b296.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data.modality import HR
from data.sample import Sample
from encoder.batch import collate, usable_series
from encoder.config import GeometryConfig, SkySenseConfig, TextureConfig
from encoder.season import season
from encoder.skysense import SkySense, cell_validity

from .aerial_crops import Crops, read_crops
from .kept_vectors import read_model, training_samples, training_vectors
from .nano import save_half
from .retrieval.baselines import half_whitening
from .retrieval.protocols import finite_rows
from .retrieval.seasons import POWERS, SEASON_OF, SEASONS, WEIGHTS

PATCHES = 20_000  # that filters are whitened on
NAME = "skyhex/nano-3"
PATTERN_PX = (1, 2)
BATCH = 256
ROUNDS = 2  # of turning Sentinel-2's season and Sentinel-1 towards each other
Map = tuple[np.ndarray, np.ndarray]  # mean (D,), axes (D, d)
Vectors = Mapping[str, np.ndarray]  # of a set, by sensor: (n, D), NaN where nothing was seen


def turned_towards(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """What brings unit vectors x (n, c) nearest to partners y (n, d >= c), and changes no cosine: (c, d).

    Rows that lack one are left out. Schoenemann 1966.
    """
    both = finite_rows(x, y)
    u, _, vt = np.linalg.svd(x[both].T @ y[both], full_matrices=False)
    return np.asarray(u @ vt)


def fitted_config(base: SkySenseConfig, dimension: int = GeometryConfig.dimension) -> SkySenseConfig:
    """The base's, with what is fitted after training."""
    geometry = GeometryConfig(dimension, WEIGHTS, rooted=("hr",), season=SEASONS)
    return replace(base, hr=TextureConfig(pattern_px=PATTERN_PX), geometry=geometry)


def fit_geometry(base: SkySense, shared: Path, folder: Path, crops: Crops) -> SkySense:
    """The base's Sentinel encoders with a geometry, and an HR encoder that needs no training."""
    model = fit_sentinel(base, list(training_parts(base, shared, folder).values()))
    return fit_hr(model, crops)


def fit_sentinel(
    base: SkySense, sets: Sequence[Vectors], dimension: int = GeometryConfig.dimension
) -> SkySense:
    """The base's Sentinel encoders, and the maps of what they and the seasons make of training sets."""
    model = SkySense(fitted_config(base.config, dimension)).eval()
    model.load_state_dict(
        {n: t for n, t in base.state_dict().items() if not n.startswith("encoders.hr.")}, strict=False
    )
    for name, fitted in sentinel_maps(sets, dimension).items():
        _write(model, name, *fitted)
    return model


def training_parts(base: SkySense, shared: Path, folder: Path) -> dict[str, Vectors]:
    """What is mapped of each training set: the base's vectors by sensor, and the seasons."""
    samples = training_samples(shared, base.config.px_per_cell)
    made = training_vectors(base, shared, folder)
    return {name: with_season(made[name].by_modality, of_set) for name, of_set in samples.items()}


def with_season(vectors: Vectors, samples: Sequence[Sample | None]) -> Vectors:
    """A set's vectors, and the seasons of its samples of one cell, NaN where a sensor saw nothing."""
    return {**vectors, **{part: _seasons(samples, name) for name, part in SEASON_OF.items()}}


def _seasons(samples: Sequence[Sample | None], name: str) -> np.ndarray:
    out = np.full((len(samples), SEASONS[name].width), np.nan)
    shown = [(i, s) for i, s in enumerate(samples) if s is not None and usable_series(s, name) is not None]
    for first in range(0, len(shown), BATCH):
        rows, some = zip(*shown[first : first + BATCH], strict=True)
        px = {name: some[0].series[name].valid.shape[-1]}
        batch = collate(some, px, (1, 1)).series[name]
        valid = (
            torch.ones_like(batch.pixels[:, :, 0], dtype=torch.bool) if batch.valid is None else batch.valid
        )
        seen = cell_validity(valid, px[name], SkySenseConfig.min_valid_fraction)
        made = season(batch.pixels, valid, seen, batch.day_of_year, SEASONS[name])  # (B, S, 1, 1)
        out[list(rows)] = made.flatten(1).numpy()
    return out


def sentinel_maps(sets: Sequence[Vectors], dimension: int) -> dict[str, Map]:
    """Mean (D,) and axes (D, d) of each sensor, and of its season where there is one.

    Every set counts alike. A season is turned towards its sensor and Sentinel-1 towards Sentinel-2; then
    Sentinel-2's season towards both sensors, and Sentinel-1 again, so that sensors find each other.
    """
    maps = {
        name: _whitening([one[name] for one in sets], dimension, power)
        for name, power in POWERS.items()
        if name in sets[0]
    }
    every = {name: np.concatenate([one[name] for one in sets]) for name in maps}

    def turn(parts: Sequence[str], own: np.ndarray, target: np.ndarray) -> None:
        by = turned_towards(own, target)
        maps.update({part: (maps[part][0], maps[part][1] @ by) for part in parts if part in maps})

    def own(name: str) -> np.ndarray:
        return mapped(every[name], maps[name])

    s1_parts, s2_season = ("s1", SEASON_OF["s1"]), SEASON_OF["s2"]
    for name, of_year in SEASON_OF.items():
        if of_year in maps:
            turn([of_year], own(of_year), own(name))
    turn(s1_parts, sensor(every, maps, "s1"), sensor(every, maps, "s2"))
    for _ in range(ROUNDS if s2_season in maps else 0):
        turn([s2_season], own(s2_season), own("s2") + np.nan_to_num(sensor(every, maps, "s1")))
        turn(s1_parts, sensor(every, maps, "s1"), sensor(every, maps, "s2"))
    return maps


def _whitening(parts: Sequence[np.ndarray], dimension: int, power: float) -> Map:
    finite = [_finite(part) for part in parts]
    weight = np.concatenate([np.full(len(part), 1 / max(len(part), 1)) for part in finite])
    return half_whitening(np.concatenate(finite), weight, dimension, power)


def sensor(vectors: Vectors, maps: Mapping[str, Map], name: str) -> np.ndarray:
    """A Sentinel in the geometry, with its season where there is a map of it: (n, d) of norm 1."""
    own = mapped(vectors[name], maps[name])
    of_year = SEASON_OF[name]
    if of_year not in maps:
        return own
    return _unit(own + SEASONS[name].weight * mapped(vectors[of_year], maps[of_year]))


def in_geometry(
    one: Vectors, maps: Mapping[str, Map], s1_weight: float = WEIGHTS["s1"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """S1, S2 and their weighted sum, (n, d) each; a sensor that saw nothing is NaN, and none of the sum."""
    s1, s2 = (sensor(one, maps, name) for name in ("s1", "s2"))
    return s1, s2, s1_weight * np.nan_to_num(s1) + np.nan_to_num(s2)


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
    bounds = np.cumsum([0, *part.groups])
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
