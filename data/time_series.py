"""Which dates of a modality make its series: periods, acquisitions, and a clear, spread choice of them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from .sample import InputError
from .scene import Scene

Period = Literal["all", "year", "season", "month"]
Span = tuple[datetime, datetime]  # [start, end), UTC

SAME_PASS = timedelta(minutes=10)  # neighbouring tiles and repeated products of one pass lie closer than this
CLOUDY_PERCENT = 80.0  # dates with more cloud are used only where there is no other
_MONTHS = {"year": 12, "season": 3, "month": 1}


@dataclass(frozen=True)
class Acquisition:
    """One pass of one sensor: the scenes that show it, the preferred first; later ones fill its gaps."""

    modality: str
    date: datetime | None  # None = unknown
    scenes: tuple[Scene, ...]

    @property
    def cloud_percent(self) -> float | None:
        return self.scenes[0].cloud_percent

    @property
    def day_of_year(self) -> int:
        """1-366, 366 being 31 December of a leap year; 0 = unknown."""
        return self.date.timetuple().tm_yday if self.date else 0


def acquisitions(scenes: Iterable[Scene]) -> tuple[Acquisition, ...]:
    """Scenes of one modality joined into passes, in order of time, unknown dates last.

    A pass joins scenes of one orbit direction within ten minutes: duplicates, and neighbours across a tile
    border. Of scenes without a date, those with the same range are one.
    """
    passes: list[list[Scene]] = []
    for scene in sorted(scenes, key=_pass_order):
        if passes and _same_pass(passes[-1][0], scene):
            passes[-1].append(scene)
        else:
            passes.append([scene])
    joined = [
        Acquisition(members[0].modality, members[0].date, tuple(sorted(members, key=_preference)))
        for members in passes
    ]
    return tuple(
        sorted(joined, key=lambda a: (a.date is None, a.date or a.scenes[0].start, a.scenes[0].item_id))
    )


def _pass_order(scene: Scene) -> tuple[str, bool, datetime, datetime, str]:
    return scene.orbit, scene.date is None, scene.date or scene.start, scene.end, scene.item_id


def _same_pass(first: Scene, second: Scene) -> bool:
    if first.orbit != second.orbit or (first.date is None) != (second.date is None):
        return False
    if first.date is None or second.date is None:
        return (first.start, first.end) == (second.start, second.end)
    return second.date - first.date <= SAME_PASS


def _preference(scene: Scene) -> tuple[float, float, str]:
    """The newest processing first, then the clearest."""
    return -scene.baseline, scene.cloud_percent or 0.0, scene.item_id


def by_preference(candidates: Sequence[Acquisition], max_dates: int) -> tuple[Acquisition, ...]:
    """Acquisitions in the order in which to try them until `max_dates` are found good.

    The time from first to last date is cut into `max_dates` equal parts, and the clearest date of each comes
    first, of equally clear ones that nearest to the part's middle; then the others, the clearest first. Dates
    of more than 80 % cloud are left out unless all are.
    """
    clear = [a for a in candidates if _cloud(a) <= CLOUDY_PERCENT] or list(candidates)
    placed = zip(clear, _positions(clear, max_dates), strict=True)
    first: dict[int, Acquisition] = {}
    rest: list[Acquisition] = []
    for acquisition, position in sorted(placed, key=lambda p: (_cloud(p[0]), abs(p[1] % 1 - 0.5))):
        part = math.floor(position)
        if part in first:
            rest.append(acquisition)
        else:
            first[part] = acquisition
    return (*first.values(), *rest)


def _cloud(acquisition: Acquisition) -> float:
    """Percent; unknown lies between clear and cloudy."""
    return 50.0 if acquisition.cloud_percent is None else acquisition.cloud_percent


def _positions(candidates: Sequence[Acquisition], count: int) -> list[float]:
    """Where dates lie in the time from the first to the last, 0 to below `count`; -1 for unknown dates."""
    dates = [a.date for a in candidates if a.date]
    first, last = (min(dates), max(dates)) if dates else (None, None)

    def position(date: datetime | None) -> float:
        if date is None or first is None or last is None:
            return -1.0
        return min((date - first) / (last - first) * count, count - 1e-6) if last > first else 0.5

    return [position(a.date) for a in candidates]


def covered_days(scenes: Iterable[Scene]) -> Span:
    """From the first day on which any of `scenes` was taken to the day after the last.

    A scene of unknown date widens that by its range only where the two would not touch.
    """
    every = list(scenes)
    known = [scene for scene in every if scene.date] or every
    start, end = min(scene.start for scene in known), max(scene.end for scene in known)
    apart = [scene for scene in every if scene.end < start or scene.start > end]
    start = min([start, *(scene.start for scene in apart)])
    end = max([end, *(scene.end for scene in apart)])
    return _midnight(start), _midnight(end) + timedelta(days=1)


def _midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def utc(at: datetime) -> datetime:
    """`at` in UTC; without a zone it is taken to be."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def check_span(start: datetime | None, end: datetime | None) -> None:
    """Raise InputError unless [start, end) can hold a date."""
    if start and end and start >= end:
        raise InputError(
            f"the period from {start:%Y-%m-%d} to {end:%Y-%m-%d} holds no day; the end must be later"
        )


def periods(
    scenes: Sequence[Scene], period: Period, start: datetime | None, end: datetime | None
) -> tuple[Span, ...]:
    """The periods in which `scenes` have dates, clipped to [start, end), in order of time.

    "all" is one: [start, end) where given, else the days covered. "year" is a calendar year, "season" three
    months from December, March, June or September, "month" a calendar month. With no date known, all is one.
    """
    inside = [scene for scene in scenes if within(scene, (start or _EVER[0], end or _EVER[1]))]
    if not inside:
        return ()
    dates = [scene.date for scene in inside if scene.date]
    if period == "all" or not dates:
        first, last = covered_days(inside)
        return ((start or first, end or last),)
    spans = {_calendar_span(date, _MONTHS[period]) for date in dates}
    return tuple(sorted((max(s, start or s), min(e, end or e)) for s, e in spans))


_EVER = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


def _calendar_span(date: datetime, months: int) -> Span:
    """The span of `months` calendar months around a date; seasons begin in December."""
    shift = 1 if months == 3 else 0
    month = date.year * 12 + date.month - 1 + shift  # months since year 0
    first = month - month % months - shift
    return _month_start(first), _month_start(first + months)


def _month_start(month: int) -> datetime:
    return datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)


def within(scene: Scene, span: Span) -> bool:
    """Whether a scene's date lies in [start, end) or, of unknown date, may lie there."""
    start, end = span
    if scene.date is not None:
        return start <= scene.date < end
    return scene.start < end and scene.end >= start
