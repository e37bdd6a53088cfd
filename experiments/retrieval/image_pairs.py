"""S1 against S2 of the same image: ours, untrained, and CCA of the raw pixels."""

import time
from collections.abc import Mapping, Sequence

import numpy as np

from data.sample import Sample

from . import baselines
from .candidates import FLOAT32_BYTES, encoder_pairs
from .embedding import Embedded
from .image_features import raw_and_statistics
from .problem import Problem
from .protocols import finite_rows
from .run import Pairs
from .sheet import Candidate, Pair

MIN_PAIRS = 20  # that CCA can be fitted on, in every fold


def image_pairs(
    samples: Sequence[Sample],
    problem: Problem,
    ours: Embedded,
    untrained: Sequence[Embedded],
    px_per_cell: Mapping[str, int],
) -> Pairs | None:
    """P5's question, where enough items have both sensors. The gallery is a fold's queries."""
    if not {"s1", "s2"} <= ours.by_modality.keys():
        return None
    both = finite_rows(ours.by_modality["s1"], ours.by_modality["s2"])
    paired = problem.asking(both)
    if not paired.folds or min(both[fold.database].sum() for fold in paired.folds) < MIN_PAIRS:
        return None
    started = time.perf_counter()
    x, y = (raw_and_statistics(samples, m, px_per_cell, np.flatnonzero(both)) for m in ("s1", "s2"))
    projected = _cca_by_fold(paired, both, x, y)
    ms = 1000 * (time.perf_counter() - started) / len(x)
    cca = Candidate("CCA of raw images", (projected,), FLOAT32_BYTES * projected[0].shape[1], ms)
    return Pairs(paired, "S1", "S2", (*encoder_pairs(ours, untrained, "s1", "s2"), cca))


def _cca_by_fold(problem: Problem, both: np.ndarray, x: np.ndarray, y: np.ndarray) -> Pair:
    """Each fold's queries by a CCA fitted on that fold's database."""
    k = max(baselines.CCA_DIMENSIONS)
    out = np.zeros((len(x), k)), np.zeros((len(x), k))
    for fold in problem.folds:
        fit_on = fold.database[both[fold.database]]
        cca = baselines.chosen_cca(x[fit_on], y[fit_on], problem.block[fit_on])
        for whole, part in zip(out, cca.project(x[fold.query], y[fold.query]), strict=True):
            whole[fold.query, : part.shape[1]] = part
    return out
