"""Every number of docs/evaluation.md in one run with fixed options, each part made once: `skyhex eval all`.

A folder holds `eval/*.parquet` and `series/*.parquet` (labelled series) and `samples/catalog.json` (label
rasters). Each part leaves a report of its own; a part that is there for the same weights, options and input
is kept. The summary is written from the parts' JSON alone.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from data.sample import InputError

from ..tasks.run import evaluate_places
from .each import Each
from .evaluations import evaluate_chips, evaluate_prototypes, evaluate_series
from .options import PROTOTYPE_PROTOCOLS, Encoders, Options
from .report import Report, plain, write_report
from .summary import summary

ASKED = "asked.json"  # beside a part's report: what it answers


@dataclass(frozen=True)
class Part:
    """One report of the whole."""

    name: str  # of its folder
    paths: tuple[Path, ...]
    options: Options
    make: Callable[..., Report]
    dial: Mapping[str, int] = field(default_factory=dict)  # what this kind of report is told besides


def parts_of(shared: Path, options: Options) -> list[Part]:
    """What can be made of a folder.

    Raises:
        InputError: it holds nothing that is looked for.
    """
    large = tuple(sorted(shared.glob("series/*.parquet")))
    series = (*sorted(shared.glob("eval/*.parquet")), *large)
    catalogs = tuple(shared.glob("samples/catalog.json"))
    by_rows = replace(
        options, max_queries=4000, max_database=8000, untrained_seeds=(), protocols=PROTOTYPE_PROTOCOLS
    )
    every = (
        Part("series", series, options, evaluate_series),
        Part("chips", catalogs, options, evaluate_chips, {"cells": 1, "per_place": 256}),
        Part("tasks", catalogs, options, evaluate_places, {"max_train": 200, "max_test": 200}),
        Part("prototypes", large, by_rows, evaluate_prototypes, {"region_res": 3, "per_region": 100}),
    )
    parts = [part for part in every if part.paths]
    if not parts:
        raise InputError(
            f"{shared} holds none of eval/*.parquet, series/*.parquet and samples/catalog.json; "
            "expected labelled series or a STAC catalog with label rasters."
        )
    return parts


def evaluate_all(
    shared: Path, folder: Path, encoders: Encoders, options: Options, each: Each, say: Callable[[str], None]
) -> Path:
    """Make what is missing, then `README.md` of the folder: returns it.

    Raises:
        InputError: nothing to evaluate, or a set that is not what was expected.
    """
    parts = parts_of(shared, options)
    for part in parts:
        where = folder / part.name
        asked = asked_of(part, encoders)
        if answered(where, asked):
            say(f"{part.name}: kept, made of the same weights, options and input")
            continue
        say(f"{part.name}: {len(part.paths)} inputs")
        (where / ASKED).unlink(missing_ok=True)
        write_report(part.make(part.paths, encoders, part.options, each, **part.dial), where)
        (where / ASKED).write_text(json.dumps(asked, indent=1) + "\n", encoding="utf-8")
    reports = {part.name: json.loads((folder / part.name / "report.json").read_text()) for part in parts}
    out = folder / "README.md"
    out.write_text(summary(options.command, reports), encoding="utf-8")
    return out


def asked_of(part: Part, encoders: Encoders) -> dict[str, Any]:
    """What decides a part's numbers, as JSON keeps it."""
    inputs = {f"{path.parent.name}/{path.name}": fingerprint(path) for path in part.paths}
    settings = part.options.settings | dict(part.dial)
    asked = {"weights": encoders.info["digest"], "settings": settings, "inputs": inputs}
    return dict(json.loads(json.dumps(plain(asked))))


def answered(where: Path, asked: dict[str, Any]) -> bool:
    """Whether a finished report answers this very question."""
    if not ((where / ASKED).is_file() and (where / "report.json").is_file()):
        return False
    return bool(json.loads((where / ASKED).read_text(encoding="utf-8")) == asked)


def fingerprint(path: Path) -> str:
    """SHA-256 of a file; of a catalog, of the names and sizes of all files below it."""
    digest = hashlib.sha256()
    for part in _bytes(path):
        digest.update(part)
    return digest.hexdigest()


def _bytes(path: Path) -> Iterator[bytes]:
    if path.suffix != ".json":
        yield path.read_bytes()
        return
    files = (file for file in sorted(path.parent.rglob("*")) if file.is_file())
    for file in files:
        yield f"{file.relative_to(path.parent)} {file.stat().st_size}\n".encode()
