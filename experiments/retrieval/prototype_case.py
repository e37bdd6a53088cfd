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
from .series_sets import read_series

PATCHES_PER_PLACE = 1000


def prototype_rows(path: Path, encoders: Encoders, options: Options) -> Rows:
    """A Parquet of labelled series, or a STAC catalog with label rasters (patches of one grid cell).

    Raises:
        InputError: neither, or nothing to compare.
    """
    if path.suffix == ".parquet":
        found, problem, ours, _ = embedded_series(read_series(path, options.rules), encoders, options)
        features = statistics(found.raw)
    else:
        patches, problem = split_patches(path, encoders, options, cells=1, per_place=PATCHES_PER_PLACE)
        ours = embed_small(encoders.ours, patches.samples)
        px = encoders.spec.px_per_cell
        images = [composites(patches.samples, modality, px) for modality in ("s2", "s1")]
        features = np.concatenate([statistics(image) for image in images], axis=1)
    return Rows(problem, ours.fused, ours.by_modality, standardised(features, np.arange(len(features))))
