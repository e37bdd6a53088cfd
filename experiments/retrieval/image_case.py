"""Folders of labelled images -> vectors of ours and of every baseline, for `skyhex eval images`."""

from functools import partial
from pathlib import Path

import numpy as np

from .blocks import hold_out, on_sphere
from .candidates import FLOAT32_BYTES, encoder_candidate, timed, untrained_candidates
from .embedding import embed_by_each
from .image_features import draw_sample, image_baselines
from .image_pairs import image_pairs
from .image_sets import ImageSet, read_images
from .leakage import sensor_findings
from .options import Encoders, Options
from .pictures import Exhibit
from .problem import Problem, many_hot, split_fold
from .run import Case

HELD_OUT = 0.3  # share of the blocks that serve as queries


def image_case(folder: Path, encoders: Encoders, options: Options) -> Case:
    """Blocks of images are held out as queries, images without positions at random.

    Raises:
        InputError: a folder of no known layout, or nothing to compare.
    """
    images = read_images(
        folder,
        encoders.spec,
        rules=options.rules,
        at_most=options.max_queries + options.max_database,
        seed=options.seed,
    )
    problem = image_problem(images)
    fit_on = problem.folds[0].database
    ours, *untrained = embed_by_each([encoders.ours, *encoders.untrained], images.samples, batch_size=16)
    px_per_cell = encoders.spec.px_per_cell
    candidates = [
        encoder_candidate("ours", [ours]),
        *untrained_candidates(untrained),
        *image_baselines(images.samples, px_per_cell, fit_on, options.seed),
    ]
    if np.isfinite(images.lon_deg).all():
        place = partial(on_sphere, images.lon_deg, images.lat_deg)
        candidates.append(timed("lon/lat alone", FLOAT32_BYTES, place))
    pairs = image_pairs(images.samples, problem, ours, untrained, px_per_cell)
    exhibit = Exhibit(problem, ours.fused, partial(draw_sample, images.samples))
    findings = sensor_findings(problem, ours, np.arange(len(images.samples)), options.seed)
    return Case(problem, tuple(candidates), exhibit, pairs, findings, ours)


def image_problem(images: ImageSet) -> Problem:
    """Held-out blocks against the rest."""
    labels, classes = many_hot(images.labels)
    query = hold_out(images.block, HELD_OUT)
    position = (images.lon_deg, images.lat_deg)
    fold, note = split_fold(query, ~query, *position, images.name)
    return Problem(images.name, labels, classes, images.block, *position, (fold,), (*images.notes, note))
