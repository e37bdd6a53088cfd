"""Ways to join sensors and to find one by another, on validation: kept vectors of weights without a geometry.

    python -m experiments.late_fusion --shared ../shared --folder FOLDER [--weights nano-1] [--out FILE.json]

The maps are fitted on training vectors, as `nano_geometry.py` does; a set's alignment on its own database.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from indexer.alignment.alignment import Pairs, fit, folds_of

from .kept_vectors import read_model, training_vectors, validation_vectors
from .nano_corpus import series_paths
from .nano_geometry import Map, in_geometry, sentinel_maps
from .recipe import command_line, write_result
from .retrieval import baselines
from .retrieval.blocks import pooled
from .retrieval.embedding import Embedded
from .retrieval.protocols import cross_modal, finite_rows, zero_shot
from .retrieval.validation import ValidationSet, read_validation

S1_WEIGHT = 0.5
TOKEN = "fusion token, 128"


def joined(one: Embedded, maps: Mapping[str, Map]) -> dict[str, np.ndarray]:
    """The candidates' vectors by name and dimension, zero where a sensor saw nothing."""
    s1, s2, whole = map(np.nan_to_num, in_geometry(one.by_modality, maps, S1_WEIGHT))
    return {
        TOKEN: one.fused,
        "S2 alone, 128": np.nan_to_num(one.by_modality["s2"]),
        "S2 half whitened, 128": s2,
        "[0.5 S1w ; S2w], 256": np.concatenate([S1_WEIGHT * s1, s2], axis=1),
        "0.5 S1w turned + S2w, 128": whole,
    }


def whitened_raw(item: ValidationSet) -> np.ndarray:
    """The half-whitened raw series of the sensors that a set has, joined."""
    fit_on = item.problem.folds[0].database
    seen = [values for values in (item.s1, item.s2) if np.isfinite(values).any()]
    parts = [baselines.half_whitened(baselines.raw_series(values, fit_on), fit_on) for values in seen]
    return np.concatenate(parts, axis=1)


def fusion_lines(
    sets: Sequence[ValidationSet], ours: Sequence[Embedded], maps: Mapping[str, Map]
) -> list[dict[str, Any]]:
    """mAP@20 of each candidate by set, and pooled minus the fusion token and minus the raw series."""
    vectors = [
        joined(one, maps) | {"raw series, half whitened": whitened_raw(item)}
        for item, one in zip(sets, ours, strict=True)
    ]
    scores = {
        name: [
            item.problem.scored(zero_shot(item.problem, of_set[name])["mAP@20"])
            for item, of_set in zip(sets, vectors, strict=True)
        ]
        for name in vectors[0]
    }
    raw = "raw series, half whitened"
    return [
        {
            "name": name,
            "bytes in float16": 2 * vectors[0][name].shape[1] if name != raw else None,
            "mAP@20": float(np.mean([one.mean for one in own])),
            "by set": {item.problem.name: one.mean for item, one in zip(sets, own, strict=True)},
            **{
                f"minus {other}": str(pooled([a.minus(b) for a, b in zip(own, scores[other], strict=True)]))
                for other in (TOKEN, raw)
            },
        }
        for name, own in scores.items()
    ]


def recall_lines(item: ValidationSet, one: Embedded, maps: Mapping[str, Map]) -> dict[str, Any] | None:
    """recall@10 among the queries that have both sensors: across sensors, and from a sensor to the whole."""
    both = finite_rows(one.by_modality["s1"], one.by_modality["s2"])
    asked = item.problem.asking(both)
    if not asked.folds:
        return None
    fit_on = item.problem.folds[0].database
    fit_on = fit_on[both[fit_on]]
    s1, s2 = (np.nan_to_num(one.by_modality[name]).astype(np.float64) for name in ("s1", "s2"))
    x, y = (baselines.raw_series(values, fit_on) for values in (item.s1, item.s2))
    raw = baselines.chosen_cca(x[fit_on], y[fit_on], item.problem.block[fit_on]).project(x, y)
    turned_s1, turned_s2, whole = map(np.nan_to_num, in_geometry(one.by_modality, maps, S1_WEIGHT))
    pairs = {
        "S1 -> S2": (s1, s2),
        "S2 -> S1": (s2, s1),
        "S1 -> S2, CCA of raw": raw,
        "S2 -> S1, CCA of raw": raw[::-1],
        "S1 -> S2, half whitened and turned": (turned_s1, turned_s2),
        "S1 -> fusion token": (s1, one.fused),
        "S2 -> fusion token": (s2, one.fused),
        "S1 -> joined": (turned_s1, whole),
        "S2 -> joined": (turned_s2, whole),
    }
    fold = folds_of(item.problem.block[fit_on])
    if fold is not None:
        forth, back = fit(Pairs(s1[fit_on], s2[fit_on], fold), "s1", "s2")
        pairs |= {"S1 -> S2, aligned": (forth(s1), s2), "S2 -> S1, aligned": (back(s2), s1)}
    recall = {name: float(cross_modal(asked, a, b)["recall@10"].mean()) for name, (a, b) in pairs.items()}
    return {"set": item.problem.name, "asked": len(asked.queries), "pairs fitted on": len(fit_on), **recall}


def main() -> None:
    """The command line."""
    parser = command_line(__doc__, folder="of kept vectors")
    parser.add_argument("--weights", default="nano-1")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    model = read_model(arguments.weights)
    sets = read_validation(series_paths(arguments.shared), model.config.px_per_cell)
    ours = validation_vectors(model, sets, arguments.folder)
    training = training_vectors(model, arguments.shared, arguments.folder)
    maps = sentinel_maps([made.by_modality for made in training.values()], model.config.dimension)
    recalls = [recall_lines(item, one, maps) for item, one in zip(sets, ours, strict=True)]
    result = {
        "measured on": "validation blocks of the train splits",
        "joined": fusion_lines(sets, ours, maps),
        "recall@10": [line for line in recalls if line],
    }
    print(write_result(result, arguments.out))


if __name__ == "__main__":
    main()
