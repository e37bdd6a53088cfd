"""How much of nano-3's fit is chance: its maps on resampled training blocks, its HR filters of other seeds.

    python -m experiments.nano_seeds --shared ../shared --folder FOLDER [--seeds 3] [--out FILE]

Validation, from nano-1's kept vectors (`kept_vectors.py`). Seed 0 is what shipped. No test row is read.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from encoder.skysense import SkySense

from .aerial_crops import problems, read_crops
from .kept_vectors import read_model, thinned, validation_vectors
from .nano_corpus import series_paths, training_series
from .nano_geometry import (
    Map,
    Vectors,
    fit_hr,
    fitted_config,
    hr_features,
    in_geometry,
    mapped,
    sentinel_maps,
    training_parts,
    with_season,
)
from .recipe import command_line, write_result
from .retrieval.protocols import cross_modal, finite_rows, zero_shot
from .retrieval.validation import ValidationSet, read_validation


def resampled(one: Vectors, block: np.ndarray, rng: np.random.Generator) -> Vectors:
    """Rows of as many whole blocks (n,), drawn with replacement."""
    names = np.unique(block)
    rows = np.concatenate([np.flatnonzero(block == name) for name in rng.choice(names, len(names))])
    return {name: v[rows] for name, v in one.items()}


def sentinel_scores(
    sets: tuple[ValidationSet, ...], ours: list[Vectors], maps: Mapping[str, Map]
) -> dict[str, float]:
    """Means over sets of mAP@20 of the joined vectors, and of recall@10 across sensors."""
    by_set: dict[str, list[float]] = {"mAP@20": [], "recall@10": []}
    for item, one in zip(sets, ours, strict=True):
        s1, s2, whole = in_geometry(one, maps)
        by_set["mAP@20"].append(item.problem.scored(zero_shot(item.problem, whole)["mAP@20"]).mean)
        paired = item.problem.asking(finite_rows(s1, s2))
        if paired.folds:
            ways = [cross_modal(paired, *pair)["recall@10"].mean() for pair in ((s1, s2), (s2, s1))]
            by_set["recall@10"].append(float(np.mean(ways)))
    return {name: float(np.mean(values)) for name, values in by_set.items()}


def hr_score(model: SkySense, shared: Path, seed: int) -> float:
    """mAP@20 over the two proxies of windows of places held out, with filters of a seed."""
    crops = read_crops(shared, model.config.px_per_cell["hr"])
    asked = crops.asked()
    rooted = np.sqrt(np.maximum(hr_features(fit_hr(model, crops, seed), asked), 0))
    assert model.geometry is not None
    mean, axes = (model.geometry.get_buffer(f"{part}_hr").double().numpy() for part in ("mean", "axes"))
    vectors = mapped(rooted, (mean, axes))
    return float(np.mean([one.scored(zero_shot(one, vectors)["mAP@20"]).mean for one in problems(asked)]))


def report(shared: Path, folder: Path, seeds: int) -> list[dict[str, Any]]:
    """One line a seed."""
    base = read_model("nano-1")
    sets = read_validation(series_paths(shared), base.config.px_per_cell)
    made = zip(validation_vectors(base, sets, folder), sets, strict=True)
    ours = [with_season(one.by_modality, item.samples) for one, item in made]
    training = training_parts(base, shared, folder)
    blocks = {name: thinned(series).block for name, series in training_series(shared).items()}
    config = fitted_config(base.config)
    lines = []
    for seed in range(seeds + 1):
        rng = np.random.default_rng(seed)
        drawn = {name: resampled(one, blocks[name], rng) if seed else one for name, one in training.items()}
        maps = sentinel_maps(list(drawn.values()), base.config.dimension)
        scores = sentinel_scores(sets, ours, maps)
        lines.append({"seed": seed, **scores, "HR mAP@20": hr_score(SkySense(config).eval(), shared, seed)})
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    """The command line."""
    parser = command_line(__doc__, folder="of kept vectors")
    parser.add_argument("--seeds", type=int, default=3, help="beside what shipped")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    write_result(report(arguments.shared, arguments.folder, arguments.seeds), arguments.out)


if __name__ == "__main__":
    main()
