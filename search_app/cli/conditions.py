"""Where, when and which rows: the conditions of every search on the command line, spelled once."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from indexer.errors import QueryError
from indexer.sql.limits import DEFAULT_MEMORY, DEFAULT_TIMEOUT_S

from .options import names
from .search_options import ROWS, WHERE, option
from .shared_options import Command, made_of

Condition = tuple[Any, Any, Callable[[Any], Any]]  # its option, its default, how its text is read


def _same(value: Any) -> Any:
    return value


def _some(text: str | None) -> list[str] | None:
    return names(text) or None


def _numbers(text: str | None) -> list[int]:
    try:
        return [int(word) for word in names(text)]
    except ValueError:
        raise QueryError(f"{text!r}: expected whole numbers and commas, such as 6,7,8") from None


CONDITIONS: dict[str, Condition] = {
    "bbox": (
        Annotated[
            tuple[float, float, float, float] | None,
            option(WHERE, "Box in degrees; W > E crosses 180.", "W S E N", "--bbox"),
        ],
        None,
        _same,
    ),
    "within": (
        Annotated[Path | None, option(WHERE, "Polygons of a GeoJSON, lon/lat.", "FILE")],
        None,
        _same,
    ),
    "near": (
        Annotated[
            tuple[float, float, float] | None,
            option(WHERE, "Within kilometres of a point.", "LON LAT KM"),
        ],
        None,
        _same,
    ),
    "cells": (
        Annotated[str | None, option(WHERE, "Cells and all below them: A,B,C.", "IDS")],
        None,
        _some,
    ),
    "footprint": (
        Annotated[
            bool,
            option(WHERE, "Where a row's footprint reaches, not its cell's centre.", None, "--footprint"),
        ],
        False,
        _same,
    ),
    "start": (
        Annotated[str | None, option(ROWS, "Periods that end after this day; 2024 is its first.", "D")],
        None,
        _same,
    ),
    "end": (
        Annotated[str | None, option(ROWS, "Periods that begin before this day; 2024 is its first.", "D")],
        None,
        _same,
    ),
    "months": (
        Annotated[str | None, option(ROWS, "Periods that touch months of any year: 6,7,8.", "LIST")],
        None,
        _numbers,
    ),
    "modalities": (
        Annotated[str | None, option(ROWS, "Rows made with all of these: hr,s2,s1.", "LIST")],
        None,
        names,
    ),
    "where": (
        Annotated[str | None, option(ROWS, "SQL on columns: prototype = 3 AND cloud_fraction < 0.2.", "SQL")],
        None,
        _same,
    ),
    "where_timeout_s": (
        Annotated[float, option(ROWS, "Of --where, at most; 0: none.", "SECONDS", "--where-timeout")],
        DEFAULT_TIMEOUT_S,
        _same,
    ),
    "where_memory": (
        Annotated[str, option(ROWS, "Of --where, at most.", "SIZE", "--where-memory")],
        DEFAULT_MEMORY,
        _same,
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
