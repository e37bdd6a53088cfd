"""Where, when and which rows: the conditions of every search on the command line, spelled once."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from indexer.errors import QueryError
from indexer.sql.limits import DEFAULT_MEMORY, DEFAULT_TIMEOUT_S

from .options import names
from .search_options import ROWS, WHERE, option
from .shared_options import Command, made_of

Read = Callable[[Any], Any]  # how the text of a condition is read
Condition = tuple[Any, Any, Read]  # its option, its default


def _same(value: Any) -> Any:
    return value


def _some(text: str | None) -> list[str] | None:
    return names(text) or None


def _numbers(text: str | None) -> list[int]:
    try:
        return [int(word) for word in names(text)]
    except ValueError:
        raise QueryError(f"{text!r}: expected whole numbers and commas, such as 6,7,8") from None


def _asked(
    kind: Any,
    panel: str,
    help: str,
    metavar: str | None,
    *names: str,
    default: Any = None,
    read: Read = _same,
) -> Condition:
    return Annotated[kind, option(panel, help, metavar, *names)], default, read


Box = tuple[float, float, float, float] | None
Disc = tuple[float, float, float] | None
Text = str | None
CONDITIONS = {
    "bbox": _asked(Box, WHERE, "Box in degrees; W > E crosses 180.", "W S E N", "--bbox"),
    "within": _asked(Path | None, WHERE, "Polygons of a GeoJSON, lon/lat.", "FILE"),
    "near": _asked(Disc, WHERE, "Within kilometres of a point.", "LON LAT KM"),
    "cells": _asked(Text, WHERE, "Cells and all below them: A,B,C.", "IDS", read=_some),
    "footprint": _asked(
        bool,
        WHERE,
        "Where a row's footprint reaches, not its cell's centre.",
        None,
        "--footprint",
        default=False,
    ),
    "start": _asked(Text, ROWS, "Periods that end after this day; 2024 is its first.", "D"),
    "end": _asked(Text, ROWS, "Periods that begin before this day; 2024 is its first.", "D"),
    "months": _asked(Text, ROWS, "Periods that touch months of any year: 6,7,8.", "LIST", read=_numbers),
    "modalities": _asked(Text, ROWS, "Rows made with all of these: hr,s2,s1.", "LIST", read=names),
    "where": _asked(Text, ROWS, "SQL on columns: prototype = 3 AND cloud_fraction < 0.2.", "SQL"),
    "where_timeout_s": _asked(
        float, ROWS, "Of --where, at most; 0: none.", "SECONDS", "--where-timeout", default=DEFAULT_TIMEOUT_S
    ),
    "where_memory": _asked(
        str, ROWS, "Of --where, at most.", "SIZE", "--where-memory", default=DEFAULT_MEMORY
    ),
}


def with_filter(*, without: tuple[str, ...] = ()) -> Callable[[Command], Command]:
    """Give a command an option for each condition but some; its argument `filter` is what they mean."""
    conditions = {name: condition for name, condition in CONDITIONS.items() if name not in without}

    def meant(**words: Any) -> Any:
        from indexer.search.words import filter_of

        return filter_of(**{name: conditions[name][2](word) for name, word in words.items()})

    options = {name: (spelled, default) for name, (spelled, default, _) in conditions.items()}
    return made_of("filter", options, meant, before="k")
