"""A plan: the samples yet to be read, as cheap values that can be sent to a worker process."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Literal

import numpy as np

from .access import EVERYTHING, Access, inside_archive, plain_href, unsigned
from .grid import Window
from .modality import MODALITIES
from .raster import file_stamp
from .sample import InputError, SampleSpec
from .scene import Scene
from .site import Site, Skip
from .time_series import Acquisition, Span

OnContradiction = Literal["drop", "trust"]  # leave the scene out, or believe its metadata
Series = Mapping[str, tuple[Acquisition, ...]]  # by modality, in the order in which to try them


@dataclass(frozen=True)
class SampleTask:
    """A sample yet to be read: where, when and from what."""

    site: Site
    start: datetime  # UTC, [start, end)
    end: datetime
    series: Series
    dropped: tuple[tuple[str, str], ...]  # (modality, reason), known before reading
    key: str  # digest of everything the sample is made from
    on_contradiction: OnContradiction = "drop"  # what to do where a scene's values contradict its metadata
    access: Access = EVERYTHING  # with what it is to be read; no part of the key

    @property
    def sample_id(self) -> str:
        return self.site.sample_id

    @property
    def h3_cell(self) -> int:
        return self.site.h3_cell


@dataclass(frozen=True)
class PlanSummary:
    """The size of a plan, known before any pixel is read."""

    samples: int
    cells: int
    skipped: int
    dates: Mapping[str, int]  # by modality, over all samples
    read_bytes: int  # of decoded pixels
    notes: tuple[str, ...]

    def __str__(self) -> str:
        dates = ", ".join(f"{count:,} {name}" for name, count in self.dates.items()) or "none"
        size = f"{self.read_bytes / 1e6:,.1f} MB of pixels"
        lines = [f"{self.samples:,} samples in {self.cells:,} cells; dates: {dates}; {size}"]
        if self.skipped:
            lines.append(f"{self.skipped:,} skipped")
        return "\n".join([*lines, *self.notes])


@dataclass(frozen=True)
class Plan:
    """All samples to be made, in order of h3_cell, and what cannot be made."""

    tasks: tuple[SampleTask, ...]
    skipped: tuple[Skip, ...]
    summary: PlanSummary


def make_plan(entries: Sequence[SampleTask | Skip], spec: SampleSpec, access: Access = EVERYTHING) -> Plan:
    """Put tasks in order and sum them up; they are to be read with `access`."""
    refused: dict[int, list[str]] = {}  # by series, which the tasks of one place or neighbourhood share
    tasks = [_with_access(task, access, refused) for task in entries if isinstance(task, SampleTask)]
    skips = [skip for skip in entries if isinstance(skip, Skip)]
    ordered = tuple(sorted(tasks, key=lambda task: (task.h3_cell, task.sample_id, task.start)))
    dates: Counter[str] = Counter()
    read_bytes = 0
    for task in ordered:
        for modality, series in task.series.items():
            chosen = series[: spec.max_dates[modality]]
            dates[modality] += len(chosen)
            read_bytes += sum(_read_bytes(acquisition.scenes[0], task.site.window) for acquisition in chosen)
    cells = len({task.h3_cell for task in ordered})
    by_modality = {name: dates[name] for name in MODALITIES if dates[name]}
    summary = PlanSummary(len(ordered), cells, len(skips), by_modality, read_bytes, _notes(ordered))
    return Plan(ordered, tuple(sorted(skips, key=lambda skip: skip.sample_id)), summary)


def _with_access(task: SampleTask, access: Access, refused: dict[int, list[str]]) -> SampleTask:
    """A task whose key tells what `access` leaves out of it: allowed another time, it is another sample."""
    if id(task.series) not in refused:
        scenes = [
            scene for acquisitions in task.series.values() for each in acquisitions for scene in each.scenes
        ]
        hrefs = {href for scene in scenes for href in _hrefs(scene)}
        refused[id(task.series)] = sorted(unsigned(h) for h in hrefs if _is_refused(access, _place_of(h)))
    left_out = refused[id(task.series)]
    return replace(task, access=access, key=_digest(task.key, *left_out) if left_out else task.key)


def _place_of(href: str) -> str:
    """The host or folder of an href, as an href of its own."""
    return href.rpartition("/")[0] + "/"


@lru_cache(maxsize=65536)
def _is_refused(access: Access, href: str) -> bool:
    try:
        plain = plain_href(href)
        access.check(inside_archive(plain) or plain)
    except InputError:
        return True
    return False


def _read_bytes(scene: Scene, window: Window) -> int:
    height, width = window.extent_px(scene.grid.gsd_m)
    return height * width * len(scene.bands) * np.dtype(MODALITIES[scene.modality].dtype).itemsize


def _notes(tasks: Sequence[SampleTask]) -> tuple[str, ...]:
    unsure = sorted(
        {
            scene.item_id
            for task in tasks
            for acquisition in task.series.get("s2", ())
            for scene in acquisition.scenes
            if scene.offset is None
        }
    )
    if not unsure:
        return ()
    named = ", ".join(unsure[:5]) + (", ..." if len(unsure) > 5 else "")
    return (
        f"{len(unsure)} Sentinel-2 scenes do not say whether the +1000 offset of baseline 04.00 is in them;"
        f" taken as they are: {named}",
    )


def series_digest(series: Series) -> str:
    """Digest of the scenes and of the files they lie in, as far as these can be told without reading them."""
    scenes = [
        scene
        for acquisitions in series.values()
        for acquisition in acquisitions
        for scene in acquisition.scenes
    ]
    return _digest(
        *(part for scene in scenes for part in (_unsigned(scene).key_text, *map(repr, _stamps(scene))))
    )


def _unsigned(scene: Scene) -> Scene:
    """A scene under the hrefs by which it is known: a new signature makes no new imagery."""
    bands = tuple(replace(band, href=unsigned(band.href)) for band in scene.bands)
    return replace(scene, bands=bands, scl_href=scene.scl_href and unsigned(scene.scl_href))


def _stamps(scene: Scene) -> list[tuple[int, int]]:
    return [_stamp(href) for href in _hrefs(scene)]


def _hrefs(scene: Scene) -> tuple[str, ...]:
    """Of the files of a scene, each once."""
    every = [band.href for band in scene.bands] + ([scene.scl_href] if scene.scl_href else [])
    return tuple(dict.fromkeys(every))


def _stamp(href: str) -> tuple[int, int]:
    try:
        return file_stamp(href)
    except InputError:
        return -1, -1  # missing: told when it is read


def task_key(
    site: Site, span: Span, spec: SampleSpec, series_key: str, on_contradiction: OnContradiction = "drop"
) -> str:
    """Digest of one sample's place, period, grid and scenes; the default adds nothing to it."""
    more = [] if on_contradiction == "drop" else [on_contradiction]
    return _digest(repr(site), repr(span), repr(spec), repr(series_key), *more)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
