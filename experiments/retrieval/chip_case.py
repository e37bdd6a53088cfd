"""Labelled patches of a catalog -> vectors of ours and of every baseline, for `skyhex eval chips`."""

from pathlib import Path

import numpy as np

from data.sample import InputError
from data.training_rules import SplitRules

from .chip_sets import PatchSet, read_patches
from .image_case import case_of_images
from .options import Encoders, Options
from .problem import Problem, leave_place_out, one_hot
from .run import Case

SPLIT_FILE = "split.json"  # beside the catalog


def chip_case(catalog: Path, encoders: Encoders, options: Options, *, cells: int, per_place: int) -> Case:
    """Patches of all labelled places; each is looked for among the other places' patches.

    Args:
        cells: side of a patch in grid cells.
        per_place: patches of a place, at most.

    Raises:
        InputError: no labelled patch, or no two places to compare.
    """
    patches, problem = split_patches(catalog, encoders, options, cells=cells, per_place=per_place)
    every = np.arange(len(patches))
    return case_of_images(patches.samples, problem, encoders, options, patches.place, every, 64)


def split_patches(
    catalog: Path, encoders: Encoders, options: Options, *, cells: int, per_place: int
) -> tuple[PatchSet, Problem]:
    """The patches that the split shows, and what is asked of them.

    Raises:
        InputError: no labelled patch, or no two places to compare.
    """
    dial = {"cells": cells, "per_place": per_place, "seed": options.seed}
    patches = read_patches(catalog, encoders.spec, rules=options.rules, **dial)
    patches, asked = _of_split(patches, catalog.parent / SPLIT_FILE, options.split)
    return patches, patch_problem(patches, asked)


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
