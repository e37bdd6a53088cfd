"""The test split for nano-2, beside nano-1, untrained twins and what needs no training.

    python -m experiments.nano_test --shared ../shared --folder FOLDER --weights nano-2 --beside nano-1

Rows and dates are those of `skyhex eval all --split test`. Vectors are kept in FOLDER set by set, so a run
that was stopped goes on. `--out FILE` takes differences by set and pooled, and the gate's lines.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from data.sample import Sample
from encoder.checkpoint import digest
from encoder.skysense import SkySense

from .gate import UNTRAINED_SEEDS, series_lines
from .kept_vectors import kept, read_model
from .nano_corpus import SERIES, series_paths
from .recipe import command_line, write_result
from .retrieval.candidates import encoder_candidate, encoder_pairs, untrained_candidates
from .retrieval.embedding import Embedded
from .retrieval.options import Options
from .retrieval.problem import Problem
from .retrieval.run import both_ways
from .retrieval.sensors import ranks
from .retrieval.series_case import asked_rows, series_baselines, series_pairs
from .retrieval.series_sets import SeriesSet, read_series
from .retrieval.sheet import Sheet, contests, probe_sheet, zero_shot_sheet
from .retrieval.validation import RULES, ValidationSet


@dataclass(frozen=True)
class Seen:
    """One set by all encoders."""

    shown: SeriesSet
    problem: Problem
    samples: list[Sample | None]
    ours: Embedded
    beside: Embedded
    untrained: list[Embedded]


def read_sets(
    paths: Sequence[Path], models: Sequence[SkySense], options: Options, folder: Path
) -> list[Seen]:
    """Each file's rows by ours, the one beside it and the untrained."""
    seen = []
    for path in paths:
        shown, problem, samples = asked_rows(
            read_series(path, options.rules), models[0].config.px_per_cell, options
        )
        name = f"{options.split}-{problem.name}"
        ours, beside, *untrained = (kept(model, name, samples, folder) for model in models)
        print(f"{name}: {len(samples)} rows", flush=True)
        seen.append(Seen(shown, problem, samples, ours, beside, untrained))
    return seen


def sheets_of(one: Seen, beside: str, seed: int) -> list[Sheet]:
    """Retrieval, probes and sensors across, ours first."""
    candidates = (
        encoder_candidate("ours", [one.ours]),
        encoder_candidate(beside, [one.beside]),
        *untrained_candidates(one.untrained),
        *series_baselines(one.shown, one.problem, seed),
    )
    sheets = [
        zero_shot_sheet(one.problem, candidates, seed),
        probe_sheet(one.problem, candidates, seed),
    ]
    pairs = series_pairs(one.shown, one.problem, one.ours, one.untrained)
    if pairs is not None:
        old = replace(encoder_pairs(one.beside, (), "s1", "s2")[0], name=beside)
        sheets += both_ways(replace(pairs, candidates=(*pairs.candidates, old)))
    return sheets


def report(models: Sequence[SkySense], beside: str, options: Options, seen: Sequence[Seen]) -> Any:
    """Every contest and the gate's lines of pixel series."""
    sheets = [sheet for one in seen for sheet in sheets_of(one, beside, options.seed)]
    sets = [ValidationSet(one.problem, one.samples, one.shown.s1, one.shown.s2) for one in seen]
    twins = [[one.untrained[i] for one in seen] for i in range(len(UNTRAINED_SEEDS))]
    gate = series_lines(sets, [one.ours for one in seen], twins)
    return {
        "model_sha256": digest(models[0]),
        "beside_sha256": digest(models[1]),
        "settings": options.settings,
        "contests": [{"name": contest.name, **asdict(contest)} for contest in contests(sheets, options.seed)],
        "gate": [{**asdict(line), "passes": line.passes} for line in gate],
        "effective_rank": ranks([one.ours for one in seen]),
    }


def main() -> None:
    """The command line."""
    parser = command_line(__doc__, folder="of kept vectors")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--beside", required=True, help="other weights of the same protocol")
    parser.add_argument("--split", choices=["validation", "test"], default="test")
    parser.add_argument("--hold-out", choices=["blocks", "country"], default="blocks")
    parser.add_argument("--sets", nargs="+", help="names of the files; all of them by default")
    parser.add_argument("--vectors-alone", action="store_true", help="keep vectors, and judge nothing yet")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    names = (arguments.weights, arguments.beside, *(f"untrained:{seed}" for seed in UNTRAINED_SEEDS))
    models = [read_model(name) for name in names]
    options = Options(
        split=arguments.split, hold_out=arguments.hold_out, rules=RULES, untrained_seeds=UNTRAINED_SEEDS
    )
    wanted = arguments.sets or SERIES
    paths = [path for path in series_paths(arguments.shared) if path.stem in wanted]
    folder = arguments.folder / arguments.hold_out
    seen = read_sets(paths, models, options, folder)
    if arguments.vectors_alone:
        return
    print(write_result(report(models, arguments.beside, options, seen), arguments.out))


if __name__ == "__main__":
    main()
