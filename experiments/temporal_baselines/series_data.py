"""Labelled series for all three: patches of labelled places, or single pixels with a label each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from data.modality import S2
from data.sample import ImageSeries, InputError, SampleSpec
from data.simulate import simulate
from data.simulate.area import HILLS, PLAIN, Area

from ..datasets.labelled_places import places_set
from ..datasets.scene import IGNORED, Imagery, Scene
from ..retrieval.series_sets import SensorRules, read_series
from ..tasks.question import held_places

SPEC = SampleSpec(cell_m=80.0, window_cells=8, px_per_cell={"s2": 8}, max_dates={"s2": 24})

PLACES, SIDE_M, DATES = 18, 1920.0, 12  # of the simulated landscape


@dataclass(frozen=True)
class SeriesData:
    """n series of T dates of C bands on H x W pixels."""

    name: str
    classes: tuple[str, ...]
    pixels: torch.Tensor  # (n, T, C, H, W) float32, standardised; 0 where not valid
    valid: torch.Tensor  # (n, T, H, W) bool
    day_of_year: torch.Tensor  # (n, T) int64, 0 = unknown
    codes: torch.Tensor  # (n, H, W) int64, IGNORED = no label
    place: np.ndarray  # (n,) str
    asked: np.ndarray  # (n,) bool: held out, by whole places

    @property
    def side_px(self) -> int:
        """H and W."""
        return int(self.pixels.shape[-1])


def simulated_places(folder: Path) -> Path:
    """The catalog of plains and hills with a year of dates, whose true land cover is known."""
    areas = tuple(
        Area(f"simulated-{i:02}", 2.0 + i, 46.0 + i % 5, SIDE_M, (PLAIN, HILLS)[i % 2]) for i in range(PLACES)
    )
    return simulate(folder, areas=areas, s2_dates=DATES, s1_dates=1)


def patch_data(catalog: Path, side_px: int, rules: SensorRules) -> SeriesData:
    """Patches of a catalog's labelled places; a third of the places is asked.

    Raises:
        InputError: no labelled place with Sentinel-2, or one place alone.
    """
    about = places_set(catalog, SPEC, rules)
    entries = [entry for part in ("train", "test") for entry in about.read(catalog, part)]
    shown = [(entry.place, entry.load()) for entry in entries]
    cut = [
        (place, piece)
        for place, scene in shown
        if "s2" in scene.views[0]
        for piece in _pieces(scene, side_px)
    ]
    if not cut:
        raise InputError(f"{catalog} gave no patch of {side_px} px with Sentinel-2 and a label.")
    place = np.array([name for name, _ in cut])
    series, codes = [piece[0] for _, piece in cut], np.stack([piece[1] for _, piece in cut])
    return _data(about.name, about.classes, series, codes, place, held_places(place))


def _pieces(scene: Scene, side: int) -> list[tuple[Imagery, np.ndarray]]:
    """Squares of a scene that are labelled in some pixel."""
    imagery, truth = scene.views[0]["s2"], np.asarray(scene.truth)
    out = []
    for y in range(0, truth.shape[0] - side + 1, side):
        for x in range(0, truth.shape[1] - side + 1, side):
            at = (slice(y, y + side), slice(x, x + side))
            part = Imagery(imagery.pixels[:, :, *at], imagery.valid[:, *at], imagery.day_of_year)
            if (truth[at] != IGNORED).any() and part.valid.any():
                out.append((part, truth[at]))
    return out


def pixel_data(path: Path, at_most: int, seed: int, rules: SensorRules) -> SeriesData:
    """A file of labelled pixel series, by its own split, at most so many of each part.

    Raises:
        InputError: a file that cannot be used, or without Sentinel-2.
    """
    labelled = read_series(path, rules)
    pixels = labelled.pixels
    rng = np.random.default_rng(seed)
    seen = np.flatnonzero(pixels.s2_valid.any(axis=1))
    rows = np.concatenate(
        [rng.permutation(seen[pixels.split[seen] == part])[:at_most] for part in ("train", "test")]
    )
    if not len(rows):
        raise InputError(f"{path} has no row with Sentinel-2 in its train and test parts.")
    labels = [str(label) for label in np.asarray(labelled.label)[rows]]
    classes = tuple(sorted(set(labels)))
    series = [
        Imagery(pixels.s2[i][:, :, None, None], pixels.s2_valid[i][:, None, None], pixels.day_of_year[i])
        for i in rows
    ]
    codes = np.array([classes.index(label) for label in labels])[:, None, None]
    return _data(path.stem, classes, series, codes, pixels.block[rows], pixels.split[rows] == "test")


def _data(
    name: str,
    classes: tuple[str, ...],
    series: Sequence[Imagery | ImageSeries],
    codes: np.ndarray,
    place: np.ndarray,
    asked: np.ndarray,
) -> SeriesData:
    """Dates padded to the longest series."""
    if asked.all() or not asked.any():
        raise InputError(
            f"{name}: {int(asked.sum())} of {len(asked)} series are asked; expected some of both."
        )
    dates, side = max(len(s.valid) for s in series), codes.shape[1]
    pixels = np.zeros((len(series), dates, len(S2.bands), side, side), dtype=np.float32)
    valid = np.zeros((len(series), dates, side, side), dtype=bool)
    day = np.zeros((len(series), dates), dtype=np.int64)
    mean, std = (np.array(v, dtype=np.float32)[:, None, None] for v in (S2.mean, S2.std))
    for i, one in enumerate(series):
        t = len(one.valid)
        valid[i, :t], day[i, :t] = one.valid, one.day_of_year
        pixels[i, :t] = np.where(one.valid[:, None], (one.pixels - mean) / std, 0)
    shown = torch.from_numpy(pixels), torch.from_numpy(valid), torch.from_numpy(day)
    return SeriesData(name, classes, *shown, torch.from_numpy(codes.astype(np.int64)), place, asked)
