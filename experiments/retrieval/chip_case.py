"""Labelled patches of a catalog -> vectors of ours and of every baseline, for `skyhex eval chips`."""

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from data.sample import InputError
from data.training_rules import SplitRules

from . import baselines
from .candidates import FLOAT32_BYTES, encoder_candidate, encoder_pairs, timed
from .chip_sets import PatchSet, read_patches
from .embedding import Embedded, embed_small
from .image_features import draw_sample, image_baselines, raw_and_statistics
from .options import Encoders, Options
from .pictures import Exhibit
from .problem import Problem, leave_place_out, one_hot
from .protocols import finite_rows
from .run import Case, Pairs
from .sheet import Candidate, Pair

SPLIT_FILE = "split.json"  # beside the catalog


def chip_case(catalog: Path, encoders: Encoders, options: Options, *, cells: int, per_place: int) -> Case:
    """Patches of all labelled places; each is looked for among the other places' patches.

    Args:
        cells: side of a patch in grid cells.
        per_place: patches of a place, at most.

    Raises:
        InputError: no labelled patch, or no two places to compare.
    """
    dial = {"cells": cells, "per_place": per_place, "seed": options.seed}
    patches = read_patches(catalog, encoders.spec, allow_l1c=options.rules.allow_l1c, **dial)
    patches, asked = _of_split(patches, catalog.parent / SPLIT_FILE, options.split)
    problem = patch_problem(patches, asked)
    ours = embed_small(encoders.ours, patches.samples)
    untrained = [embed_small(model, patches.samples) for model in encoders.untrained]
    px_per_cell = encoders.spec.px_per_cell
    candidates = (
        encoder_candidate("ours", [ours]),
        encoder_candidate("untrained encoder", untrained),
        *image_baselines(patches.samples, px_per_cell, np.arange(len(patches)), options.seed),
        timed("lon/lat alone", FLOAT32_BYTES, lambda: baselines.position(patches.lon_deg, patches.lat_deg)),
    )
    both = finite_rows(ours.by_modality["s1"], ours.by_modality["s2"])
    return Case(
        problem,
        candidates,
        Exhibit(problem, ours.fused, partial(draw_sample, patches.samples)),
        _pairs(patches, problem.asking(both), both, ours, untrained, px_per_cell),
    )


def _of_split(patches: PatchSet, split: Path, part: str) -> tuple[PatchSet, np.ndarray]:
    """Patches that this part may see, and which of them may be queries.

    Validation sees no test place. Test asks with the test places and finds among all.
    """
    if not split.exists():
        return patches.noting("no split.json: every place is asked for"), np.ones(len(patches), dtype=bool)
    is_test = np.isin(patches.place, sorted(SplitRules.read(split).test))
    if part == "test":
        return patches, is_test
    return patches.take(~is_test), np.ones(int((~is_test).sum()), dtype=bool)


def patch_problem(patches: PatchSet, asked: np.ndarray) -> Problem:
    """Queries: the patches of `asked` (n,) bool whose class some other place has too.

    Raises:
        InputError: no such patch.
    """
    pairs = {(label, place) for label, place in zip(patches.label, patches.place, strict=True)}
    places_of = {label: sum(pair[0] == label for pair in pairs) for label in set(patches.label)}
    elsewhere = np.array([places_of[label] > 1 for label in patches.label])
    queries = asked & elsewhere
    if not queries.any():
        raise InputError(
            f"{patches.name}: no class is found at two of the places {sorted(set(patches.place.tolist()))}; "
            "expected label rasters of several places with classes in common."
        )
    labels, classes = one_hot(patches.label)
    alone = int((asked & ~elsewhere).sum())
    asked_places, places = len(set(patches.place[queries])), len(set(patches.place))
    notes = [
        f"{asked_places} of {places} places are asked for; queries and database never of one place",
        *patches.notes,
    ]
    if alone:
        notes.append(f"{alone} patches not asked: no other place has their class")
    position = (patches.lon_deg, patches.lat_deg)
    folds = leave_place_out(patches.place, queries)
    return Problem(patches.name, labels, classes, patches.place, *position, folds, tuple(notes))


def _pairs(
    patches: PatchSet,
    problem: Problem,
    both: np.ndarray,
    ours: Embedded,
    untrained: list[Embedded],
    px_per_cell: Mapping[str, int],
) -> Pairs | None:
    """S1 against S2 of the same patch, among the patches of its place. CCA needs two places to learn from."""
    if len(set(patches.place[both])) < 3:
        return None
    started = time.perf_counter()
    x, y = (raw_and_statistics(patches.samples, m, px_per_cell, np.flatnonzero(both)) for m in ("s1", "s2"))
    projected = _cca_by_place(problem, both, x, y)
    ms = 1000 * (time.perf_counter() - started) / len(x)
    cca = Candidate("CCA of raw patches", (projected,), FLOAT32_BYTES * projected[0].shape[1], ms)
    return Pairs(problem, "S1", "S2", (*encoder_pairs(ours, untrained, "s1", "s2"), cca))


def _cca_by_place(problem: Problem, both: np.ndarray, x: np.ndarray, y: np.ndarray) -> Pair:
    """For each place, fitted on the raw patches of all others."""
    k = max(baselines.CCA_DIMENSIONS)
    out = np.zeros((len(x), k)), np.zeros((len(x), k))
    for fold in problem.folds:
        fit_on = fold.database[both[fold.database]]
        cca = baselines.CCA.chosen(x[fit_on], y[fit_on], problem.block[fit_on])
        for whole, part in zip(out, cca.project(x[fold.query], y[fold.query]), strict=True):
            whole[fold.query, : part.shape[1]] = part
    return out
