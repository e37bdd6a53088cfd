"""`skyhex eval`: how good are the vectors? Protocols and tables: docs/evaluation.md."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from ..terminal_text import visible
from .options import DeviceOption, WeightsOption
from .progress import progress_bar, say
from .shared_options import Command, made_of

if TYPE_CHECKING:
    from experiments.retrieval.options import Options
    from experiments.retrieval.report import Report

T = TypeVar("T")
C = TypeVar("C")
eval_app = typer.Typer(
    no_args_is_help=True, help="Retrieval and probes beside baselines, with intervals over spatial blocks."
)

OPTIONS: dict[str, Any] = {  # of an evaluation: which of them a command has is said where it begins
    "weights": WeightsOption,
    "device": DeviceOption,
    "protocol": Annotated[
        str, typer.Option(help="all, zero-shot, probes, cross-modal, leakage or compression.")
    ],
    "split": Annotated[
        str, typer.Option(help="validation (choose on this) or test (the final table alone).")
    ],
    "hold_out": Annotated[str, typer.Option(help="blocks, or country: each country among all others.")],
    "seed": Annotated[int, typer.Option(help="Of thinning, baselines and resampling.")],
    "fill_band": Annotated[
        list[str] | None,
        typer.Option(help="A missing band takes another's values; repeatable.", metavar="B8A=B08"),
    ],
    "allow_l1c": Annotated[bool, typer.Option("--allow-l1c", help="Take Sentinel-2 L1C as if L2A.")],
    "max_queries": Annotated[int, typer.Option(help="Queries of a set, at most: a seeded draw.")],
    "max_database": Annotated[int, typer.Option(help="Rows to find of a set, at most: a seeded draw.")],
    "max_dates": Annotated[int | None, typer.Option(help="Dates of each sensor, at most [default: all].")],
}
ENCODER: dict[str, Any] = {"weights": "nano", "device": "auto"}
HELD_OUT: dict[str, Any] = {"split": "validation", "seed": 0}
SENSORS: dict[str, Any] = {"fill_band": None, "allow_l1c": False}
JsonFile = Annotated[Path | None, typer.Option("--json", help="Write all numbers.", metavar="FILE")]
ReportDir = Annotated[
    Path | None, typer.Option("--report", help="Write Markdown and pictures.", metavar="DIR")
]


def with_options(**defaults: Any) -> Callable[[Command], Command]:
    """Give a command some of OPTIONS; its argument `options` is what they mean."""

    def meant(**given: Any) -> "Options":
        from experiments.retrieval.options import Options
        from experiments.retrieval.series_sets import SensorRules

        values = {"weights": "", "device": "", "protocol": "all", "split": "test", **given}
        rules = SensorRules.parse(values.pop("fill_band", None) or [], values.pop("allow_l1c", False))
        return Options(" ".join(["skyhex", *sys.argv[1:]]), rules=rules, **values)

    chosen = {name: (OPTIONS[name], defaults[name]) for name in OPTIONS if name in defaults}
    return made_of("options", chosen, meant, before="json_file")


@eval_app.command()
@with_options(
    **ENCODER,
    protocol="all",
    **HELD_OUT,
    hold_out="blocks",
    **SENSORS,
    max_queries=1500,
    max_database=4000,
    max_dates=None,
)
def series(
    options: "Options",
    paths: Annotated[list[Path], typer.Argument(help="Parquet files of labelled pixel series.")],
    json_file: JsonFile = None,
    report: ReportDir = None,
) -> None:
    """Labelled series of single pixels, split by place."""
    from experiments.retrieval.evaluations import evaluate_series
    from experiments.retrieval.options import Encoders

    give(evaluate_series(paths, Encoders.load(options), options, _each), json_file, report)


@eval_app.command()
@with_options(**ENCODER, protocol="all", **HELD_OUT, **SENSORS)
def chips(
    options: "Options",
    catalogs: Annotated[list[Path], typer.Argument(help="STAC catalogs whose items have label rasters.")],
    cells: Annotated[int, typer.Option(help="Side of a patch in grid cells of the model.")] = 1,
    per_place: Annotated[int, typer.Option(help="Patches of a place, at most: a seeded draw.")] = 256,
    json_file: JsonFile = None,
    report: ReportDir = None,
) -> None:
    """Patches of label rasters, whole places held out: what search does."""
    from experiments.retrieval.evaluations import evaluate_chips
    from experiments.retrieval.options import Encoders

    dial = {"cells": cells, "per_place": per_place}
    give(evaluate_chips(catalogs, Encoders.load(options), options, _each, **dial), json_file, report)


@eval_app.command()
@with_options(**ENCODER, protocol="all", seed=0, **SENSORS, max_queries=600, max_database=1400)
def images(
    options: "Options",
    folders: Annotated[list[Path], typer.Argument(help="A folder per class each, or BigEarthNet patches.")],
    json_file: JsonFile = None,
    report: ReportDir = None,
) -> None:
    """Folders of labelled images: RGB or Sentinel-2, one label each or several."""
    from experiments.retrieval.evaluations import evaluate_images
    from experiments.retrieval.options import Encoders

    give(evaluate_images(folders, Encoders.load(options), options, _each), json_file, report)


@eval_app.command()
@with_options(**ENCODER, **HELD_OUT, **SENSORS, max_queries=4000, max_database=8000)
def prototypes(
    options: "Options",
    paths: Annotated[list[Path], typer.Argument(help="Parquet of labelled series, or STAC catalogs.")],
    region_res: Annotated[int, typer.Option(help="H3 resolution of a region.")] = 4,
    per_region: Annotated[int, typer.Option(help="Prototypes of a region, at most.")] = 100,
    protocol: Annotated[str, typer.Option(help="all, agreement, stability or gain.")] = "all",
    json_file: JsonFile = None,
    report: ReportDir = None,
) -> None:
    """Regional prototypes: agreement with labels, balance, stability, gain over lon/lat."""
    from experiments.retrieval.evaluations import evaluate_prototypes
    from experiments.retrieval.options import PROTOTYPE_PROTOCOLS, Encoders

    options = replace(options, untrained_seeds=(), protocol=protocol, protocols=PROTOTYPE_PROTOCOLS)
    dial = {"region_res": region_res, "per_region": per_region}
    give(evaluate_prototypes(paths, Encoders.load(options), options, _each, **dial), json_file, report)


@eval_app.command()
@with_options(**ENCODER, **HELD_OUT, **SENSORS)
def task(
    options: "Options",
    name: Annotated[str, typer.Argument(help="A set of docs/datasets.md, or `places` for a STAC catalog.")],
    folder: Annotated[
        Path, typer.Argument(help="Where it lies; of `places`, the catalog.json.", exists=True)
    ],
    official: Annotated[
        bool, typer.Option("--official", help="Keep items to fit on that lie near an asked one.")
    ] = False,
    max_train: Annotated[int, typer.Option(help="Tiles to fit on, at most: a seeded draw.")] = 200,
    max_test: Annotated[int, typer.Option(help="Tiles asked, at most: a seeded draw.")] = 200,
    share: Annotated[
        float | None, typer.Option(help="Of each class to fit on, where the authors draw at random.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Of the detection head.")] = 400,
    tune: Annotated[
        str, typer.Option(help="head or all: train it by steps, beside the frozen rows.", metavar="PART")
    ] = "",
    tune_seconds: Annotated[float, typer.Option(help="CPU seconds of each tuned row.", min=0.1)] = 300.0,
    tune_steps: Annotated[int | None, typer.Option(help="Steps instead of seconds.", min=1)] = None,
    tune_folder: Annotated[
        Path | None, typer.Option(help="Keep the states of tuned rows: a stopped run goes on.", metavar="DIR")
    ] = None,
    json_file: JsonFile = None,
    report: ReportDir = None,
) -> None:
    """One of the paper's seven tasks with frozen features or tuned ones, on a published set."""
    from experiments.retrieval.options import Encoders
    from experiments.tasks.question import TaskOptions
    from experiments.tasks.run import evaluate_task, named_set

    dial = TaskOptions(official, max_train, max_test, share, steps, tune, tune_seconds, tune_steps)
    encoders = Encoders.load(options)
    chosen = named_set(name, folder, encoders, options)
    give(evaluate_task([(chosen, folder)], encoders, options, dial, tune_folder), json_file, report)


