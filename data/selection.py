"""Which scenes of a place can be used, and which acquisitions of them make its series in each period."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from .modality import MODALITIES
from .sample import InputError, SampleSpec
from .scene import Scene
from .site import Site, Skip
from .task import OnContradiction, SampleTask, Series, series_digest, task_key
from .time_series import Period, Span, acquisitions, by_preference, check_span, within

Scenes = Mapping[str, Sequence[Scene]]  # by modality
Dropped = tuple[tuple[str, str], ...]  # (modality, reason)


@dataclass(frozen=True)
class Request:
    """What is asked of a plan. Raises InputError when it cannot be answered."""

    spec: SampleSpec
    h3_resolution: int
    start: datetime | None
    end: datetime | None
    period: Period
    allow_l1c: bool
    on_contradiction: OnContradiction = "drop"

    def __post_init__(self) -> None:
        check_span(self.start, self.end)
        if self.period not in get_args(Period):
            raise InputError(f"period {self.period!r}; expected one of {', '.join(get_args(Period))}")
        if self.on_contradiction not in get_args(OnContradiction):
            raise InputError(f"on_contradiction {self.on_contradiction!r}; expected drop or trust")
        if not 0 <= self.h3_resolution <= 15:
            raise InputError(f"H3 resolution {self.h3_resolution}; expected 0 to 15")

    @property
    def s2_levels(self) -> tuple[str, ...]:
        """In order of preference."""
        return (*self.spec.s2_levels, "L1C") if self.allow_l1c else self.spec.s2_levels


def usable_scenes(scenes: Iterable[Scene], request: Request) -> tuple[Scenes, Dropped]:
    """Scenes that the model can take, by modality, and the modalities it cannot take, whole or in part."""
    by_modality: dict[str, list[Scene]] = defaultdict(list)
    for scene in scenes:
        by_modality[scene.modality].append(scene)
    usable: dict[str, list[Scene]] = {}
    dropped: list[tuple[str, str]] = []
    for modality in (name for name in MODALITIES if name in by_modality):
        if modality not in request.spec.px_per_cell:
            dropped.append((modality, f"the encoder takes {', '.join(request.spec.px_per_cell)} alone"))
            continue
        candidates = by_modality[modality]
        complete = [scene for scene in candidates if not scene.missing_bands]
        if len(complete) < len(candidates):
            dropped.append((modality, _missing_bands(candidates, len(complete))))
        kept = _of_best_level(complete, request.s2_levels) if modality == "s2" else complete
        if modality == "s1":
            kept, apart = _of_one_backscatter(complete)
            dropped += [(modality, apart)] if apart else []
        if kept:
            usable[modality] = kept
        elif complete:
            wanted = " or ".join(request.spec.s2_levels)
            dropped.append(
                (modality, f"level {complete[0].level}, the weights want {wanted} (see --allow-l1c)")
            )
    return usable, tuple(dropped)


def _missing_bands(scenes: Sequence[Scene], complete: int) -> str:
    names = " ".join(next(scene.missing_bands for scene in scenes if scene.missing_bands))
    count = f"{len(scenes) - complete} of {len(scenes)} scenes: " if complete else ""
    return f"{count}bands missing: {names}"


def _of_best_level(scenes: Sequence[Scene], levels: Iterable[str]) -> list[Scene]:
    """Scenes of the first level that any has, and those of unknown level; levels are never mixed."""
    for level in levels:
        if best := [scene for scene in scenes if scene.level in (level, "")]:
            return best
    return []


def _of_one_backscatter(scenes: Sequence[Scene]) -> tuple[list[Scene], str]:
    """Scenes of the commoner of sigma0 and gamma0, and those that do not say; and why others are left out."""
    counts = Counter(scene.backscatter for scene in scenes if scene.backscatter)
    if len(counts) < 2:
        return list(scenes), ""
    (most, _), *others = counts.most_common()
    kept = [scene for scene in scenes if scene.backscatter in (most, "")]
    named = ", ".join(f"{count} of {len(scenes)} scenes are {name}" for name, count in others)
    return kept, f"{named} and not mixed with {most}"


def tasks_of(
    sites: Iterable[Site | Skip], scenes: Scenes, dropped: Dropped, spans: Iterable[Span], request: Request
) -> list[SampleTask | Skip]:
    """A task for every site and period that has scenes; skips pass through."""
    spec, mode = request.spec, request.on_contradiction
    chosen = [(span, _series(scenes, span, spec)) for span in spans]
    digested = [(span, series, series_digest(series)) for span, series in chosen if series]
    tasks: list[SampleTask | Skip] = []
    for site in sites:
        if isinstance(site, Skip):
            tasks.append(site)
            continue
        for span, series, digest in digested:
            key = task_key(site, span, spec, digest, mode)
            tasks.append(SampleTask(site, *span, series, dropped, key, mode))
    return tasks


def _series(scenes: Scenes, span: Span, spec: SampleSpec) -> Series:
    by_modality = {
        modality: acquisitions(scene for scene in scenes[modality] if within(scene, span))
        for modality in MODALITIES
        if modality in scenes
    }
    return {
        name: by_preference(passes, spec.max_dates[name]) for name, passes in by_modality.items() if passes
    }
