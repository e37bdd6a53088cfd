"""Folders of labelled images -> vectors of ours and of every baseline, for `skyhex eval images`."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from data.sample import Sample

from .blocks import hold_out
from .candidates import encoder_candidate, position_alone, untrained_candidates
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
    problem, each = image_problem(images), np.arange(len(images.samples))
    return case_of_images(images.samples, problem, encoders, options, each, problem.folds[0].database, 16)


def case_of_images(
    samples: Sequence[Sample],
    problem: Problem,
    encoders: Encoders,
    options: Options,
    place: np.ndarray,
    fit_on: np.ndarray,
    batch_size: int,
) -> Case:
    """What is asked of images, by our vectors, the untrained encoders' and the baselines'.

    Args:
        place: (n,) of each image; neighbours at its own place say nothing of a sensor.
        fit_on: rows that the baselines are fitted on.
        batch_size: images embedded at a time.
    """
    ours, *untrained = embed_by_each([encoders.ours, *encoders.untrained], samples, batch_size=batch_size)
    px_per_cell = encoders.spec.px_per_cell
    candidates = (
        encoder_candidate("ours", [ours]),
        *untrained_candidates(untrained),
        *image_baselines(samples, px_per_cell, fit_on, options.seed),
        *position_alone(problem.lon_deg, problem.lat_deg),
    )
    pairs = image_pairs(samples, problem, ours, untrained, px_per_cell)
    exhibit = Exhibit(problem, ours.fused, partial(draw_sample, samples))
    findings = sensor_findings(problem, ours, place, options.seed)
    return Case(problem, candidates, exhibit, pairs, findings, ours)


def image_problem(images: ImageSet) -> Problem:
    """Held-out blocks against the rest."""
    labels, classes = many_hot(images.labels)
    query = hold_out(images.block, HELD_OUT)
    position = (images.lon_deg, images.lat_deg)
    fold, note = split_fold(query, ~query, *position, images.name)
    return Problem(images.name, labels, classes, images.block, *position, (fold,), (*images.notes, note))
