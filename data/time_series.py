"""Which dates of a modality make its series: periods, acquisitions, and a clear, spread choice of them."""

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
    found = [
        Acquisition(members[0].modality, members[0].date, tuple(sorted(members, key=_preference)))
        for members in passes
    ]
    return tuple(
        sorted(found, key=lambda a: (a.date is None, a.date or a.scenes[0].start, a.scenes[0].item_id))
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
    cloud = 50.0 if scene.cloud_percent is None else scene.cloud_percent
    return -scene.baseline, cloud, scene.item_id


def by_preference(found: Sequence[Acquisition], max_dates: int) -> tuple[Acquisition, ...]:
    """Acquisitions in the order in which to try them until `max_dates` are found good.

    The time from first to last date is cut into `max_dates` equal parts, and the clearest date of each comes
    first, then the others, the clearest first. Dates of more than 80 % cloud are left out unless all are.
    """
    clear = [a for a in found if _cloud(a) <= CLOUDY_PERCENT] or list(found)
    best: dict[int, Acquisition] = {}
    for acquisition, part in zip(clear, _parts(clear, max_dates), strict=True):
        if part not in best or _cloud(acquisition) < _cloud(best[part]):
            best[part] = acquisition
    first = sorted(best.values(), key=_cloud)
    rest = sorted((a for a in clear if a not in first), key=_cloud)
    return (*first, *rest)


def _cloud(acquisition: Acquisition) -> float:
    """Percent; unknown lies between clear and cloudy."""
    return 50.0 if acquisition.cloud_percent is None else acquisition.cloud_percent


def _parts(found: Sequence[Acquisition], count: int) -> list[int]:
    """For each acquisition, which of `count` equal parts of the time covered it lies in; unknown: below 0."""
    dates = [a.date for a in found if a.date]
    if not dates:
        return [-1 - i for i in range(len(found))]
    span = max(dates) - min(dates)
    return [
        -1 if a.date is None else min(int((a.date - min(dates)) / span * count), count - 1) if span else 0
        for a in found
    ]


def covered_days(scenes: Iterable[Scene]) -> Span:
    """From the first day on which any of `scenes` can have been taken to the day after the last.

    Scenes of known date decide; unknown ones count only where all are.
    """
    chosen = list(scenes)
    chosen = [scene for scene in chosen if scene.date] or chosen
    last = max(scene.end for scene in chosen)
    return _midnight(min(scene.start for scene in chosen)), _midnight(last) + timedelta(days=1)


def _midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


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
