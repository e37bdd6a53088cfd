"""What each part of pre-training adds: the same steps for every variant, scored on validation blocks.

    python -m experiments.ablation --shared ../shared --folder FOLDER [--steps 250] [--out FILE.json]

A variant is trained once: its score lies in FOLDER, and a run that was stopped goes on. No test row is read.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data.pixel_series import PixelSeries
from encoder.skysense import SkySense
from encoder.training.augment import AugmentConfig
from encoder.training.corpus import Corpus, PixelSamples, Source
from encoder.training.objective import ObjectiveConfig
from encoder.training.pretrain import TrainConfig, pretrain

from .nano import BASE, CHOSEN
from .nano_corpus import CHIP_DATES, build_corpus, series_paths, simulated_chips
from .recipe import command_line, write_result
from .retrieval.blocks import Interval, pooled
from .retrieval.embedding import embed_small
from .retrieval.protocols import zero_shot
from .retrieval.validation import ValidationSet, read_validation, validation_score

BLIND = AugmentConfig(unknown_dates=1.0)  # no view knows its dates
PROTOTYPES = 8  # of a region


@dataclass(frozen=True)
class Variant:
    """What is trained, and what of the corpus it sees."""

    objective: ObjectiveConfig
    dates: bool = True
    prototypes: int = 0
    s2_alone: bool = False
    simulated: bool = False  # a fifth of the steps see the simulated landscape

    def config(self, steps: int) -> TrainConfig:
        """The run: nano-1's, with a schedule that fits few steps."""
        return replace(
            BASE,
            objective=self.objective,
            steps=steps,
            warm_up=steps // 6,
            temperature_steps=steps // 2,
            teacher_momentum=0.98,
            date_amplitude=BASE.date_amplitude if self.dates else 0.0,
            prototypes_per_region=self.prototypes,
        )

    def corpus(self, whole: Corpus, scratch: Path) -> Corpus:
        """What it sees of a corpus, and besides; what is simulated is drawn in a scratch folder."""
        kept = only_s2(whole) if self.s2_alone else whole
        kept = with_simulated(kept, scratch) if self.simulated else kept
        return kept if self.dates else replace(kept, augment=BLIND)


IMAGE = ObjectiveConfig(alpha=1.0, beta=0.0, levels="image")
LEVELS = ObjectiveConfig(alpha=1.0, beta=0.0)
ALIGNED = ObjectiveConfig(alpha=1.0, beta=CHOSEN.beta)
VARIANTS = {
    "image level alone": Variant(IMAGE, dates=False),
    "+ pixel and object level": Variant(LEVELS, dates=False),
    "+ alignment": Variant(ALIGNED, dates=False),
    "+ prototypes": Variant(ALIGNED, dates=False, prototypes=PROTOTYPES),
    "+ date encoding: the paper's whole": Variant(ALIGNED, prototypes=PROTOTYPES),
    "nano-1": Variant(CHOSEN),
    "nano-1 without L_MGCL": Variant(replace(CHOSEN, alpha=0.0)),
    "nano-1 without alignment": Variant(replace(CHOSEN, beta=0.0)),
    "nano-1 without completion": Variant(replace(CHOSEN, completion=0.0)),
    "nano-1 without place contrast": Variant(replace(CHOSEN, place=0.0)),
    "nano-1 without dates": Variant(CHOSEN, dates=False),
    "nano-1 with prototypes": Variant(CHOSEN, prototypes=PROTOTYPES),
    "nano-1 with the simulated landscape": Variant(CHOSEN, simulated=True),
    "nano-1 on Sentinel-2 alone": Variant(replace(CHOSEN, beta=0.0), s2_alone=True),
}
UNTRAINED = "no training"
SENSORS = ("all", "s2")  # that a vector is made from


def only_s2(corpus: Corpus) -> Corpus:
    """The sources' Sentinel-2 alone; those without any are left out."""
    sources = []
    for source in corpus.sources:
        if isinstance(source.samples, PixelSamples):
            samples = PixelSamples(without_s1(source.samples.series), source.samples.px_per_cell)
            sources.append(replace(source, samples=samples, h3_cells=samples.cells))
        elif source.name == "chips with S2":
            sources.append(source)
    return replace(corpus, sources=tuple(sources))


