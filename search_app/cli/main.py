"""The command `skyhex`. Results go to stdout, progress and news to stderr.

Anywhere on the line: --quiet (no progress, no news), --debug (show the traceback of an error).
"""

import os
import re
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Annotated, Literal

import typer

from indexer.sql.limits import DEFAULT_MEMORY, DEFAULT_TIMEOUT_S, Limits

from ..page_settings import DEFAULT_ROWS, TABLE, PageSettings
from ..terminal_text import shown
from . import (
    compare_command,
    eval_command,
    export_command,
    feedback_command,
    heat_command,
    import_command,
    label_commands,
    overview_commands,
    prototype_commands,
    quicklooks_command,
    search_commands,
    serve_command,
    table_commands,
    weights_commands,
)
from .installation import InstallationError, check_faiss
from .options import (
    DEFAULT_TABLE,
    AddressOption,
    BoxOption,
    CatalogArgument,
    CollectionsOption,
    DeviceOption,
    EngineOption,
    ItemQueryOption,
    MaxItemsOption,
    TableOption,
    ValuesOption,
    WeightsOption,
    day,
    names,
)
from .progress import console
from .search_options import DEVICE_HELP

EXPECTED = (  # errors of people and of the world; whoever raised one has loaded its module
    ("data.access", "UnreachableError"),
    ("data.sample", "InputError"),
    ("encoder.checkpoint", "CheckpointError"),
    ("indexer.errors", "QueryError"),
    ("indexer.errors", "TableError"),
    ("search_app.cli.launch", "LaunchError"),
)

WITHOUT_PANDAS = {"changes", "info", "log", "outliers", "search", "sql"}  # pyarrow would load it, just to ask

app = typer.Typer(
    name="skyhex",
    help="Embeddings of satellite time series, keyed by H3 cell: embed, search, map, SQL.",
    epilog="Everywhere: --quiet for no progress, --debug for the traceback of an error.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(search_commands.app)
app.add_typer(feedback_command.app)
app.add_typer(overview_commands.app)
app.add_typer(import_command.app)
app.add_typer(heat_command.app)
app.add_typer(quicklooks_command.app)
app.add_typer(table_commands.app)
app.add_typer(export_command.app)
app.add_typer(compare_command.app)
app.add_typer(serve_command.app)
app.add_typer(prototype_commands.app, name="prototypes")
app.add_typer(label_commands.labels_app, name="labels")
app.add_typer(label_commands.classify_app, name="classify")
app.add_typer(weights_commands.app, name="weights")
app.add_typer(eval_command.eval_app, name="eval")


@app.command()
def demo(table: TableOption = DEFAULT_TABLE) -> None:
    """Simulate a small world, embed it, fit prototypes, search it."""
    from .demo import run_demo

    run_demo(table)


@app.command()
def embed(
    catalog: CatalogArgument,
    table: TableOption = DEFAULT_TABLE,
    chips: Annotated[bool, typer.Option("--chips", help="One sample per place of the catalog.")] = False,
    aoi: Annotated[Path | None, typer.Option(help="GeoJSON area in lon/lat.", metavar="FILE")] = None,
    bbox: BoxOption = None,
    h3_res: Annotated[int | None, typer.Option(help="H3 resolution (default: chips 12, areas 9).")] = None,
    granularity: Annotated[
        int | None, typer.Option(help="A second table of finer cells, from the same pass.", metavar="R")
    ] = None,
    start: Annotated[str | None, typer.Option(help="First day, 2021-03-01.", metavar="D")] = None,
    end: Annotated[str | None, typer.Option(help="Day after the last, 2021-10-01.", metavar="D")] = None,
    period: Annotated[
        Literal["all", "year", "season", "month"],
        typer.Option(help="Cut time into rows."),
    ] = "all",
    weights: WeightsOption = "nano",
    untrained: Annotated[
        bool, typer.Option("--untrained", help="Take a size without trained weights: random vectors.")
    ] = False,
    device: DeviceOption = "auto",
    allow_l1c: Annotated[bool, typer.Option("--allow-l1c", help="Take Sentinel-2 L1C as if L2A.")] = False,
    on_contradiction: Annotated[
        Literal["drop", "trust"],
        typer.Option(help="Where pixels contradict their metadata: leave the scene out, or trust these."),
    ] = "drop",
    values: ValuesOption = None,
    no_index: Annotated[bool, typer.Option("--no-index", help="Leave the index as it is.")] = False,
    chunks: Annotated[
        str | None,
        typer.Option(help="Do a share of the work, one of N jobs that fill a table.", metavar="I/N"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done.")] = False,
    workers: Annotated[int | None, typer.Option(help="Processes that decode rasters.")] = None,
    engine: EngineOption = "local",
    address: AddressOption = None,
    gpus_per_encoder: Annotated[
        float | None, typer.Option(help="On Ray: 1, more, a part, or 0 for none.", metavar="N")
    ] = None,
    collections: CollectionsOption = None,
    query: ItemQueryOption = None,
    search_again: Annotated[
        bool, typer.Option("--search-again", help="Ask the API anew, not what an earlier run kept.")
    ] = False,
    max_items: MaxItemsOption = 200_000,
    sign: Annotated[
        Literal["planetary-computer", "none"], typer.Option(help="Who signs the addresses of files.")
    ] = "none",
    requester_pays: Annotated[
        bool, typer.Option("--requester-pays", help="Pay for reading from buckets that ask for it.")
    ] = False,
    wait: Annotated[float, typer.Option(help="Seconds until a read counts as unreachable.")] = 60.0,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="An inner host that items may name, `host` or `host:port`.", metavar="HOST"),
    ] = None,
    allow_path: Annotated[
        list[str] | None,
        typer.Option(help="A folder outside the catalog's that items may name.", metavar="DIR"),
    ] = None,
) -> None:
    """Turn imagery into rows of the table, and build the index.

    Exit code 3: some samples could not be read now; the same command tries them again.
    """
    from data.access import Access
    from data.signing import signer
    from pipeline.embed_job import Share

    from .embed_command import AreaChoice, Dates, Source, run_embed
    from .engine_choice import EngineChoice

    report = run_embed(
        Source(
            catalog,
            Access(
                hosts=tuple(allow_host or ()),
                paths=tuple(allow_path or ()),
                wait_s=wait,
                sign=signer(sign),
                requester_pays=requester_pays,
            ),
            tuple(names(collections or None)),
            tuple(query or ()),
            again=search_again,
            max_items=max_items,
        ),
        table,
        AreaChoice(chips=chips, aoi=aoi, bbox=bbox).area(),
        Dates(day(start), day(end), period),
        h3_resolution=h3_res,
        granularity=granularity,
        weights=weights,
        untrained=untrained,
        device=device,
        allow_l1c=allow_l1c,
        on_contradiction=on_contradiction,
        index=not no_index and chunks is None,
        share=Share() if chunks is None else Share.parse(chunks),
        dry_run=dry_run,
        values=values,
        engine=EngineChoice(engine, address, gpus_per_encoder, workers),
    )
    if report is not None and report.unfinished:
        raise typer.Exit(3)


@app.command("app")
def app_command(
    table: Annotated[
        list[str] | None,
        typer.Option("-t", "--table", help="As elsewhere; once for each to choose from.", metavar="DIR|URL"),
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port on this machine.")] = None,
    headless: Annotated[bool, typer.Option("--headless", help="Do not open a browser.")] = False,
    weights: Annotated[
        str, typer.Option(help="The table's encoder, where it reads words: search by them.", metavar="NAME")
    ] = "",
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="Where pictures of rows may be read, `host` or `host:port`.", metavar="HOST"),
    ] = None,
    allow_path: Annotated[
        list[str] | None,
        typer.Option(help="A folder beside the table's where they may be read.", metavar="DIR"),
    ] = None,
    background: Annotated[
        Path | None, typer.Option(help="What the map lies on: a GeoTIFF or .pmtiles.", metavar="FILE")
    ] = None,
    wait: Annotated[float, typer.Option(help="Seconds for one raster of a picture.")] = 10.0,
    sql_timeout: Annotated[float, typer.Option(help="Seconds of a query; 0: no limit.")] = DEFAULT_TIMEOUT_S,
    sql_memory: Annotated[str, typer.Option(help="Of a query.", metavar="SIZE")] = DEFAULT_MEMORY,
    sql_rows: Annotated[int, typer.Option(help="Of an answer on the page; 0: no limit.")] = DEFAULT_ROWS,
    device: Annotated[str, typer.Option(help=DEVICE_HELP, metavar="NAME")] = "",
) -> None:
    """Open the map in a browser (Streamlit, on this machine alone)."""
    from .launch import open_some, run_app

    tables = tuple(table or [os.environ.get(TABLE, DEFAULT_TABLE)])
    first = open_some(tables)[0]  # a clear error here beats one in the browser
    if weights:
        from pipeline.examples import text_side

        text_side(first, weights).embed_text(["water"])
    limits = Limits.of(sql_timeout, sql_memory, sql_rows, flags="sql-")
    if background is not None:
        from ..own_ground import check

        check(background)
    if device:
        from pipeline.on_device.searcher import on_device

        on_device(device)
    hosts, paths = tuple(allow_host or ()), tuple(allow_path or ())
    settings = PageSettings(tables, hosts, paths, wait, str(background or ""), limits, device)
    run_app(settings, port=port, headless=headless, weights=weights)


