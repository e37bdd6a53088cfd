"""A labelled series set -> vectors of ours and of every baseline, for `skyhex eval series`."""

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from data.sample import Sample
from indexer.alignment.alignment import Pairs as Aligning
from indexer.alignment.alignment import fit, folds_of

from . import baselines, leakage
from .candidates import (
    FLOAT16_BYTES,
    FLOAT32_BYTES,
    INT16_BYTES,
    encoder_candidate,
    encoder_pairs,
    position_alone,
    timed,
    untrained_candidates,
)
from .countries import hold_out_countries
from .embedding import Embedded, embed_by_each, embed_small
from .leakage import Finding
from .options import Encoders, Options, capped
from .pictures import Exhibit
from .problem import Problem
from .protocols import finite_rows, standardised
from .run import Case, Pairs
from .seasons import WEIGHTS, whitened_season
from .series_sets import SeriesSet, series_problem, unasked
from .sheet import Candidate, Pair
from .validation import held_out

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RCF_STEPS = 3  # a filter's reach in time


def series_case(labelled: SeriesSet, encoders: Encoders, options: Options) -> Case:
    """Split, thin and embed a set.

    Raises:
        InputError: nothing to compare in this split.
    """
    shown, problem, ours, untrained = embedded_series(labelled, encoders, options)
    candidates = (
        encoder_candidate("ours", [ours]),
        *untrained_candidates(untrained),
        *series_baselines(shown, problem, options.seed),
    )
    return Case(
        problem,
        candidates,
        Exhibit(problem, ours.fused, partial(_draw_series, shown)),
        series_pairs(shown, problem, ours, untrained),
        _findings(shown, problem, ours, encoders, options) if options.wants("leakage") else (),
        ours,
    )


def embedded_series(
    labelled: SeriesSet, encoders: Encoders, options: Options
) -> tuple[SeriesSet, Problem, Embedded, list[Embedded]]:
    """The rows of the split that the encoder sees anything of, as a problem, by ours and untrained.

    Raises:
        InputError: nothing to compare in this split.
    """
    shown, problem, samples = asked_rows(labelled, encoders.spec.px_per_cell, options)
    ours, *untrained = embed_by_each([encoders.ours, *encoders.untrained], samples)
    return shown, problem, ours, untrained


def asked_rows(
    labelled: SeriesSet, px_per_cell: Mapping[str, int], options: Options
) -> tuple[SeriesSet, Problem, list[Sample | None]]:
    """The rows of the split that an encoder of such cells sees anything of, as a problem, and their samples.

    Raises:
        InputError: nothing to compare in this split.
    """
    query, database = _split(labelled, options)
    asked = query | database
    samples = labelled.samples(px_per_cell, options.max_dates)
    seen = np.array([sample is not None for sample in samples])
    rows = np.flatnonzero(asked & seen)
    taken = labelled.take(rows)
    if options.hold_out == "country":
        problem = hold_out_countries(unasked(taken), query[rows], database[rows])
    else:
        problem = series_problem(taken, query[rows], database[rows])
    if blind := int((asked & ~seen).sum()):
        problem = problem.noting(f"{blind} rows left out: the encoder sees nothing of them")
    return taken, problem, [samples[i] for i in rows]


def _split(labelled: SeriesSet, options: Options) -> tuple[np.ndarray, np.ndarray]:
    """Queries and database, thinned: the file's own split, or blocks held out of its train part."""
    if options.hold_out == "country" and options.split == "validation":
        query = database = labelled.pixels.split == "train"
    elif options.split == "test":
        query, database = labelled.pixels.split == "test", labelled.pixels.split == "train"
    else:
        query = held_out(labelled.pixels)
        database = (labelled.pixels.split == "train") & ~query
    return (
        capped(query, options.max_queries, options.seed),
        capped(database, options.max_database, options.seed),
    )


def series_baselines(labelled: SeriesSet, problem: Problem, seed: int) -> list[Candidate[np.ndarray]]:
    """What needs no training: statistics, the raw series, seasons, random convolutions, a position."""
    raw, fit_on = labelled.raw, problem.folds[0].database

    def convolved(whitened: bool) -> np.ndarray:
        series = raw[:, :, None]  # (n, T, 1, C)
        made = baselines.random_convolutions(
            series, (RCF_STEPS, 1), fit_on=fit_on, whitened=whitened, seed=seed
        )
        return standardised(made, fit_on)

    sensors = {"S1": labelled.s1, "S2": labelled.s2}
    seen = {name: values for name, values in sensors.items() if np.isfinite(values).any()}

    def whitened_alone(name: str) -> np.ndarray:
        return baselines.half_whitened(baselines.raw_series(seen[name], fit_on), fit_on)

    def season_of(name: str) -> np.ndarray:
        sensor, days = name.lower(), labelled.pixels.day_of_year
        return WEIGHTS[sensor] * whitened_season(sensor, seen[name], days, fit_on)

    return [
        timed("statistics over time", FLOAT32_BYTES, lambda: standardised(baselines.statistics(raw), fit_on)),
        timed("raw series", INT16_BYTES, lambda: baselines.raw_series(raw, fit_on)),
        timed(
            "raw series, half whitened",
            FLOAT32_BYTES,
            lambda: np.concatenate([whitened_alone(name) for name in seen], axis=1),
        ),
        *(
            timed(f"raw {name}, half whitened", FLOAT32_BYTES, partial(whitened_alone, name))
            for name in (seen if len(seen) > 1 else ())
        ),
        timed("season, whitened", FLOAT32_BYTES, lambda: np.concatenate(list(map(season_of, seen)), axis=1)),
        *(
            timed(f"season {name}, whitened", FLOAT32_BYTES, partial(season_of, name))
            for name in (seen if len(seen) > 1 else ())
        ),
        timed("RCF, Gaussian", FLOAT32_BYTES, lambda: convolved(False)),
        timed("RCF, whitened patches", FLOAT32_BYTES, lambda: convolved(True)),
        *position_alone(labelled.pixels.lon_deg, labelled.pixels.lat_deg),
    ]


