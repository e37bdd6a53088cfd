"""Where, when and which rows: the conditions of every search on the command line, spelled once."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from .search_options import ROWS, WHERE, option
from .search_words import names, numbers

Condition = tuple[Any, Any, Callable[[Any], Any]]  # its option, its default, how its text is read


def _same(value: Any) -> Any:
    return value


def _some(text: str | None) -> list[str] | None:
    return names(text) or None


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
        Annotated[str | None, option(ROWS, "Periods that end after this day.", "D")],
        None,
        _same,
    ),
    "end": (
        Annotated[str | None, option(ROWS, "Periods that begin before this day.", "D")],
        None,
        _same,
    ),
    "months": (
        Annotated[str | None, option(ROWS, "Periods that touch months of any year: 6,7,8.", "LIST")],
        None,
        numbers,
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
}


def with_filter(*, without: tuple[str, ...] = ()) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for each condition but some; its argument `filter` is what they mean."""
    conditions = {name: condition for name, condition in CONDITIONS.items() if name not in without}

    def wrap(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(**arguments: Any) -> None:
            from indexer.search.words import filter_of

            words = {name: read(arguments.pop(name)) for name, (_, _, read) in conditions.items()}
            command(filter=filter_of(**words), **arguments)

        own = [p for name, p in inspect.signature(command).parameters.items() if name != "filter"]
        before_k = [p.name for p in own].index("k")
        given = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=spelled)
            for name, (spelled, default, _) in conditions.items()
        ]
        parameters = [*own[:before_k], *given, *own[before_k:]]
        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return wrap
