"""What is known of a published set: its classes, splits, measure, source and terms, and how it is read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from data.sample import InputError

from .scene import Entry

Kind = Literal["labels", "mask", "change", "semantic change", "boxes"]
HELD_OUT = "blocks of train"  # the asked part where a set has no validation part of its own


@dataclass(frozen=True)
class About:
    """One set."""

    name: str  # on the command line
    title: str
    task: str  # one of the paper's seven
    kind: Kind  # of truth
    classes: tuple[str, ...]
    read: Callable[[Path, str], list[Entry]]  # folder, part -> its items; InputError names what is missing
    splits: Mapping[str, tuple[str, str]]  # "validation", "test" -> the parts fitted on and asked
    measure: str  # the published one, as the table calls it
    convention: str  # in words: what the authors and the paper's rivals count
    source: str  # address of the set
    layout_source: str  # where the layout was read, and how sure that is
    terms: str
    size: str
    averaged: Mapping[str, tuple[int, ...]] = field(
        default_factory=dict
    )  # mask measure -> classes in its mean
    tile_px: int = 512  # side of a tile, pixels of the finest sensor
    share: float | None = None  # of each class to fit on, where the authors draw splits at random
    rotated: bool = False  # boxes may lie at any angle
    is_seen: bool = False  # its reader has read the set itself, not a generator of its layout alone

    def parts(self, split: str) -> tuple[str, str]:
        """Parts to fit on and to ask.

        Raises:
            InputError: the set publishes no labels for this split.
        """
        if split not in self.splits:
            raise InputError(
                f"{self.title} has no labels for its {split} split; expected "
                f"--split {' or '.join(self.splits)}. {self.convention}"
            )
        return self.splits[split]


def folder_of(path: Path, set_title: str, expected: str) -> Path:
    """The folder itself.

    Raises:
        InputError: it is not there.
    """
    if not path.is_dir():
        raise InputError(f"{set_title}: no folder {path}; expected {expected}.")
    return path


def file_of(path: Path, set_title: str, what: str) -> Path:
    """The file itself.

    Raises:
        InputError: it is not there.
    """
    if not path.is_file():
        raise InputError(f"{set_title}: no file {path}; expected {what}.")
    return path


def some(entries: list[Entry], folder: Path, set_title: str, expected: str) -> list[Entry]:
    """The entries, sorted by id.

    Raises:
        InputError: there are none.
    """
    if not entries:
        raise InputError(f"{set_title}: nothing found below {folder}; expected {expected}.")
    return sorted(entries, key=lambda entry: entry.id)
