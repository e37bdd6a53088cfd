"""Candidates for the Sentinel encoders, judged with a geometry fitted: validation, paired with the first.

    python -m experiments.nano_candidates --shared ../shared --folder FOLDER --weights FIRST OTHER...
                                          [--without worldcereal] [--alone]

`--without` leaves sets out of the fit, and asks of them alone: for weights that did not see them either.
`--alone` fits no season.

Weights have no geometry; `ONE+OTHER@0.3` are the weights of ONE moved by 0.3 towards OTHER (WiSE-FT,
arXiv 2109.01903). Vectors are kept in FOLDER. No test row is read.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from encoder.skysense import SkySense

from .kept_vectors import read_model, validation_vectors
from .nano_corpus import series_paths
from .nano_geometry import Map, in_geometry, sentinel_maps, training_parts, with_season
from .recipe import command_line, write_result
from .retrieval.blocks import Scores, bootstrap, pooled
from .retrieval.protocols import cross_modal, finite_rows, probes, zero_shot
from .retrieval.validation import ValidationSet, read_validation

BY_SET = ("mAP@20", "recall@10 S1 -> S2", "recall@10 S2 -> S1")  # told by set as well as pooled
Measures = dict[str, dict[str, Scores]]  # by measure and set


def read_candidate(text: str) -> SkySense:
    """Weights by name or path, or those between two."""
    one, _, rest = text.partition("+")
    model = read_model(one)
    if rest:
        other, share = rest.rsplit("@", 1)
        there = read_model(other).state_dict()
        here = model.state_dict()
        model.load_state_dict(
            {
                n: torch.lerp(x, there[n], float(share)) if x.is_floating_point() else x
                for n, x in here.items()
            }
        )
    return model


@dataclass(frozen=True)
class Fit:
    """What a geometry is fitted on, and which sets are asked."""

    shared: Path
    folder: Path  # of kept vectors
    without: str = ""
    alone: bool = False

    def asks(self, name: str) -> bool:
        """Whether a set is asked."""
        return name.startswith(self.without)

    def maps(self, model: SkySense) -> dict[str, Map]:
        """The geometry of a model's own vectors and, unless `alone`, of seasons."""
        parts = training_parts(model, self.shared, self.folder)
        kept = [part for name, part in parts.items() if not (self.without and self.asks(name))]
        if self.alone:
            kept = [{name: part[name] for name in ("s2", "s1")} for part in kept]
        return sentinel_maps(kept, model.config.dimension)


def measures(model: SkySense, sets: tuple[ValidationSet, ...], fit: Fit) -> Measures:
    """Scores of the joined vector, of each sensor, and across sensors."""
    maps = fit.maps(model)
    made: Measures = {}
    for item, one in zip(sets, validation_vectors(model, sets, fit.folder), strict=True):
        problem = item.problem
        if not fit.asks(problem.name):
            continue
        s1, s2, whole = in_geometry(with_season(one.by_modality, item.samples), maps)

        def put(measure: str, scores: Scores, name: str = problem.name) -> None:
            made.setdefault(measure, {})[name] = scores

        put("mAP@20", problem.scored(zero_shot(problem, whole)["mAP@20"]))
        put("kNN-20", problem.scored(probes(problem, whole, ["kNN-20"])["kNN-20"]))
        put("mAP@20, S2", problem.scored(zero_shot(problem, np.nan_to_num(s2))["mAP@20"]))
        paired = problem.asking(finite_rows(s1, s2))
        if paired.folds:
            put("mAP@20, S1", problem.scored(zero_shot(problem, np.nan_to_num(s1))["mAP@20"]))
            for measure, pair in zip(BY_SET[1:], ((s1, s2), (s2, s1)), strict=True):
                put(measure, Scores.plain(cross_modal(paired, *pair)["recall@10"], paired.query_block))
    return made


def compared(ours: Measures, first: Measures) -> dict[str, Any]:
    """Means, and differences from the first with their intervals."""
    lines: dict[str, Any] = {}
    for measure, by_set in ours.items():
        minus = {name: scores.minus(first[measure][name]) for name, scores in by_set.items()}
        mean = float(np.mean([scores.mean for scores in by_set.values()]))
        lines[measure] = {"mean": round(mean, 4), "minus the first": str(pooled(list(minus.values())))}
        if measure in BY_SET:
            lines[measure]["by set"] = {
                name: f"{by_set[name].mean:.3f}, {bootstrap(scores)}" for name, scores in minus.items()
            }
    return lines


def main() -> None:
    """The command line."""
    parser = command_line(__doc__, folder="of kept vectors")
    parser.add_argument("--weights", nargs="+", required=True)
    parser.add_argument("--without", default="", help="how the names of sets begin that are not fitted on")
    parser.add_argument("--alone", action="store_true", help="fit no season")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sets = read_validation(
        series_paths(arguments.shared), read_model(arguments.weights[0]).config.px_per_cell
    )
    fit = Fit(arguments.shared, arguments.folder, arguments.without, arguments.alone)
    report: dict[str, Any] = {}
    first: Measures = {}
    for weights in arguments.weights:
        ours = measures(read_candidate(weights), sets, fit)
        first = first or ours
        report[weights] = compared(ours, first)
        print(weights, *(f"{name}: {line}" for name, line in report[weights].items()), sep="\n  ", flush=True)
    write_result(report, arguments.out)


if __name__ == "__main__":
    main()