@eval_app.command()
@with_options(protocol="all", seed=0, max_queries=1500, max_database=4000)
def vectors(
    options: "Options",
    paths: Annotated[list[Path], typer.Argument(help="Parquet files: embedding, label, ...; ours first.")],
    json_file: JsonFile = None,
    report: ReportDir = None,
) -> None:
    """Embeddings of the same items by several models; the first is compared with the others."""
    from experiments.retrieval.evaluations import evaluate_vectors

    give(evaluate_vectors(paths, options), json_file, report)


@eval_app.command(name="all")
@with_options(**ENCODER, **HELD_OUT)
def everything(
    options: "Options",
    shared: Annotated[
        Path, typer.Argument(help="Folder of eval/, series/ and samples/.", exists=True, file_okay=False)
    ],
    report: Annotated[Path, typer.Option("--report", help="Write all reports and README.md.", metavar="DIR")],
) -> None:
    """Every number of docs/evaluation.md: series, chips and prototypes. Goes on where it was stopped."""
    from experiments.retrieval.everything import evaluate_all
    from experiments.retrieval.options import Encoders
    from experiments.retrieval.validation import RULES

    options = replace(options, rules=RULES)
    typer.echo(visible(evaluate_all(shared, report, Encoders.load(options), options, _each, say)))


def _each(items: Sequence[T], work: Callable[[T], C]) -> list[C]:
    """Work on each item under a progress bar."""
    done = []
    with progress_bar("eval", "sets") as progress:
        for i, item in enumerate(items):
            done.append(work(item))
            progress(i + 1, len(items))
    return done


def give(evaluation: "Report", json_file: Path | None, folder: Path | None) -> None:
    """Print the tables; write what was asked for."""
    from experiments.retrieval.report import to_markdown, write_json, write_report

    typer.echo(visible(to_markdown(evaluation)))
    if json_file:
        write_json(evaluation, json_file)
    if folder:
        write_report(evaluation, folder)
        say(f"report and pictures in {folder}")
