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
    from experiments.retrieval.evaluations import evaluate_series
    from experiments.retrieval.options import Encoders

    options = replace(
        _options(weights, device, protocol, split, seed, fill_band, allow_l1c),
        max_queries=max_queries,
        max_database=max_database,
        max_dates=max_dates,
    )
    _give(evaluate_series(paths, Encoders.load(options), options, _each), json_file, report)


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
    fill_band: FillBand = None,
    allow_l1c: AllowL1C = False,
    json_file: JsonFile = None,
    report: ReportDir = None,
) -> None:
    """Patches of label rasters, whole places held out: what search does."""
    from experiments.retrieval.evaluations import evaluate_chips
    from experiments.retrieval.options import Encoders

    options = _options(weights, device, protocol, split, seed, fill_band, allow_l1c)
    dial = {"cells": cells, "per_place": per_place}
    _give(evaluate_chips(catalogs, Encoders.load(options), options, _each, **dial), json_file, report)


@eval_app.command()
def images(
    folders: Annotated[list[Path], typer.Argument(help="A folder per class each, or BigEarthNet patches.")],
    weights: Weights = "nano",
    device: Device = "auto",
    protocol: Protocol = "all",
    seed: Seed = 0,
    fill_band: FillBand = None,
    allow_l1c: AllowL1C = False,
    max_queries: MaxQueries = 600,
    max_database: MaxDatabase = 1400,
    json_file: JsonFile = None,
    report: ReportDir = None,
) -> None:
    """Folders of labelled images: RGB or Sentinel-2, one label each or several."""
    from experiments.retrieval.evaluations import evaluate_images
    from experiments.retrieval.options import Encoders

    options = replace(
        _options(weights, device, protocol, "test", seed, fill_band, allow_l1c),
        max_queries=max_queries,
        max_database=max_database,
    )
    _give(evaluate_images(folders, Encoders.load(options), options, _each), json_file, report)


@eval_app.command()
def prototypes(
    paths: Annotated[list[Path], typer.Argument(help="Parquet of labelled series, or STAC catalogs.")],
    region_res: Annotated[int, typer.Option(help="H3 resolution of a region.")] = 4,
    per_region: Annotated[int, typer.Option(help="Prototypes of a region, at most.")] = 100,
    weights: Weights = "nano",
    device: Device = "auto",
    protocol: Annotated[str, typer.Option(help="all, agreement, stability or gain.")] = "all",
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
    from experiments.retrieval.evaluations import evaluate_prototypes
    from experiments.retrieval.options import PROTOTYPE_PROTOCOLS, Encoders

    options = replace(
        _options(weights, device, "all", split, seed, fill_band, allow_l1c),
        max_queries=max_queries,
        max_database=max_database,
        untrained_seeds=(),
        protocol=protocol,
        protocols=PROTOTYPE_PROTOCOLS,
    )
    dial = {"region_res": region_res, "per_region": per_region}
    _give(evaluate_prototypes(paths, Encoders.load(options), options, _each, **dial), json_file, report)


@eval_app.command()
def task(
    name: Annotated[str, typer.Argument(help="A set of docs/datasets.md, or `places` for a STAC catalog.")],
    folder: Annotated[
        Path, typer.Argument(help="Where it lies; of `places`, the catalog.json.", exists=True)
    ],
    weights: Weights = "nano",
    device: Device = "auto",
    split: Split = "validation",
    seed: Seed = 0,
    fill_band: FillBand = None,
    allow_l1c: AllowL1C = False,
    official: Annotated[
        bool, typer.Option("--official", help="Keep items to fit on that lie near an asked one.")
    ] = False,
    max_train: Annotated[int, typer.Option(help="Tiles to fit on, at most: a seeded draw.")] = 200,
    max_test: Annotated[int, typer.Option(help="Tiles asked, at most: a seeded draw.")] = 200,
    share: Annotated[
        float | None, typer.Option(help="Of each class to fit on, where the authors draw at random.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Of the detection head.")] = 400,
    json_file: JsonFile = None,
    report: ReportDir = None,
) -> None:
    """One of the paper's seven tasks with frozen features, on a published set."""
    from experiments.retrieval.options import Encoders
    from experiments.tasks.question import TaskOptions
    from experiments.tasks.run import evaluate_task, named_set

    options = _options(weights, device, "all", split, seed, fill_band, allow_l1c)
    dial = TaskOptions(official, max_train, max_test, share, steps)
    encoders = Encoders.load(options)
    chosen = named_set(name, folder, encoders, options)
    _give(evaluate_task([(chosen, folder)], encoders, options, dial), json_file, report)


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
    from experiments.retrieval.evaluations import evaluate_vectors

    options = replace(
        _options("", "", protocol, "test", seed, None, False),
        max_queries=max_queries,
        max_database=max_database,
    )
    _give(evaluate_vectors(paths, options), json_file, report)


@eval_app.command(name="all")
def everything(
    shared: Annotated[
        Path, typer.Argument(help="Folder of eval/, series/ and samples/.", exists=True, file_okay=False)
    ],
    report: Annotated[Path, typer.Option("--report", help="Write all reports and README.md.", metavar="DIR")],
    weights: Weights = "nano",
    device: Device = "auto",
    split: Split = "validation",
    seed: Seed = 0,
) -> None:
    """Every number of docs/evaluation.md: series, chips and prototypes. Goes on where it was stopped."""
    from experiments.retrieval.everything import evaluate_all
    from experiments.retrieval.options import Encoders
    from experiments.retrieval.validation import RULES

    options = replace(_options(weights, device, "all", split, seed, None, False), rules=RULES)
    typer.echo(evaluate_all(shared, report, Encoders.load(options), options, _each, say))


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
    return Options(command, weights, device, split, seed, rules, protocol)


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
