"""`skyhex eval`: how good are the vectors? Protocols and tables: docs/evaluation.md."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from .progress import progress_bar, say

if TYPE_CHECKING:
    from experiments.retrieval.options import Options
    from experiments.retrieval.report import Report

T = TypeVar("T")
C = TypeVar("C")
eval_app = typer.Typer(
    no_args_is_help=True, help="Retrieval and probes beside baselines, with intervals over spatial blocks."
)

Weights = Annotated[str, typer.Option(help="Name of shipped weights, or a .safetensors file.")]
Device = Annotated[str, typer.Option(help="auto takes CUDA where it is; else cpu, cuda, cuda:1.")]
Protocol = Annotated[str, typer.Option(help="all, zero-shot, probes, cross-modal, leakage or compression.")]
Split = Annotated[str, typer.Option(help="validation (choose on this) or test (the final table alone).")]
Seed = Annotated[int, typer.Option(help="Of thinning, baselines and resampling.")]
FillBand = Annotated[
    list[str] | None,
    typer.Option(help="A missing band takes another's values; repeatable.", metavar="B8A=B08"),
]
AllowL1C = Annotated[bool, typer.Option("--allow-l1c", help="Take Sentinel-2 L1C as if L2A.")]
MaxQueries = Annotated[int, typer.Option(help="Queries of a set, at most: a seeded draw.")]
MaxDatabase = Annotated[int, typer.Option(help="Rows to find of a set, at most: a seeded draw.")]
MaxDates = Annotated[int | None, typer.Option(help="Dates of each sensor, at most [default: all].")]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Write all numbers.", metavar="FILE")]
ReportDir = Annotated[
    Path | None, typer.Option("--report", help="Write Markdown and pictures.", metavar="DIR")
]


@eval_app.command()
def series(
    paths: Annotated[list[Path], typer.Argument(help="Parquet files of labelled pixel series.")],
    weights: Weights = "nano",
    device: Device = "auto",
    protocol: Protocol = "all",
    split: Split = "validation",
    seed: Seed = 0,
    fill_band: FillBand = None,
    allow_l1c: AllowL1C = False,
    max_queries: MaxQueries = 1500,
    max_database: MaxDatabase = 4000,
    max_dates: MaxDates = None,
    json_file: JsonFile = None,
    report: ReportDir = None,
) -> None:
    """Labelled series of single pixels, split by place."""
    from experiments.retrieval.options import Encoders
    from experiments.retrieval.run import report_of
    from experiments.retrieval.series_case import series_case
    from experiments.retrieval.series_sets import read_series

    options = replace(
        _options(weights, device, protocol, split, seed, fill_band, allow_l1c),
        max_queries=max_queries,
        max_database=max_database,
        max_dates=max_dates,
    )
    encoders = Encoders.load(options)
    cases = _each(paths, lambda path: series_case(read_series(path, options.rules), encoders, options))
    _give(report_of(cases, options, encoders.info), json_file, report)


@eval_app.command()
def chips(
    catalogs: Annotated[list[Path], typer.Argument(help="STAC catalogs whose items have label rasters.")],
    cells: Annotated[int, typer.Option(help="Side of a patch in grid cells of the model.")] = 1,
    per_place: Annotated[int, typer.Option(help="Patches of a place, at most: a seeded draw.")] = 256,
    weights: Weights = "nano",
    device: Device = "auto",
    protocol: Protocol = "all",
    split: Split = "validation",
    seed: Seed = 0,
    allow_l1c: AllowL1C = False,
    json_file: JsonFile = None,
    report: ReportDir = None,
) -> None:
    """Patches of label rasters, whole places held out: what search does."""
    from experiments.retrieval.chip_case import chip_case
    from experiments.retrieval.options import Encoders
    from experiments.retrieval.run import report_of

    options = _options(weights, device, protocol, split, seed, None, allow_l1c)
    encoders = Encoders.load(options)
    dial = {"cells": cells, "per_place": per_place}
    cases = _each(catalogs, lambda catalog: chip_case(catalog, encoders, options, **dial))
    _give(report_of(cases, options, encoders.info), json_file, report)


@eval_app.command()
def images(
    folders: Annotated[list[Path], typer.Argument(help="A folder per class each, or BigEarthNet patches.")],
    weights: Weights = "nano",
    device: Device = "auto",
    protocol: Protocol = "all",
    seed: Seed = 0,
    allow_l1c: AllowL1C = False,
    max_queries: MaxQueries = 600,
    max_database: MaxDatabase = 1400,
    json_file: JsonFile = None,
    report: ReportDir = None,
) -> None:
    """Folders of labelled images: RGB or Sentinel-2, one label each or several."""
    from experiments.retrieval.image_case import image_case
    from experiments.retrieval.options import Encoders
    from experiments.retrieval.run import report_of

    options = replace(
        _options(weights, device, protocol, "test", seed, None, allow_l1c),
        max_queries=max_queries,
        max_database=max_database,
    )
    encoders = Encoders.load(options)
    cases = _each(folders, lambda folder: image_case(folder, encoders, options))
    _give(report_of(cases, options, encoders.info), json_file, report)


@eval_app.command()
def prototypes(
    paths: Annotated[list[Path], typer.Argument(help="Parquet of labelled series, or STAC catalogs.")],
    region_res: Annotated[int, typer.Option(help="H3 resolution of a region.")] = 4,
    per_region: Annotated[int, typer.Option(help="Prototypes of a region, at most.")] = 100,
    weights: Weights = "nano",
    device: Device = "auto",
    split: Split = "validation",
    seed: Seed = 0,
    fill_band: FillBand = None,
    allow_l1c: AllowL1C = False,
    max_queries: MaxQueries = 4000,
    max_database: MaxDatabase = 8000,
    json_file: JsonFile = None,
    report: ReportDir = None,
) -> None:
    """Regional prototypes: agreement with labels, balance, stability, gain over lon/lat."""
    from experiments.retrieval.options import Encoders
    from experiments.retrieval.prototype_case import prototype_rows
    from experiments.retrieval.prototype_scorecard import scorecard
    from experiments.retrieval.report import Report

    options = replace(
        _options(weights, device, "all", split, seed, fill_band, allow_l1c),
        max_queries=max_queries,
        max_database=max_database,
        untrained_seeds=(),
    )
    encoders = Encoders.load(options)
    dial = {"resolution": region_res, "per_region": per_region, "seed": seed}
    found = _each(paths, lambda path: scorecard(prototype_rows(path, encoders, options), **dial))
    tables = tuple(table for of_set in found for table in of_set)
    _give(Report(options.command, encoders.info, split, seed, (), tables), json_file, report)


@eval_app.command()
def vectors(
    paths: Annotated[list[Path], typer.Argument(help="Parquet files: embedding, label, ...; ours first.")],
    protocol: Protocol = "all",
    seed: Seed = 0,
    max_queries: MaxQueries = 1500,
    max_database: MaxDatabase = 4000,
    json_file: JsonFile = None,
    report: ReportDir = None,
) -> None:
    """Embeddings of the same items by several models; the first is compared with the others."""
    from experiments.retrieval.run import report_of
    from experiments.retrieval.vector_case import vector_case

    options = replace(
        _options("", "", protocol, "test", seed, None, False),
        max_queries=max_queries,
        max_database=max_database,
    )
    about = {"name": paths[0].stem, "digest": "", "trained": True}
    _give(report_of([vector_case(paths, options)], options, about), json_file, report)


def _options(
    weights: str,
    device: str,
    protocol: str,
    split: str,
    seed: int,
    fill_band: list[str] | None,
    allow_l1c: bool,
) -> "Options":
    from experiments.retrieval.options import Options
    from experiments.retrieval.series_sets import SensorRules

    rules = SensorRules.parse(fill_band or [], allow_l1c)
    command = " ".join(["skyhex", *sys.argv[1:]])
    return Options(command, weights, device, protocol, split, seed, rules)


def _each(items: Sequence[T], work: Callable[[T], C]) -> list[C]:
    """Work on each item under a progress bar."""
    done = []
    with progress_bar("eval", "sets") as progress:
        for i, item in enumerate(items):
            done.append(work(item))
            progress(i + 1, len(items))
    return done


def _give(found: "Report", json_file: Path | None, folder: Path | None) -> None:
    """Print the tables; write what was asked for."""
    from experiments.retrieval.report import to_markdown, write_json, write_report

    typer.echo(to_markdown(found))
    if json_file:
        write_json(found, json_file)
    if folder:
        write_report(found, folder)
        say(f"report and pictures in {folder}")