def run() -> None:
    """Entry point: `main` in a process that is its own, and so need not load what it never uses."""
    if WITHOUT_PANDAS & set(sys.argv[1:2]):
        sys.meta_path.insert(0, _NoPandas())
    main()


class _NoPandas(MetaPathFinder):
    """As if it were not installed."""

    def find_spec(self, name: str, path: object, target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("a command of this kind does without pandas", name=name)


def main() -> None:
    """Run a command; an expected error is one red line and exit code 2."""
    argv = sys.argv[1:]
    debug = "--debug" in argv
    console.quiet = "--quiet" in argv
    try:
        check_faiss()
        app(args=_pairs_joined([word for word in argv if word not in ("--debug", "--quiet")]))
    except KeyboardInterrupt:
        console.print("\nStopped. What was committed is safe; the same command goes on from there.")
        sys.exit(130)
    except (ValueError, OSError, InstallationError) as error:
        if debug or not _is_expected(error):
            raise
        console.quiet = False
        console.print("[bold red]error[/] ", end="")
        console.print(shown(error), highlight=False)
        sys.exit(2)


def _pairs_joined(argv: list[str]) -> list[str]:
    """`--lonlat LON LAT` as `--lonlat LON,LAT`: Typer knows no option that is both a pair and repeatable."""
    joined: list[str] = []
    for word in argv:
        is_option = re.match(r"-[^\d.]", word)  # but a number may be negative
        if joined[-2:-1] in (["--lonlat"], ["--not-lonlat"]) and "," not in joined[-1] and not is_option:
            joined[-1] += f",{word}"
        else:
            joined.append(word)
    return joined


def _is_expected(error: Exception) -> bool:
    """A person's mistake or the world's, not a defect of ours: those deserve their traceback."""
    known = [getattr(sys.modules[module], name) for module, name in EXPECTED if module in sys.modules]
    return isinstance(error, (*known, InstallationError, OSError))


if __name__ == "__main__":
    run()
