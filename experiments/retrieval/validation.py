"""A quick score for choosing checkpoints: whole H3 blocks of the *train* splits are held out as queries.

Test places are never read: only rows whose split is "train" go on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.pixel_series import PixelSeries
from data.sample import Sample
from encoder.skysense import SkySense

from .blocks import hold_out
from .embedding import Embedded, embed_small
from .problem import Problem
from .protocols import cross_modal, finite_rows, probes, zero_shot
from .series_sets import SensorRules, SeriesSet, read_series, series_problem

RULES = SensorRules(fill_band={"B8A": "B08"}, allow_l1c=True)
HELD_OUT = 0.3  # share of the blocks
MAX_DATES = 12  # of each sensor


@dataclass(frozen=True)
class ValidationSet:
    """One set, ready to be embedded."""

    problem: Problem
    samples: list[Sample | None]  # (n,)
    s1: np.ndarray  # (n, T, 2) float32 dB, NaN where missing
    s2: np.ndarray  # (n, T, C) float32 reflectance x 10000


def read_validation(
    paths: Sequence[Path], px_per_cell: Mapping[str, int], *, at_most: int = 900, seed: int = 0
) -> tuple[ValidationSet, ...]:
    """Read the train split of each series file, at most `at_most` rows of it. Read once, score often.

    Args:
        px_per_cell: of the models to be scored (`config.px_per_cell`).

    Raises:
        InputError: a file that is no series set, or has no block to hold out.
    """
    return tuple(_prepare(read_series(path, RULES), px_per_cell, at_most, seed) for path in paths)


def held_out(pixels: PixelSeries) -> np.ndarray:
    """(n,) True for the rows of the train split that serve as queries, whole blocks of them."""
    held = pixels.split == "train"
    held[held] = hold_out(pixels.block[held], HELD_OUT)
    return np.asarray(held)


def _prepare(labelled: SeriesSet, px_per_cell: Mapping[str, int], at_most: int, seed: int) -> ValidationSet:
    train = np.flatnonzero(labelled.pixels.split == "train")
    rows = np.sort(np.random.default_rng(seed).permutation(train)[:at_most])
    held = held_out(labelled.pixels)[rows]
    problem = series_problem(labelled.take(rows), held, ~held)
    taken = labelled.take(rows)
    return ValidationSet(problem, taken.samples(px_per_cell, MAX_DATES), taken.s1, taken.s2)


def validation_score(model: SkySense, sets: Sequence[ValidationSet]) -> dict[str, float]:
    """Scores of a model as it is: about 20 s on one core for seven sets and nano.

    Returns:
        `score`, to be maximised: the mean of the families `mAP@20`, `kNN-20` and `recall@10` (S1 -> S2 and
        back). Each family: the mean over sets, balanced over classes where one exceeds half of the queries.
        And `<set>/<family>`.
    """
    scores: dict[str, dict[str, float]] = {}
    for item in sets:
        for family, value in _scores(item.problem, embed_small(model, item.samples)).items():
            scores.setdefault(family, {})[item.problem.name] = value
    families = {family: float(np.mean(list(values.values()))) for family, values in scores.items()}
    single = {f"{name}/{family}": v for family, values in scores.items() for name, v in values.items()}
    return {"score": float(np.mean(list(families.values()))), **families, **single}


def _scores(problem: Problem, embedded: Embedded) -> dict[str, float]:
    vectors = np.nan_to_num(embedded.fused)
    scores = {
        "mAP@20": problem.scored(zero_shot(problem, vectors)["mAP@20"]).mean,
        "kNN-20": problem.scored(probes(problem, vectors, ["kNN-20"])["kNN-20"]).mean,
    }
    if not {"s1", "s2"} <= set(embedded.by_modality):
        return scores
    s1, s2 = embedded.by_modality["s1"], embedded.by_modality["s2"]
    paired = problem.asking(finite_rows(s1, s2))
    if paired.folds:
        both = [cross_modal(paired, a, b)["recall@10"].mean() for a, b in ((s1, s2), (s2, s1))]
        scores["recall@10"] = float(np.mean(both))
    return scores
