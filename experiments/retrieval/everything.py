"""Every number of docs/evaluation.md in one run with fixed options, each part made once: `skyhex eval all`.

A folder holds `eval/*.parquet` and `series/*.parquet` (labelled series), `samples/catalog.json` (label
rasters) and `datasets/NAME/` (published sets, by the names of docs/datasets.md); a simulated landscape is
drawn besides, and what is not there is named on the page. Each part leaves a report of its own; a part that
is there for the same weights, options and input is kept. The summary is written from the parts' JSON alone.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from data.sample import InputError
from data.simulate.catalog import VERSION

from ..datasets.catalog import SETS
from ..tasks.run import evaluate_places, evaluate_published, evaluate_simulated
from .each import Each
from .evaluations import evaluate_chips, evaluate_prototypes, evaluate_series
from .options import PROTOTYPE_PROTOCOLS, Encoders, Options
from .report import Report, plain, write_report
from .summary import summary

SIMULATED_AREAS = 24
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
    published = tuple(path for path in published_at(shared) if options.split in SETS[path.name].splits)
    tiles = {"max_train": 200, "max_test": 200}
    every = (
        Part("series", series, options, evaluate_series),
        Part("chips", catalogs, options, evaluate_chips, {"cells": 1, "per_place": 256}),
        Part("tasks", catalogs, options, evaluate_places, tiles),
        Part("published", published, options, evaluate_published, tiles),
        Part("prototypes", large, by_rows, evaluate_prototypes, {"region_res": 3, "per_region": 100}),
    )
    parts = [part for part in every if part.paths]
    if not parts:
        raise InputError(
            f"{shared} holds none of eval/*.parquet, series/*.parquet, samples/catalog.json and "
            "datasets/NAME; expected labelled series, a STAC catalog with label rasters or published sets."
        )
    drawn = {"areas": SIMULATED_AREAS, "version": VERSION, **tiles}
    return [*parts, Part("simulated", (), options, evaluate_simulated, drawn)]


def published_at(shared: Path) -> list[Path]:
    """Folders of published sets."""
    return [path for name in SETS if (path := shared / "datasets" / name).is_dir()]


def not_run(shared: Path, options: Options, parts: Sequence[Part]) -> list[tuple[str, str, str]]:
    """What no number is of, for want of data: what it is, its task, and what was looked for."""
    there = {part.name for part in parts}
    known = {
        "series": ("labelled series", "retrieval and probes", "eval/*.parquet, series/*.parquet"),
        "chips": ("labelled places", "patches, segmentation", "samples/catalog.json"),
        "prototypes": ("large labelled series", "prototypes", "series/*.parquet"),
    }
    lines = [told for name, told in known.items() if name not in there]
    at_hand = [path.name for path in published_at(shared)]
    for about in SETS.values():
        if about.name not in at_hand:
            lines.append((about.title, about.task, f"datasets/{about.name}/"))
        elif options.split not in about.splits:
            lines.append((about.title, about.task, f"labels of its {options.split} split, none published"))
    return lines


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
        say(f"{part.name}: {f'{len(part.paths)} inputs' if part.paths else 'drawn'}")
        (where / ASKED).unlink(missing_ok=True)
        write_report(part.make(part.paths, encoders, part.options, each, **part.dial), where)
        (where / ASKED).write_text(json.dumps(asked, indent=1) + "\n", encoding="utf-8")
    reports = {part.name: json.loads((folder / part.name / "report.json").read_text()) for part in parts}
    out = folder / "README.md"
    missing = not_run(shared, options, parts)
    out.write_text(summary(options.command, reports, missing), encoding="utf-8")
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
    """SHA-256 of a file; of a catalog or a folder, of the names and sizes of all files below it."""
    digest = hashlib.sha256()
    for part in _bytes(path):
        digest.update(part)
    return digest.hexdigest()


def _bytes(path: Path) -> Iterator[bytes]:
    if path.is_file() and path.suffix != ".json":
        yield path.read_bytes()
        return
    folder = path if path.is_dir() else path.parent
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    for file in files:
        yield f"{file.relative_to(folder)} {file.stat().st_size}\n".encode()
