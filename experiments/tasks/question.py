"""What is asked of a set: tiles that heads are fitted on, tiles that are asked, and what holds them apart."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import h3
import numpy as np

from data.sample import InputError, Sample, SampleSpec

from ..datasets.about import HELD_OUT, About
from ..datasets.scene import IGNORED, Boxes, Entry
from ..retrieval.blocks import EXCLUSION_KM, far_from, hold_out
from ..retrieval.image_sets import LARGEST_S2_CELLS
from .tiles import Placed, Tile, on_one_grid, reference, tiles_of, whole_of

BLOCK_RESOLUTION = 5  # H3
VALIDATION_SHARE = 0.3
UNSEEN = "the reader was tested on a generator of this layout alone"
SIZED = 8  # scenes that the side of a tile is taken from, at most


@dataclass(frozen=True)
class TaskOptions:
    """Choices of `skyhex eval task` besides those of every evaluation."""

    official: bool = False  # keep items to fit on that lie near an asked one, as the published split does
    max_train: int = 200  # tiles to fit on, at most: a seeded draw
    max_test: int = 200  # tiles asked, at most
    share: float | None = None  # of each class to fit on, where the authors draw splits at random
    steps: int = 400  # of the detection head
    tune: str = ""  # "head" or "all": rows that are trained by steps beside the frozen ones
    tune_seconds: float = 300.0  # of CPU time, for each of them
    tune_steps: int | None = None  # instead of seconds


@dataclass(frozen=True)
class Asked:
    """Tiles of one set; `Question` of its table. n tiles fitted on come before q tiles asked."""

    about: About
    train: tuple[Tile, ...]
    test: tuple[Tile, ...]
    notes: tuple[str, ...]
    is_balanced: bool = False

    @property
    def name(self) -> str:
        return self.about.name

    @property
    def classes(self) -> tuple[str, ...]:
        return self.about.classes

    @property
    def queries(self) -> np.ndarray:
        return np.arange(len(self.train), len(self.train) + len(self.test))

    @property
    def query_block(self) -> np.ndarray:
        return np.array([block_of(tile) for tile in self.test])

    @property
    def train_block(self) -> np.ndarray:
        return np.array([block_of(tile) for tile in self.train])

    @property
    def database_size(self) -> int:
        return len(self.train)

    @property
    def majority_share(self) -> float:
        """Of labels, pixels or boxes that are asked."""
        counts = np.sum([class_counts(tile, len(self.classes)) for tile in self.test], axis=0)
        return float(counts.max() / max(counts.sum(), 1))

    def samples(self, view: int = 0) -> list[Sample]:
        """What encoders see, tiles to fit on first."""
        return [tile.samples[view] for tile in (*self.train, *self.test)]


def block_of(tile: Tile) -> str:
    """An H3 cell where the position is known, else the set's own place."""
    if np.isfinite(tile.lon_deg) and np.isfinite(tile.lat_deg):
        return str(h3.latlng_to_cell(tile.lat_deg, tile.lon_deg, BLOCK_RESOLUTION))
    return tile.place


def class_counts(tile: Tile, classes: int) -> np.ndarray:
    """Labels, pixels or boxes of each class: (K,) int."""
    truth = tile.truth
    if isinstance(truth, Boxes):
        return np.bincount(truth.code, minlength=classes)
    if truth.dtype == bool:
        return truth.astype(int)
    return np.bincount(truth[truth != IGNORED].ravel(), minlength=classes)


def ask(about: About, folder: Path, spec: SampleSpec, split: str, options: TaskOptions, seed: int) -> Asked:
    """Read a set's split.

    Raises:
        InputError: something of it is missing or is not what was expected, or nothing is left to compare.
    """
    train, test, notes = split_entries(about, folder, split, options, seed)
    side = tile_side(about, train[:SIZED], spec)
    fitted = _tiles(about, train, spec, side, options.max_train, seed)
    asked = _tiles(about, test, spec, side, options.max_test, seed)
    if about.kind == "labels":
        squares = max((tile.samples[0].grid_shape[0] for tile in (*fitted, *asked)), default=1)
        fitted, asked = on_one_grid(fitted, squares), on_one_grid(asked, squares)
    if not fitted or not asked:
        raise InputError(
            f"{about.title} gave {len(fitted)} tiles to fit on and {len(asked)} to ask; "
            f"expected some of both in {folder}."
        )
    drawn = f"{len(fitted)} tiles to fit on, {len(asked)} asked"
    told = (about.convention, drawn, *notes) + (() if about.is_seen else (UNSEEN,))
    return Asked(about, fitted, asked, told)


def tile_side(about: About, items: Sequence[Placed], spec: SampleSpec) -> int:
    """The set's own tile, pixels, or the largest of some scenes where scenes are smaller."""
    if about.kind == "labels":
        return about.tile_px
    views = [item.entry.load().views[0] for item in items]
    sides = [max(view[reference(view, spec)].valid.shape[1:]) for view in views]
    return int(min(about.tile_px, max(sides)))


