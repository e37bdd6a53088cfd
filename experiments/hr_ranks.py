"""Where the HR branch loses its dimensions: effective ranks along its road, beside the untrained branch.

    python -m experiments.hr_ranks --shared ../shared [--weights nano-1 untrained:1] [--out FILE.json]

Windows of aerial images of held-out places (`aerial_crops.py`), each with a random day, as in training.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from data.sample import Sample
from encoder.batch import collate
from encoder.skysense import SkySense, pool
from indexer.table.vector_spread import effective_rank, random_cosine

from .aerial_crops import read_crops
from .kept_vectors import read_model
from .recipe import command_line, write_result

BATCH = 8
BETWEEN = ("Swin map, pooled", "fused, day drawn", "fused, one day", "fused, no day")


def ranks_along(model: SkySense, samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
    """Effective rank and cosine of random pairs of each stage, and deviations of what is added up."""
    stages: dict[str, list[np.ndarray]] = {name: [] for name in BETWEEN}
    for first in range(0, len(samples), BATCH):
        for name, vectors in _stages(model, samples[first : first + BATCH]).items():
            stages[name].append(vectors)
    ranks = {}
    for name, parts in stages.items():
        vectors = np.concatenate(parts).astype(np.float64)
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        ranks[name] = {"effective_rank": effective_rank(unit), "random_cosine": random_cosine(unit)}
    maps = np.concatenate(stages[BETWEEN[0]])
    ranks["deviation"] = {
        "between windows, Swin map": float(maps.std(axis=0).mean()),
        "between days, date table": float(model.date_encoding.table.detach().std(dim=0).mean()),
    }
    return ranks


@torch.inference_mode()
def _stages(model: SkySense, samples: Sequence[Sample]) -> dict[str, np.ndarray]:
    config = model.config
    side = config.window_cells
    series = collate(samples, config.px_per_cell, (side, side)).series["hr"]
    maps = model.encode("hr", series.pixels)  # (B, 1, D, h, w)
    h, w = samples[0].grid_shape
    maps = maps[..., :h, :w]
    seen = torch.ones(len(samples), h, w, dtype=torch.bool)
    days = series.day_of_year
    pooled = {"Swin map, pooled": maps[:, 0].mean(dim=(2, 3))}
    for name, shown in zip(
        BETWEEN[1:], (days, torch.full_like(days, 180), torch.zeros_like(days)), strict=True
    ):
        pooled[name] = pool(model.fuse({"hr": maps}, {"hr": shown}), seen)
    return {name: vectors.numpy() for name, vectors in pooled.items()}


def with_days(samples: Sequence[Sample], seed: int = 0) -> list[Sample]:
    """Each window with a day of its own."""
    days = np.random.default_rng(seed).integers(1, 366, size=len(samples)).astype(np.int16)
    return [
        replace(one, series={"hr": replace(one.series["hr"], day_of_year=days[i : i + 1])})
        for i, one in enumerate(samples)
    ]


def main() -> None:
    """The command line."""
    parser = command_line(__doc__)
    parser.add_argument("--weights", nargs="+", default=["nano-1", "untrained:1"])
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    models = {name: read_model(name) for name in arguments.weights}
    px = next(iter(models.values())).config.px_per_cell["hr"]
    samples = with_days(read_crops(arguments.shared, px).asked().samples)
    ranks = {name: ranks_along(model, samples) for name, model in models.items()}
    print(write_result({"windows": len(samples), **ranks}, arguments.out))


if __name__ == "__main__":
    main()
