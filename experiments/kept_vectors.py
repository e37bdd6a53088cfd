"""Vectors of validation rows and of training rows by one encoder, computed once and kept in a folder.

    python -m experiments.kept_vectors --shared ../shared --folder FOLDER [--weights nano-1 | untrained:1]

A set that is there is not embedded again, so a run that was stopped goes on. No test row is read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from data.pixel_series import PixelSeries
from data.sample import Sample
from encoder.checkpoint import digest
from encoder.config import preset
from encoder.embed import Encoder
from encoder.skysense import SkySense
from encoder.training.corpus import PixelSamples

from .nano_corpus import SERIES, series_paths, training_series
from .recipe import command_line
from .retrieval.embedding import Embedded, embed_small
from .retrieval.options import untrained_model
from .retrieval.series_sets import spread_dates
from .retrieval.validation import MAX_DATES, ValidationSet, read_validation

UNTRAINED = "untrained:"
TRAINING_ROWS = 1500  # of a set, at most


def read_model(weights: str) -> SkySense:
    """Weights by name or path, or `untrained:SEED`: what nano's training starts from."""
    if weights.startswith(UNTRAINED):
        return untrained_model(preset("nano"), int(weights.removeprefix(UNTRAINED)))
    return Encoder(weights, "cpu").model


def validation_vectors(model: SkySense, sets: Sequence[ValidationSet], folder: Path) -> list[Embedded]:
    """Each validation set by one model."""
    return [kept(model, f"validation-{item.problem.name}", item.samples, folder) for item in sets]


def training_vectors(model: SkySense, shared: Path, folder: Path) -> dict[str, Embedded]:
    """Rows that may be trained on by one model, by set. The series are read only where one is not kept."""
    names = {name: f"training-{name}" for name in SERIES}
    if all(_path(model, name, folder).is_file() for name in names.values()):
        return {name: kept(model, stem, [], folder) for name, stem in names.items()}
    samples = training_samples(shared, model.config.px_per_cell)
    return {name: kept(model, names[name], of_set, folder) for name, of_set in samples.items()}


def training_samples(shared: Path, px_per_cell: Mapping[str, int]) -> dict[str, list[Sample]]:
    """Rows that may be trained on, by set, `thinned`."""
    return {name: list(PixelSamples(thinned(s), px_per_cell)) for name, s in training_series(shared).items()}


def thinned(series: PixelSeries) -> PixelSeries:
    """At most TRAINING_ROWS places, drawn at random, and as many dates as validation shows."""
    rows = np.sort(np.random.default_rng(0).permutation(len(series))[:TRAINING_ROWS])
    few = series.take(rows)
    return replace(
        few, s2_valid=spread_dates(few.s2_valid, MAX_DATES), s1_valid=spread_dates(few.s1_valid, MAX_DATES)
    )


def kept(model: SkySense, name: str, samples: Sequence[Sample | None], folder: Path) -> Embedded:
    """What a model makes of samples, read where it was kept."""
    path = _path(model, name, folder)
    if not path.is_file() or (samples and _rows(path) != len(samples)):
        made = embed_small(model, samples)
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial.npz")
        ms = np.array(made.ms_per_item)
        np.savez(partial, allow_pickle=False, fused=made.fused, ms=ms, **made.by_modality)
        partial.replace(path)
    with np.load(path) as file:
        by_modality = {key: file[key] for key in file.files if key not in ("fused", "ms")}
        return Embedded(file["fused"], by_modality, float(file["ms"]))


def _rows(path: Path) -> int:
    with np.load(path) as file:
        return len(file["fused"])


def _path(model: SkySense, name: str, folder: Path) -> Path:
    return folder / f"{digest(model)[:12]}-{name}.npz"


def main() -> None:
    """The command line."""
    parser = command_line(__doc__, folder="of kept vectors")
    parser.add_argument("--weights", default="nano-1")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = read_model(arguments.weights)
    sets = read_validation(series_paths(arguments.shared), model.config.px_per_cell)
    validation_vectors(model, sets, arguments.folder)
    if not arguments.weights.startswith(UNTRAINED):
        training_vectors(model, arguments.shared, arguments.folder)


if __name__ == "__main__":
    main()
