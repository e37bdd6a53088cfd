"""A STAC catalog with label rasters as a segmentation set: real places, or the simulated landscape.

The imagery is read as every job reads it, so a scene lies on the model's grid already.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from data.cover import Skip, plan_chips
from data.modality import MODALITIES
from data.reader import read_sample
from data.sample import InputError, Sample, SampleSpec
from data.stac import read_catalog
from data.training_rules import SplitRules

from ..retrieval.chip_sets import LabelRaster, find_labels, labels_on_grid, with_bands
from ..retrieval.series_sets import SensorRules
from .about import HELD_OUT, About, file_of
from .scene import IGNORED, Entry, Imagery, Scene

SPLIT_FILE = "split.json"  # beside the catalog: places that nothing may be fitted on
LABEL_PX = 8  # along a cell


@dataclass(frozen=True)
class LabelledSample:
    """One sample with the codes of its labels in the catalog's classes."""

    sample: Sample
    place: str
    codes: np.ndarray  # (grid_h * 8, grid_w * 8) int16


def places_set(catalog: Path, spec: SampleSpec, rules: SensorRules) -> About:
    """Read a catalog.

    Raises:
        InputError: no catalog, or no place with imagery and a label raster that names its classes.
    """
    file_of(catalog, "labelled places", "a STAC catalog whose items have an asset of role `labels`")
    samples, classes, notes = _labelled(catalog, spec, rules)
    split = catalog.parent / SPLIT_FILE
    tested = SplitRules.read(split).test if split.exists() else ()
    entries = {
        "train": [_entry(one, spec) for one in samples if one.place not in tested],
        "test": [_entry(one, spec) for one in samples if one.place in tested],
    }
    return About(
        name=f"places-{catalog.resolve().parent.name}",
        title="labelled places",
        task="multi-modal segmentation",
        kind="mask",
        classes=classes,
        read=lambda folder, part: entries[part],
        splits={"validation": ("train", HELD_OUT), "test": ("train", "test" if tested else HELD_OUT)},
        measure="mIoU",
        convention=f"mIoU over the common legend, whole places held out; {'; '.join(notes)}",
        source=str(catalog.name),
        layout_source="this project's own catalogs",
        terms="as its items say",
        size=f"{len(samples)} samples",
        tile_px=10_000,
        is_seen=True,
    )


def _labelled(
    catalog: Path, spec: SampleSpec, rules: SensorRules
) -> tuple[list[LabelledSample], tuple[str, ...], list[str]]:
    """Every labelled sample, the classes that occur, and notes on what was left out."""
    labels, unnamed = find_labels(catalog)
    imagery, filled = with_bands(read_catalog(catalog), rules.fill_band)
    classes = tuple(sorted({name for raster in labels.values() for name in raster.names.values()}))
    labelled, dropped = [], Counter[str]()
    for task in plan_chips(imagery, spec, allow_l1c=rules.allow_l1c).tasks:
        place = task.sample_id.split("#")[0]
        sample = read_sample(task, spec) if place in labels else None
        if isinstance(sample, Skip):
            dropped[f"{place}: {sample.reason}"] += 1
        elif sample is not None:
            codes = _codes(sample, labels[place], classes, spec.cell_m)
            labelled.append(LabelledSample(sample, place, codes))
    if not labelled:
        raise InputError(
            f"{catalog} gave no labelled sample; expected items with an asset of role `labels`, a GeoTIFF "
            f"whose `sample:legend` names its codes. Without legend: {unnamed or 'none'}. "
            f"Skipped: {dict(dropped)}."
        )
    notes = [f"{len({one.place for one in labelled})} places with labels"]
    notes += [f"{place}: {words}" for place, words in filled.items() if place in labels]
    notes += [f"no legend, left out: {place}" for place in unnamed]
    return labelled, classes, notes + [f"left out {n} x {reason}" for reason, n in dropped.most_common(8)]


def _codes(sample: Sample, raster: LabelRaster, classes: tuple[str, ...], cell_m: float) -> np.ndarray:
    own = labels_on_grid(sample, raster.href, cell_m)
    codes = np.full(own.shape, IGNORED, dtype=np.int16)
    for code, name in raster.names.items():
        codes[own == code] = classes.index(name)
    return codes


def _entry(one: LabelledSample, spec: SampleSpec) -> Entry:
    sample = one.sample
    where = (sample.lon_deg, sample.lat_deg)
    return Entry(sample.sample_id, one.place, partial(_load, one, spec.px_per_cell), lambda: where)


def _load(one: LabelledSample, px_per_cell: Mapping[str, int]) -> Scene:
    """The truth is laid on the pixels of the finest sensor that the sample has."""
    series = one.sample.series
    view = {name: Imagery(s.pixels, s.valid, s.day_of_year) for name, s in series.items()}
    finest = next(name for name in MODALITIES if name in series)
    by = px_per_cell[finest] / LABEL_PX
    at = [(np.arange(round(side * by)) / by).astype(int) for side in one.codes.shape]
    return Scene((view,), one.codes[np.ix_(*at)])