def with_simulated(corpus: Corpus, scratch: Path) -> Corpus:
    """The same, and as a fifth of it the simulated landscape, where HR lies beside Sentinel-2 and -1."""
    samples = simulated_chips(scratch / "simulated", BASE.model).samples
    share = sum(source.share for source in corpus.sources) / 4
    return replace(
        corpus, sources=(*corpus.sources, Source("simulated", samples, share, 16, (1, 3), CHIP_DATES))
    )


def without_s1(series: PixelSeries) -> PixelSeries:
    """The places that Sentinel-2 saw, without their Sentinel-1."""
    seen = series.take(np.asarray(series.s2_valid.any(axis=1)))
    return replace(seen, s1_valid=np.zeros_like(seen.s1_valid))


@dataclass(frozen=True)
class Scored:
    """A trained variant on the validation sets."""

    families: dict[str, float]  # of `validation_score`
    precision: dict[str, list[list[float]]]  # AP@20 by SENSORS, of each query of each set


def scored(model: SkySense, sets: Sequence[ValidationSet]) -> Scored:
    """Scores a model as it is, from all sensors and from Sentinel-2 alone."""
    families = {name: value for name, value in validation_score(model, sets).items() if "/" not in name}
    embedded = [embed_small(model, item.samples) for item in sets]
    vectors = {"all": [made.fused for made in embedded], "s2": [made.by_modality["s2"] for made in embedded]}
    return Scored(families, {sensors: _precision(sets, vectors[sensors]) for sensors in SENSORS})


def _precision(sets: Sequence[ValidationSet], vectors: Sequence[np.ndarray]) -> list[list[float]]:
    return [
        zero_shot(item.problem, np.nan_to_num(rows))["mAP@20"].tolist()
        for item, rows in zip(sets, vectors, strict=True)
    ]


def run(shared: Path, folder: Path, steps: int, variants: Sequence[str]) -> list[dict[str, Any]]:
    """Trains what has no score yet; returns the rows of the table."""
    sets = read_validation(series_paths(shared), BASE.model.px_per_cell)
    corpus = cache(partial(build_corpus, shared, BASE.model))
    by_name: dict[str, Scored] = {}
    for name in (UNTRAINED, *variants):
        path = folder / _slug(name) / "scores.json"
        if not path.exists():
            variant = VARIANTS.get(name, Variant(CHOSEN))
            last = 0 if name == UNTRAINED else None
            model = pretrain(
                variant.config(steps), variant.corpus(corpus(), folder), path.parent, stop_at_step=last
            )
            path.write_text(json.dumps(asdict(scored(model.eval(), sets))))
        by_name[name] = Scored(**json.loads(path.read_text()))
        print(name, json.dumps(by_name[name].families), flush=True)
    return [row(name, one, by_name[UNTRAINED], sets) for name, one in by_name.items()]


def row(name: str, one: Scored, untrained: Scored, sets: Sequence[ValidationSet]) -> dict[str, Any]:
    """A line of the table: means over sets, and their differences from no training over resampled blocks."""
    line: dict[str, Any] = {"variant": name, **one.families}
    for sensors in SENSORS:
        values, others = one.precision[sensors], untrained.precision[sensors]
        scores = [item.problem.scored(np.array(v)) for item, v in zip(sets, values, strict=True)]
        before = [item.problem.scored(np.array(v)) for item, v in zip(sets, others, strict=True)]
        line[f"mAP@20 of {sensors}"] = float(np.mean([score.mean for score in scores]))
        differences = [a.minus(b) for a, b in zip(scores, before, strict=True)]
        line[f"mAP@20 of {sensors} minus untrained"] = asdict(pooled(differences))
    return line


def _slug(name: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in name.lower()).split())


def as_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The table of the lab book."""
    lines = [
        "| variant | mAP@20 | minus untrained | kNN-20 | S1-S2 recall@10 | mAP@20, Sentinel-2 alone |",
        "|---|---|---|---|---|---|",
    ]
    for line in rows:
        gain = Interval(**line["mAP@20 of all minus untrained"])
        lines.append(
            f"| {line['variant']} | {line['mAP@20 of all']:.3f} | {gain} | {line['kNN-20']:.3f} |"
            f" {line['recall@10']:.3f} | {line['mAP@20 of s2']:.3f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """The command line."""
    parser = command_line(__doc__, folder="of states and scores")
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--out", type=Path, help="JSON of all scores")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = run(arguments.shared, arguments.folder, arguments.steps, arguments.variants)
    write_result({"steps": arguments.steps, "rows": rows}, arguments.out)
    print(as_markdown(rows))


if __name__ == "__main__":
    main()
