"""What can be asked of aerial vectors with the imagery at hand: a proxy, because no scene has a label.

Windows of 3 x 3 cells of the aerial images that may be trained on. *Same place*: windows of one place, no two
of which overlap, find each other. *Same survey*: windows of one flight or collection find each other, the own
place left out. 30 % of the places are never fitted on, and only they are asked.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from data.sample import ImageSeries, Sample

from .nano_corpus import aerial_images, training_places
from .retrieval.problem import Fold, Problem, leave_place_out, one_hot

CROP_CELLS = 3
CROPS = 4  # of an image, at most
HELD_OUT = 0.3  # of the places


@dataclass(frozen=True)
class Crops:
    """Windows of aerial images."""

    samples: list[Sample]  # (n,)
    place: np.ndarray  # (n,) str
    held: np.ndarray  # (n,) bool: of a place that is never fitted on

    @property
    def survey(self) -> np.ndarray:
        """(n,) the flight or collection that a place is of: its name before the number."""
        return np.array([name.rsplit("-", 1)[0].rstrip("0123456789-") for name in self.place], dtype=str)

    def asked(self) -> "Crops":
        """Those of the places held out."""
        rows = np.flatnonzero(self.held)
        return Crops([self.samples[i] for i in rows], self.place[rows], self.held[rows])


def read_crops(shared: Path, px_per_cell: int) -> Crops:
    """Windows of all aerial images at their own pixel size."""
    images = aerial_images(shared, training_places(shared), px_per_cell).samples
    whole = [sample for sample in images if sample.sample_id.endswith(" 1:1")]
    crops, place = [], []
    for sample in whole:
        name = sample.sample_id.removesuffix(" 1:1")
        cut = windows_of(sample, px_per_cell)
        crops += cut
        place += [name] * len(cut)
    names = np.array(place, dtype=str)
    return Crops(crops, names, np.array([_is_held(name) for name in place]))


def windows_of(sample: Sample, px_per_cell: int) -> list[Sample]:
    """Windows that do not overlap, spread over the image."""
    h, w = sample.grid_shape
    corners = [
        (y, x)
        for y in range(0, h - CROP_CELLS + 1, CROP_CELLS)
        for x in range(0, w - CROP_CELLS + 1, CROP_CELLS)
    ]
    kept = [corners[i] for i in np.unique(np.linspace(0, len(corners) - 1, CROPS).round().astype(int))]
    return [_window(sample, y * px_per_cell, x * px_per_cell, CROP_CELLS * px_per_cell) for y, x in kept]


def problems(crops: Crops) -> tuple[Problem, Problem]:
    """The two questions, of all these windows."""
    place, survey = crops.place, crops.survey
    nowhere = np.full(len(place), np.nan)
    number = np.arange(len(place))
    several = np.isin(place, [p for p in np.unique(place) if (place == p).sum() > 1])
    asked = several & (number % 2 == 0)
    crossed = tuple(
        Fold(np.flatnonzero(asked & (number == i)), np.flatnonzero(number != i)) for i in number[asked]
    )
    labels, classes = one_hot(place)
    same = Problem("aerial: same place (proxy)", labels, classes, place, nowhere, nowhere, crossed)
    labels, classes = one_hot(survey)
    alike = Problem(
        "aerial: same survey (proxy)", labels, classes, place, nowhere, nowhere, leave_place_out(place)
    )
    return same, alike


def _window(sample: Sample, top: int, left: int, side: int) -> Sample:
    series = sample.series["hr"]
    cut = (..., slice(top, top + side), slice(left, left + side))
    hr = ImageSeries(series.pixels[cut], series.valid[cut], series.day_of_year, series.source_items)
    return replace(sample, series={"hr": hr}, grid_shape=(CROP_CELLS, CROP_CELLS))


def _is_held(place: str) -> bool:
    return hashlib.sha256(place.encode()).digest()[0] < 256 * HELD_OUT
