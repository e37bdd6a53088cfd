"""`skyhex eval`: how good are the vectors? Protocols and tables: docs/evaluation.md."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from .progress import progress_bar, say

if TYPE_CHECKING:
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
    from experiments.retrieval.options import Encoders, Options
    from experiments.retrieval.run import report_of
    from experiments.retrieval.series_case import series_case
    from experiments.retrieval.series_sets import SensorRules, read_series

    options = Options(
        command=_command(),
        weights=weights,
        device=device,
        protocol=protocol,
        split=split,
        seed=seed,
        rules=SensorRules.parse(fill_band or [], allow_l1c),
        max_queries=max_queries,
        max_database=max_database,
        max_dates=max_dates,
    )
    encoders = Encoders.load(options)
    cases = _each(paths, lambda path: series_case(read_series(path, options.rules), encoders, options))
    _give(report_of(cases, options, encoders.info), json_file, report)


def _each(items: Sequence[T], work: Callable[[T], C]) -> list[C]:
    """Work on each item under a progress bar."""
    done = []
    with progress_bar("eval", "sets") as progress:
        for i, item in enumerate(items):
            done.append(work(item))
            progress(i + 1, len(items))
    return done


def _command() -> str:
    return " ".join(["skyhex", *sys.argv[1:]])


def _give(found: "Report", json_file: Path | None, folder: Path | None) -> None:
    """Print the tables; write what was asked for."""
    from experiments.retrieval.report import to_markdown, write_json, write_report

    typer.echo(to_markdown(found))
    if json_file:
        write_json(found, json_file)
    if folder:
        write_report(found, folder)
        say(f"report and pictures in {folder}")