def series_pairs(
    labelled: SeriesSet, problem: Problem, ours: Embedded, untrained: list[Embedded]
) -> Pairs | None:
    """S1 against S2, where the set has both and the encoder may see both."""
    s1, s2 = ours.by_modality.get("s1"), ours.by_modality.get("s2")
    if s1 is None or s2 is None:
        return None
    both = finite_rows(s1, s2)
    paired = problem.asking(both)
    if not paired.folds:
        return None
    candidates = encoder_pairs(ours, untrained, "s1", "s2")
    if len(problem.folds) > 1:  # every row is asked in some fold, so none is left to fit on
        return Pairs(paired, "S1", "S2", candidates)
    candidates = (*candidates, _cca(labelled, problem, both))
    return Pairs(paired, "S1", "S2", candidates, *_aligned(s1, s2, problem, both))


def _aligned(
    s1: np.ndarray, s2: np.ndarray, problem: Problem, both: np.ndarray
) -> tuple[tuple[Candidate[Pair], ...], tuple[Candidate[Pair], ...]]:
    """Ours as `skyhex align` maps them, forth and back, by the database's pairs; none in few blocks."""
    fit_on = problem.folds[0].database
    fit_on = fit_on[both[fit_on]]
    fold = folds_of(problem.block[fit_on])
    if fold is None:
        return (), ()
    started = time.perf_counter()
    x, y = s1.astype(np.float64), s2.astype(np.float64)
    forth, back = fit(Aligning(x[fit_on], y[fit_on], fold), "s1", "s2")
    ms = 1000 * (time.perf_counter() - started) / len(s1)

    def named(pair: Pair) -> tuple[Candidate[Pair], ...]:
        return (Candidate("ours, aligned", (pair,), FLOAT16_BYTES * s2.shape[1], ms),)

    return named((forth(x).astype(np.float32), s2)), named((back(y).astype(np.float32), s1))


def _cca(labelled: SeriesSet, problem: Problem, both: np.ndarray) -> Candidate[Pair]:
    """Fitted on the database's raw pairs alone."""
    started = time.perf_counter()
    fit_on = problem.folds[0].database
    fit_on = fit_on[both[fit_on]]
    x, y = baselines.raw_series(labelled.s1, fit_on), baselines.raw_series(labelled.s2, fit_on)
    cca = baselines.chosen_cca(x[fit_on], y[fit_on], problem.block[fit_on])
    projected = cca.project(x, y)
    ms = 1000 * (time.perf_counter() - started) / len(x)
    return Candidate("CCA of raw series", (projected,), FLOAT32_BYTES * projected[0].shape[1], ms)


def _findings(
    labelled: SeriesSet, problem: Problem, ours: Embedded, encoders: Encoders, options: Options
) -> tuple[Finding, ...]:
    position = np.stack([problem.lon_deg, problem.lat_deg])
    place = np.unique(position, axis=1, return_inverse=True)[1]
    rows = problem.queries
    months = _month_findings(labelled.take(rows), problem.block[rows], encoders, options)
    return (*leakage.sensor_findings(problem, ours, place, options.seed), *months)


def _month_findings(
    labelled: SeriesSet, block: np.ndarray, encoders: Encoders, options: Options
) -> list[Finding]:
    """One random date per place: do neighbours in other blocks share its month more than at random?"""
    pixels = labelled.pixels
    kept = leakage.one_date(pixels.s2_valid & labelled.encoder_sees_s2 | pixels.s1_valid, options.seed)
    month = (np.where(kept, pixels.day_of_year, 0).sum(axis=1) - 1) // 31
    seen = kept.any(axis=1) & (month >= 0)
    if seen.sum() < 50 or len(np.unique(month[seen])) < 2:
        return []
    dated = labelled.showing(kept)
    undated = replace(dated.pixels, day_of_year=np.zeros_like(pixels.day_of_year))
    out = []
    for name, shown in (("date given", dated), ("date withheld", replace(dated, pixels=undated))):
        samples = shown.take(seen).samples(encoders.spec.px_per_cell)
        vectors = embed_small(encoders.ours, samples).fused
        share, base = leakage.group_excess(vectors, month[seen], block[seen], block[seen])
        out.append(Finding(f"neighbours of the query's month, single dates, {name}", share, base))
    return out


def _draw_series(labelled: SeriesSet, axes: "Axes", row: int) -> None:
    """NDVI over the steps, and VH where there is radar."""
    s2 = labelled.s2[row]
    at = {band: s2[:, i] for i, band in enumerate(labelled.bands)}
    if {"B04", "B08"} <= set(at):
        axes.plot((at["B08"] - at["B04"]) / (at["B08"] + at["B04"]), color="#2a9d55", marker=".", ms=3, lw=1)
    axes.plot((labelled.s1[row, :, 1] + 35) / 30, color="#7b4fa3", lw=0.8)  # -35 to -5 dB
    axes.set_ylim(-0.2, 1.1)
