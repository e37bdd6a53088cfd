"""The state of the page as URL parameters, so that a link reproduces the view and a reload keeps it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from math import nan
from typing import Any, get_args

from indexer.labels.feedback import Rule
from indexer.overview.projection import METHODS
from indexer.search.query import Match
from indexer.search.words import COLUMNS

TABS = ("map", "change", "projection", "prototypes", "labels", "sql")
COLOURS = ("similarity", "prototype")
PARTS = ("prototypes", "clusters", "outliers")
SHADES = ("change", *COLOURS)
SENSORS = ("hr", "s2", "s1")
MATCHES = get_args(Match)
EXAMPLES = ("like", "unlike", "match", "invert", "negative_weight", "using", "against")
DIFFERING = ("per_parent", "parent_res", "relevance")
CONDITIONS = (
    "bbox", "within", "near", "cells", "footprint", "start", "end", "months", "modalities", "cloud", "valid",
    "where",
)  # fmt: skip
TAUGHT = ("marks", "rule", "apart_km")
QUESTION = ("table", *EXAMPLES, *TAUGHT, "k", *DIFFERING, *CONDITIONS)
COMPARED = (*(name for name in CONDITIONS if name not in ("start", "end")), "before", "after")
MAX_K = 500  # more results than this belong in a download, not on a page


@dataclass(frozen=True)
class View:
    """Everything that decides what the page shows.

    A query is written as a place: a cell's hex id, `lon,lat` in degrees, `prototype:REGION/NUMBER`, a
    shape on the map as `within:LON LAT,LON LAT,...`, `words:WORDS`, or `upload:DIGEST/NAME`.
    Words that `skyhex.search` knows have the names and values that they have there.
    """

    like: tuple[str, ...] = ()  # places to look for; one that stands there n times counts n times
    unlike: tuple[str, ...] = ()  # places to keep away from
    table: str = ""  # its name, see `PageSettings.named`; empty for the only one
    match: Match = "mean"
    invert: bool = False
    negative_weight: float = 0.5
    using: str = "fused"
    against: str = "fused"
    marks: str = ""  # that teach it, as SET/VERSION of labels
    rule: Rule = "linear"
    apart_km: float = 0.0  # results this near to a mark are left out
    k: int = 20  # results
    per_parent: int | None = None
    parent_res: int | None = None
    relevance: float | None = None
    bbox: tuple[float, float, float, float] | None = None  # west, south, east, north in degrees
    within: str = ""  # a shape on the map, `LON LAT,LON LAT,...`, or an upload
    near: tuple[float, float, float] | None = None
    cells: tuple[str, ...] = ()
    footprint: bool = False
    start: date | None = None  # rows whose period meets [start, end)
    end: date | None = None
    months: tuple[int, ...] = ()
    modalities: tuple[str, ...] = ()
    cloud: float | None = None  # of a row's input at most, 0 to 1
    valid: float | None = None  # at least
    where: str = ""  # SQL: of a link it is shown, and answered once a person agrees
    colour: str = "similarity"  # one of COLOURS
    tab: str = "map"  # one of TABS
    area: str = ""  # hex id of the coarse cell that is looked at; empty = where the query or most rows are
    prototype: str = ""  # REGION or REGION/NUMBER looked at in the prototypes tab
    labels: str = ""  # the set of labels in the labels tab
    sql: str = ""  # the statement in the SQL tab
    before: str = ""  # the periods compared in the change tab, as `skyhex changes` takes them
    after: str = ""
    shade: str = "change"  # one of SHADES: the colours of the change tab
    seen: str = ""  # hex id of the cell whose timeline is shown there
    plane: str = "pca"  # how the projection tab lays rows out
    part: str = "prototypes"  # one of PARTS: what the prototypes tab shows
    clusters: int = 6  # how many are made there
    picked: str = ""  # the shape that is picked there: `within:...`, or `plane:METHOD:X Y,X Y,...`

    @property
    def question(self) -> "View":
        """The part that decides what is found."""
        return View(**{name: getattr(self, name) for name in QUESTION})

    @property
    def comparison(self) -> "View":
        """The part that decides what has changed."""
        return View(**{name: getattr(self, name) for name in COMPARED})

    @property
    def conditions(self) -> list[str]:
        """The names of the conditions that it has."""
        return [name for name in CONDITIONS if getattr(self, name) != getattr(View, name)]

    def to_params(self) -> dict[str, str | list[str]]:
        """URL parameters of everything that differs from the default."""
        changed = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}
        return {name: _write(value) for name, value in changed.items()}


def read_view(params: Mapping[str, Sequence[str]]) -> tuple[View, list[str]]:
    """The view that URL parameters ask for, and a sentence on each parameter that could not be used.

    Unknown parameters are left alone: links outlive versions.
    """
    values: dict[str, Any] = {}
    problems = []
    for name, parse in _PARSERS.items():
        if name not in params:
            continue
        try:
            values[name] = parse(params[name])
        except ValueError as error:
            problems.append(f"The link's `{name}={','.join(params[name])}` was left out: {error}.")
    return View(**values), problems


def parse_bbox(text: str) -> tuple[float, float, float, float]:
    """`W,S,E,N` in degrees; commas or spaces between. West beyond east crosses the antimeridian.

    Raises:
        ValueError: not four numbers, or not longitudes and latitudes.
    """
    try:
        west, south, east, north = (float(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise ValueError("a box is four numbers, west south east north, in degrees") from None
    if not (abs(west) <= 180 and abs(east) <= 180 and -90 <= south < north <= 90):
        raise ValueError("a box needs longitudes within -180..180 and latitudes -90 <= south < north <= 90")
    return west, south, east, north


def write_bbox(bbox: tuple[float, float, float, float]) -> str:
    """`W,S,E,N`, to about a metre."""
    return ",".join(f"{degrees:.5f}".rstrip("0").rstrip(".") for degrees in bbox)


def _write(value: Any) -> str | list[str]:
    if isinstance(value, bool):
        return "1"
    if isinstance(value, tuple):
        return [*value] if isinstance(value[0], str) else write_bbox(value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _number(least: float, most: float) -> Callable[[Sequence[str]], float]:
    def parse(values: Sequence[str]) -> float:
        try:
            number = float(values[-1])
        except ValueError:
            number = nan
        if not least <= number <= most:
            raise ValueError(f"expected a number from {least:g} to {most:g}")
        return number

    return parse


def _whole(least: int, most: int) -> Callable[[Sequence[str]], int]:
    def parse(values: Sequence[str]) -> int:
        if not (values[-1].isdecimal() and least <= int(values[-1]) <= most):
            raise ValueError(f"expected a number from {least} to {most}")
        return int(values[-1])

    return parse


def _yes(values: Sequence[str]) -> bool:
    if values[-1] != "1":
        raise ValueError("expected 1, or nothing at all")
    return True


def parse_near(text: str) -> tuple[float, float, float]:
    """`LON LAT KM`; commas or spaces between. Raises `ValueError`."""
    try:
        lon, lat, km = (float(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise ValueError("a place and a distance are three numbers, lon lat km") from None
    if not (abs(lon) <= 180 and abs(lat) <= 90 and 0 < km <= 20_040):
        raise ValueError("expected lon -180..180, lat -90..90 and kilometres above 0")
    return lon, lat, km


def _months(values: Sequence[str]) -> tuple[int, ...]:
    words = values[-1].split(",")
    if not all(word.isdecimal() and 1 <= int(word) <= 12 for word in words):
        raise ValueError("expected months 1 to 12, such as 6,7,8")
    return tuple(sorted({int(word) for word in words}))


def _some_of(options: tuple[str, ...]) -> Callable[[Sequence[str]], tuple[str, ...]]:
    def parse(values: Sequence[str]) -> tuple[str, ...]:
        if not set(values) <= set(options):
            raise ValueError(f"expected some of {', '.join(options)}")
        return tuple(option for option in options if option in values)

    return parse


def _one_of(options: tuple[str, ...]) -> Callable[[Sequence[str]], str]:
    def parse(values: Sequence[str]) -> str:
        if values[-1] not in options:
            raise ValueError(f"expected one of {', '.join(options)}")
        return values[-1]

    return parse


def _version(values: Sequence[str]) -> str:
    name, _, version = values[-1].partition("/")
    if not (name and version.isdecimal() and int(version)):
        raise ValueError("expected SET/VERSION of labels")
    return values[-1]


def _last(values: Sequence[str]) -> str:
    return values[-1]


def _date(values: Sequence[str]) -> date:
    return date.fromisoformat(values[-1])


_PARSERS: dict[str, Callable[[Sequence[str]], Any]] = {
    "like": tuple,
    "unlike": tuple,
    "table": _last,
    "match": _one_of(MATCHES),
    "invert": _yes,
    "negative_weight": _number(0, 10),
    "using": _one_of(tuple(COLUMNS)),
    "against": _one_of(tuple(COLUMNS)),
    "marks": _version,
    "rule": _one_of(get_args(Rule)),
    "apart_km": _number(0, 20_040),
    "k": _whole(1, MAX_K),
    "per_parent": _whole(1, MAX_K),
    "parent_res": _whole(0, 15),
    "relevance": _number(0, 1),
    "bbox": lambda values: parse_bbox(values[-1]),
    "within": _last,
    "near": lambda values: parse_near(values[-1]),
    "cells": tuple,
    "footprint": _yes,
    "start": _date,
    "end": _date,
    "months": _months,
    "modalities": _some_of(SENSORS),
    "cloud": _number(0, 1),
    "valid": _number(0, 1),
    "where": _last,
    "colour": _one_of(COLOURS),
    "tab": _one_of(TABS),
    "area": _last,
    "prototype": _last,
    "labels": _last,
    "sql": _last,
    "before": _last,
    "after": _last,
    "shade": _one_of(SHADES),
    "seen": _last,
    "plane": _one_of(METHODS),
    "picked": _last,
    "part": _one_of(PARTS),
    "clusters": _whole(2, 99),
}
