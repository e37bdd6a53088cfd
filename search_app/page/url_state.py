"""The state of the page as URL parameters, so that a link reproduces the view and a reload keeps it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

TABS = ("map", "change", "prototypes", "sql")
COLOURS = ("similarity", "prototype")
SHADES = ("change", *COLOURS)
QUESTION = ("like", "unlike", "k", "bbox", "within", "start", "end")
COMPARED = ("bbox", "within", "before", "after")
MAX_K = 500  # more results than this belong in a download, not on a page


@dataclass(frozen=True)
class View:
    """Everything that decides what the page shows.

    A query is written as a place: a cell's hex id, `lon,lat` in degrees, `prototype:REGION/NUMBER`, a
    shape on the map as `within:LON LAT,LON LAT,...`, or `words:WORDS`.
    """

    like: tuple[str, ...] = ()  # places to look for
    unlike: tuple[str, ...] = ()  # places to keep away from
    k: int = 20  # results
    bbox: tuple[float, float, float, float] | None = None  # west, south, east, north in degrees
    within: str = ""  # a shape on the map, `LON LAT,LON LAT,...`
    start: date | None = None  # rows whose period meets [start, end)
    end: date | None = None
    colour: str = "similarity"  # one of COLOURS
    tab: str = "map"  # one of TABS
    area: str = ""  # hex id of the coarse cell that is looked at; empty = where the query or most rows are
    prototype: str = ""  # REGION or REGION/NUMBER looked at in the prototypes tab
    sql: str = ""  # the statement in the SQL tab
    before: str = ""  # the periods compared in the change tab, as `skyhex changes` takes them
    after: str = ""
    shade: str = "change"  # one of SHADES: the colours of the change tab
    seen: str = ""  # hex id of the cell whose timeline is shown there

    @property
    def question(self) -> "View":
        """The part that decides what is found."""
        return View(**{name: getattr(self, name) for name in QUESTION})

    @property
    def comparison(self) -> "View":
        """The part that decides what has changed."""
        return View(**{name: getattr(self, name) for name in COMPARED})

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
    if isinstance(value, tuple):
        return [*value] if isinstance(value[0], str) else write_bbox(value)
    return str(value)


def _parse_k(values: Sequence[str]) -> int:
    if not (values[-1].isdecimal() and 1 <= int(values[-1]) <= MAX_K):
        raise ValueError(f"expected a number from 1 to {MAX_K}")
    return int(values[-1])


def _one_of(options: tuple[str, ...]) -> Callable[[Sequence[str]], str]:
    def parse(values: Sequence[str]) -> str:
        if values[-1] not in options:
            raise ValueError(f"expected one of {', '.join(options)}")
        return values[-1]

    return parse


def _last(values: Sequence[str]) -> str:
    return values[-1]


def _date(values: Sequence[str]) -> date:
    return date.fromisoformat(values[-1])


_PARSERS: dict[str, Callable[[Sequence[str]], Any]] = {
    "like": tuple,
    "unlike": tuple,
    "k": _parse_k,
    "bbox": lambda values: parse_bbox(values[-1]),
    "within": _last,
    "start": _date,
    "end": _date,
    "colour": _one_of(COLOURS),
    "tab": _one_of(TABS),
    "area": _last,
    "prototype": _last,
    "sql": _last,
    "before": _last,
    "after": _last,
    "shade": _one_of(SHADES),
    "seen": _last,
}