def split_entries(
    about: About, folder: Path, split: str, options: TaskOptions, seed: int
) -> tuple[list[Placed], list[Placed], list[str]]:
    """Items to fit on, items asked, each a seeded draw, and notes on what holds them apart."""
    fitted, asked = about.parts(split)
    train = read_parts(about, folder, fitted)
    notes = []
    if about.share is not None:
        train, test = drawn_by_class(train, options.share or about.share, seed)
        notes.append(
            f"the authors draw at random: {options.share or about.share:.0%} of each class to fit on"
        )
    elif asked == HELD_OUT:
        held = held_places(np.array([entry.place for entry in train]))
        test = [entry for entry, out in zip(train, held, strict=True) if out]
        train = [entry for entry, out in zip(train, held, strict=True) if not out]
        notes.append(f"no validation part is published: {VALIDATION_SHARE:.0%} of its places are held out")
    else:
        test = read_parts(about, folder, asked)
    if not train or not test:
        raise InputError(
            f"{about.title}: {len(train)} items to fit on and {len(test)} to ask; expected some of both."
        )
    notes.insert(0, f"drawn from {len(train)} items to fit on and {len(test)} asked")
    fit, ask_of, more = held_apart(
        _placed(train, options.max_train, seed), _placed(test, options.max_test, seed), options.official
    )
    return fit, ask_of, notes + more


def held_places(place: np.ndarray) -> np.ndarray:
    """About a third of the items by whole places, one place at least where there are two: (n,) bool."""
    held = hold_out(place, VALIDATION_SHARE)
    names = np.unique(place)
    return held if held.any() or len(names) < 2 else np.asarray(place == names[0])


def read_parts(about: About, folder: Path, parts: str) -> list[Entry]:
    """Items of one part, or of several that are joined: `train+val`."""
    return [entry for part in parts.split("+") for entry in about.read(folder, part)]


def _placed(entries: list[Entry], at_most: int, seed: int) -> list[Placed]:
    """A seeded draw: no more items than tiles, since each gives one at least."""
    order = np.random.default_rng(seed).permutation(len(entries))[:at_most]
    return [Placed(entries[i], *entries[i].locate()) for i in order]


def drawn_by_class(entries: list[Entry], share: float, seed: int) -> tuple[list[Entry], list[Entry]]:
    """A share of each class to fit on, the rest to ask."""
    rng = np.random.default_rng(seed)
    train: set[str] = set()
    for label in sorted({entry.label for entry in entries}):
        ids = [entry.id for entry in entries if entry.label == label]
        train.update(rng.permutation(ids)[: max(1, round(share * len(ids)))].tolist())
    return [e for e in entries if e.id in train], [e for e in entries if e.id not in train]


def held_apart(
    train: list[Placed], test: list[Placed], official: bool
) -> tuple[list[Placed], list[Placed], list[str]]:
    """Leave out items to fit on that share a place with an asked one or lie near it, and say how many."""
    both = [*train, *test]
    lon, lat = (np.array([getattr(one, name) for one in both]) for name in ("lon_deg", "lat_deg"))
    known = np.isfinite(lon) & np.isfinite(lat)
    asked = np.arange(len(both)) >= len(train)
    far = np.ones(len(both), dtype=bool)
    far[known] = far_from(lon[known], lat[known], asked[known])
    places = {one.entry.place for one in test}
    apart = [bool(f) and one.entry.place not in places for f, one in zip(far, train, strict=False)]
    near = len(train) - sum(apart)
    notes = [] if known.all() else ["no positions: how near items lie to each other is not known"]
    if not near:
        return train, test, notes
    where = f"in the place of an asked one or within {EXCLUSION_KM:g} km of it"
    if official:
        return train, test, [*notes, f"official split: {near} of {len(train)} items to fit on lie {where}"]
    kept = [one for one, keep in zip(train, apart, strict=True) if keep]
    return kept, test, [*notes, f"{near} of {len(train)} items to fit on left out: they lie {where}"]


def _tiles(
    about: About, items: Sequence[Placed], spec: SampleSpec, tile_px: int, at_most: int, seed: int
) -> tuple[Tile, ...]:
    """Tiles of as many items as it takes, each item giving the same number at most."""
    if about.kind == "labels":
        return tuple(whole_of(item, spec, LARGEST_S2_CELLS) for item in items)
    each = -(-at_most // max(1, len(items)))
    rng = np.random.default_rng(seed)
    out: list[Tile] = []
    for item in items:
        if len(out) >= at_most:
            break
        tiles = list(tiles_of(item, spec, tile_px))
        kept = rng.permutation(len(tiles))[:each]
        out += [tiles[i] for i in sorted(kept)]
    return tuple(out[:at_most])


def check_counts(asked: Asked) -> Asked:
    """The same, saying which classes nothing is fitted on.

    Raises:
        InputError: the tiles to fit on, or those asked, hold no label at all.
    """
    train, test = (
        np.sum([class_counts(tile, len(asked.classes)) for tile in part], axis=0)
        for part in (asked.train, asked.test)
    )
    if not train.any() or not test.any():
        raise InputError(
            f"{asked.about.title}: {int(train.sum())} labels to fit on and {int(test.sum())} asked; "
            "expected both. Draw more tiles."
        )
    unseen = [asked.classes[i] for i in np.flatnonzero((train == 0) & (test > 0))]
    return (
        replace(asked, notes=(*asked.notes, f"nothing to fit on: {', '.join(unseen)}")) if unseen else asked
    )
