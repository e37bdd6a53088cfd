"""Labelled series or patches -> rows for the scorecard of prototypes, for `skyhex eval prototypes`."""

from pathlib import Path

import numpy as np

from .baselines import statistics
from .chip_case import split_patches
from .embedding import embed_small
from .image_features import composites
from .options import Encoders, Options
from .protocols import standardised
from .prototype_scorecard import Rows
from .series_case import embedded_series
from .series_sets import SeriesSet, read_series

PATCHES_PER_PLACE = 1000
LEAST_MONTHS = 3  # that two years must share to be compared


def prototype_rows(path: Path, encoders: Encoders, options: Options) -> Rows:
    """A Parquet of labelled series, or a STAC catalog with label rasters (patches of one grid cell).

    Raises:
        InputError: neither, or nothing to compare.
    """
    if path.suffix == ".parquet":
        labelled, problem, ours, _ = embedded_series(read_series(path, options.rules), encoders, options)
        features = statistics(labelled.raw)
        years = vectors_by_year(labelled, encoders, options)
    else:
        patches, problem = split_patches(path, encoders, options, cells=1, per_place=PATCHES_PER_PLACE)
        ours = embed_small(encoders.ours, patches.samples)
        px = encoders.spec.px_per_cell
        images = [composites(patches.samples, modality, px) for modality in ("s2", "s1")]
        features = np.concatenate([statistics(image) for image in images], axis=1)
        years = {}
    measured = standardised(features, np.arange(len(features)))
    return Rows(problem, ours.fused, ours.by_modality, measured, years)


def vectors_by_year(labelled: SeriesSet, encoders: Encoders, options: Options) -> dict[str, np.ndarray]:
    """Our vectors (n, d) of the two years with most dates, each from the months that both have.

    NaN where a place shows nothing of that year; empty where no two years have three months in common.
    """
    month = (labelled.pixels.day_of_year - 1) // 31  # (n, T)
    seen = (labelled.pixels.s2_valid & labelled.encoder_sees_s2 | labelled.pixels.s1_valid) & (
        labelled.year > 0
    )
    years, dates = np.unique(labelled.year[seen], return_counts=True)
    pair = sorted(years[np.argsort(-dates, kind="stable")[:2]].tolist())
    of_year = [seen & (labelled.year == year) for year in pair]
    shared = set.intersection(*(set(month[dates].tolist()) for dates in of_year)) if len(pair) == 2 else set()
    if len(shared) < LEAST_MONTHS:
        return {}
    in_both = np.isin(month, list(shared))
    px = encoders.spec.px_per_cell
    shown = {
        str(year): labelled.showing(dates & in_both).samples(px, options.max_dates)
        for year, dates in zip(pair, of_year, strict=True)
    }
    return {year: embed_small(encoders.ours, samples).fused for year, samples in shown.items()}
