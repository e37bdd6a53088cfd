"""The gate that weights pass before they are shipped, on validation alone: each branch, and the whole.

    python -m experiments.gate --shared ../shared --folder FOLDER --weights nano-1.safetensors --out FILE.json

A branch fails where it lies surely below (paired 95 % interval over blocks, pooled) its untrained twin
or what needs no training; the whole where it lies surely below its best sensor alone, pooled or on one set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from encoder.checkpoint import digest, load_weights
from encoder.skysense import SkySense

from .aerial_crops import Crops, problems, read_crops
from .kept_vectors import kept, read_model, validation_vectors
from .nano import save_half
from .nano_corpus import series_paths
from .recipe import command_line, write_result
from .retrieval import baselines
from .retrieval.blocks import Interval, Scores, bootstrap, pooled
from .retrieval.embedding import Embedded
from .retrieval.problem import Problem
from .retrieval.protocols import finite_rows, standardised, zero_shot
from .retrieval.sensors import Seen, ranks, sensor_lines
from .retrieval.validation import ValidationSet, read_validation

UNTRAINED_SEEDS = (1, 2)
BRANCHES = ("s1", "s2")  # of pixel series; "hr" is asked of aerial windows
METRIC = "mAP@20"


@dataclass(frozen=True)
class Line:
    """One comparison: what is judged minus what it must not lie below, by set and pooled."""

    branch: str  # "s1", "s2", "hr" or "fused"
    against: str
    pooled: Interval
    by_set: dict[str, Interval]

    @property
    def passes(self) -> bool:
        """Whether nothing lies surely below."""
        below = self.pooled.high < 0
        if self.branch == "fused":
            below = below or any(interval.high < 0 for interval in self.by_set.values())
        return not below

    def __str__(self) -> str:
        word = "passes" if self.passes else "FAILS"
        return f"{self.branch} minus {self.against}: {self.pooled}: {word}"


Vectors = Mapping[str, Sequence[np.ndarray]]  # by set, (n, d) of each seed


def line(branch: str, against: str, problems: Sequence[Problem], ours: Vectors, others: Vectors) -> Line:
    """Paired differences of METRIC, averaged over seeds, of the sets that both have."""
    differences = {}
    for problem in problems:
        if problem.name in ours and problem.name in others:
            mine, theirs = (_scores(problem, vectors[problem.name]) for vectors in (ours, others))
            differences[problem.name] = mine.minus(theirs)
    by_set = {name: bootstrap(scores) for name, scores in differences.items()}
    return Line(branch, against, pooled(list(differences.values())), by_set)


def _scores(problem: Problem, seeds: Sequence[np.ndarray]) -> Scores:
    values = [zero_shot(problem, np.nan_to_num(vectors))[METRIC] for vectors in seeds]
    return problem.scored(np.mean(values, axis=0))


def series_lines(
    sets: Sequence[ValidationSet], ours: Sequence[Embedded], untrained: Sequence[Sequence[Embedded]]
) -> list[Line]:
    """S1 and S2 against their untrained twins and their own statistics, the whole against either."""
    names = [item.problem.name for item in sets]
    lines = []
    for branch in BRANCHES:
        seen = _seeing(branch, sets, ours)
        asked = [item.problem for item in seen]
        own = _of(branch, names, [ours])
        lines.append(line(branch, "untrained", asked, own, _of(branch, names, untrained)))
        lines.append(
            line(branch, "statistics", asked, own, {i.problem.name: [_statistics(i, branch)] for i in seen})
        )
    whole = {name: [one.fused] for name, one in zip(names, ours, strict=True)}
    both = [item.problem for item in sets if all(item in _seeing(b, sets, ours) for b in BRANCHES)]
    singles = {branch: _of(branch, names, [ours]) for branch in BRANCHES}
    best = {
        problem.name: max(
            (singles[b][problem.name] for b in BRANCHES), key=lambda v: _scores(problem, v).mean
        )
        for problem in both
    }
    lines.append(line("fused", "best single sensor", both, whole, best))
    return lines


def hr_lines(crops: Crops, ours: np.ndarray, untrained: Sequence[np.ndarray]) -> list[Line]:
    """HR against its untrained twin, a colour histogram and colour moments, on places held out.

    Args:
        crops: of the places that are asked alone.
        ours, untrained: (n, d) of each.
    """
    rgb = [sample.series["hr"].pixels[0] for sample in crops.samples]
    histogram = np.stack([baselines.colour_histogram(image) for image in rgb])
    moments = standardised(np.stack([baselines.colour_moments(i) for i in rgb]), np.arange(len(rgb)))
    asked = problems(crops)
    mine = {problem.name: [ours] for problem in asked}
    rivals = {"untrained": list(untrained), "colour histogram": [histogram], "colour moments": [moments]}
    return [
        line("hr", name, asked, mine, {problem.name: vectors for problem in asked})
        for name, vectors in rivals.items()
    ]


def report(model: SkySense, shared: Path, folder: Path) -> dict[str, Any]:
    """All lines, and how much of its dimensions each column uses."""
    px = model.config.px_per_cell
    sets = read_validation(series_paths(shared), px)
    ours = validation_vectors(model, sets, folder)
    twins = [read_model(f"untrained:{seed}") for seed in UNTRAINED_SEEDS]
    lines = series_lines(sets, ours, [validation_vectors(twin, sets, folder) for twin in twins])
    crops = read_crops(shared, px["hr"]).asked()
    hr, *others = (kept(m, "aerial", crops.samples, folder).by_modality["hr"] for m in (model, *twins))
    lines += hr_lines(crops, hr, others)
    alone = Embedded(hr, {"hr": hr}, float("nan"))
    seen = [*(Seen(i.problem.name, one) for i, one in zip(sets, ours, strict=True)), Seen("aerial", alone)]
    return {
        "model_sha256": digest(model),
        "metric": f"validation {METRIC}, paired over blocks",
        "passes": all(one.passes for one in lines),
        "lines": [{**asdict(one), "passes": one.passes} for one in lines],
        "effective_rank": ranks(ours),
        "sensors": [entry for one in seen for entry in sensor_lines(one.name, one.embedded, 0)],
    }


def _seeing(branch: str, sets: Sequence[ValidationSet], ours: Sequence[Embedded]) -> list[ValidationSet]:
    """Sets in which every row that is asked or found has this sensor, or almost: half of the rows do."""
    return [
        item
        for item, one in zip(sets, ours, strict=True)
        if finite_rows(one.by_modality[branch]).mean() > 0.5
    ]


def _of(
    branch: str, names: Sequence[str], seeds: Sequence[Sequence[Embedded]]
) -> dict[str, list[np.ndarray]]:
    return {name: [embedded[i].by_modality[branch] for embedded in seeds] for i, name in enumerate(names)}


def _statistics(item: ValidationSet, branch: str) -> np.ndarray:
    values = item.s1 if branch == "s1" else item.s2
    return standardised(baselines.statistics(values), item.problem.folds[0].database)


def main() -> None:
    """The command line."""
    parser = command_line(__doc__, folder="of kept vectors")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--stamp", action="store_true", help="write the ranks into the weights")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = read_model(arguments.weights)
    result = report(model, arguments.shared, arguments.folder)
    for one in result["lines"]:
        print(one["branch"], "minus", one["against"], one["pooled"], "passes" if one["passes"] else "FAILS")
    if arguments.stamp:
        path = Path(arguments.weights)
        print(save_half(model, path, load_weights(path)[1].name, result["effective_rank"]))
    write_result(result, arguments.out)


if __name__ == "__main__":
    main()
