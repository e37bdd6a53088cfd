"""The command `skyhex`. Results go to stdout, progress and news to stderr.

Anywhere on the line: --quiet (no progress, no news), --debug (show the traceback of an error).
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from .installation import InstallationError, check_faiss
from .output import Format, emit
from .progress import console, progress_bar, say

app = typer.Typer(
    name="skyhex",
    help="Embeddings of satellite time series, keyed by H3 cell: embed, search, map, SQL.",
    epilog="Everywhere: --quiet for no progress, --debug for the traceback of an error.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
prototypes_app = typer.Typer(no_args_is_help=True, help="Regional prototypes: what each region is made of.")
app.add_typer(prototypes_app, name="prototypes")

TableOption = Annotated[
    Path, typer.Option("-t", "--table", envvar="SKYHEX_TABLE", help="The table's directory.", metavar="DIR")
]
SnapshotOption = Annotated[
    int | None, typer.Option(help="Read this snapshot instead of the newest.", metavar="N")
]
FormatOption = Annotated[Format, typer.Option("--format", help="What to print.")]
OutOption = Annotated[Path | None, typer.Option("-o", "--out", help="Write to a file.", metavar="FILE")]
WeightsOption = Annotated[str, typer.Option(help="Name of shipped weights, or a .safetensors file.")]
DeviceOption = Annotated[str, typer.Option(help="auto takes CUDA where it is; else cpu, cuda, cuda:1.")]
BoxOption = Annotated[
    tuple[float, float, float, float] | None,
    typer.Option(metavar="W S E N", help="Box in degrees; W > E crosses the antimeridian."),
]
DEFAULT_TABLE = Path("skyhex-data")


class _Talk:
    """What --quiet decided, once for the whole run."""

    quiet = False


@app.command()
def demo(table: TableOption = DEFAULT_TABLE) -> None:
    """Simulate a small world, embed it, fit prototypes, search it."""
    from .demo import run_demo

    run_demo(table, quiet=_Talk.quiet)


@app.command()
def embed(
    catalog: Annotated[str, typer.Argument(help="A STAC catalog: path, http(s) or s3 href.")],
    table: TableOption = DEFAULT_TABLE,
    chips: Annotated[bool, typer.Option("--chips", help="One sample per place of the catalog.")] = False,
    aoi: Annotated[Path | None, typer.Option(help="GeoJSON area in lon/lat.", metavar="FILE")] = None,
    bbox: BoxOption = None,
    h3_res: Annotated[int | None, typer.Option(help="H3 resolution [default: chips 12, areas 9].")] = None,
    start: Annotated[str | None, typer.Option(help="First day, 2021-03-01.", metavar="D")] = None,
    end: Annotated[str | None, typer.Option(help="Day after the last, 2021-10-01.", metavar="D")] = None,
    period: Annotated[str, typer.Option(help="One row per place and all|year|season|month.")] = "all",
    weights: WeightsOption = "nano",
    device: DeviceOption = "auto",
    allow_l1c: Annotated[bool, typer.Option("--allow-l1c", help="Take Sentinel-2 L1C as if L2A.")] = False,
    no_index: Annotated[bool, typer.Option("--no-index", help="Leave the index as it is.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done.")] = False,
    workers: Annotated[int | None, typer.Option(help="Processes that decode rasters.")] = None,
) -> None:
    """Turn imagery into rows of the table, and build the index."""
    from .embed_command import AreaChoice, Period, run_embed

    run_embed(
        catalog,
        table,
        AreaChoice(chips=chips, aoi=aoi, bbox=bbox).area(),
        Period(start=_day(start), end=_day(end), unit=period),
        h3_resolution=h3_res,
        weights=weights,
        device=device,
        allow_l1c=allow_l1c,
        index=not no_index,
        dry_run=dry_run,
        workers=max(1, (os.cpu_count() or 2) - 1) if workers is None else workers,
        quiet=_Talk.quiet,
    )


@app.command()
def index(table: TableOption = DEFAULT_TABLE) -> None:
    """Bring the index up to the table's snapshot."""
    from indexer.faiss_index import build_index
    from indexer.table import EmbeddingTable

    with progress_bar("index", "rows", quiet=_Talk.quiet) as progress:
        info = build_index(EmbeddingTable.open(table), progress=progress)
    say(str(info), quiet=_Talk.quiet)


@app.command()
def search(
    table: TableOption = DEFAULT_TABLE,
    cell: Annotated[
        list[str] | None, typer.Option(help="A cell to look like; repeatable.", metavar="ID")
    ] = None,
    lonlat: Annotated[
        list[str] | None, typer.Option(help="A place to look like; repeatable.", metavar="LON LAT")
    ] = None,
    chip: Annotated[list[Path] | None, typer.Option(help="A GeoTIFF to look like.", metavar="TIF")] = None,
    vector: Annotated[list[Path] | None, typer.Option(help="A .npy or .json vector.", metavar="FILE")] = None,
    not_cell: Annotated[list[str] | None, typer.Option(help="A cell not to look like.", metavar="ID")] = None,
    k: Annotated[int, typer.Option("-k", help="How many.")] = 20,
    bbox: BoxOption = None,
    within: Annotated[Path | None, typer.Option(help="GeoJSON polygon in lon/lat.", metavar="FILE")] = None,
    cells: Annotated[
        str | None,
        typer.Option(help="Cells, comma-separated; a coarse cell stands for its children.", metavar="IDS"),
    ] = None,
    start: Annotated[str | None, typer.Option(help="Periods that end after this day.", metavar="D")] = None,
    end: Annotated[str | None, typer.Option(help="Periods that begin before this day.", metavar="D")] = None,
    where: Annotated[str | None, typer.Option(help="SQL over the table's columns.", metavar="SQL")] = None,
    using: Annotated[str, typer.Option(help="The query's vector: fused, geo, hr, s2 or s1.")] = "fused",
    against: Annotated[str, typer.Option(help="The rows' vector: fused, geo, hr, s2 or s1.")] = "fused",
    include_query: Annotated[
        bool, typer.Option("--include-query", help="Keep the query's own rows.")
    ] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Print the plan.")] = False,
    weights: WeightsOption = "nano",
    snapshot: SnapshotOption = None,
    form: FormatOption = Format.table,
    out: OutOption = None,
) -> None:
    """Where else does it look like this?"""
    from indexer.search import search as search_table
    from indexer.table import EmbeddingTable

    from .search_command import QueryWords, RegionWords, build_filter, build_query, for_people

    opened = EmbeddingTable.open(table, snapshot)
    words = QueryWords(
        cell or [], lonlat or [], chip or [], vector or [], not_cell or [], using, against, weights
    )
    region = RegionWords(bbox=bbox, within=within, cells=cells)
    hits = search_table(
        opened,
        build_query(opened, words),
        k=k,
        filter=build_filter(region, start=_day(start), end=_day(end), where=where),
        include_query=include_query,
    )
    for note in hits.notes:
        say(f"[yellow]note[/] {note}", quiet=_Talk.quiet)
    if explain:
        say(f"plan: {hits.plan}")
    emit(for_people(hits.rows) if form is Format.table else hits.rows, form, out)


@prototypes_app.command("fit")
def prototypes_fit(
    table: TableOption = DEFAULT_TABLE,
    region_res: Annotated[int, typer.Option(help="H3 resolution of a region.")] = 4,
    per_region: Annotated[int, typer.Option(help="Prototypes of a region, at most.")] = 100,
    seed: int = 0,
) -> None:
    """Find what each region is made of (spherical Sinkhorn clustering)."""
    from indexer.prototypes import fit_prototypes
    from indexer.table import EmbeddingTable

    with progress_bar("prototypes", "regions", quiet=_Talk.quiet) as progress:
        info = fit_prototypes(
            EmbeddingTable.open(table),
            region_resolution=region_res,
            per_region=per_region,
            seed=seed,
            progress=progress,
        )
    say(str(info), quiet=_Talk.quiet)


@prototypes_app.command("list")
def prototypes_list(
    table: TableOption = DEFAULT_TABLE,
    snapshot: SnapshotOption = None,
    form: FormatOption = Format.table,
    out: OutOption = None,
) -> None:
    """The regions that have prototypes."""
    emit(_sql(table, snapshot, "SELECT * FROM regions ORDER BY region_cell"), form, out)


@prototypes_app.command("show")
def prototypes_show(
    region: Annotated[str, typer.Option(help="The region's cell.", metavar="ID")],
    table: TableOption = DEFAULT_TABLE,
    snapshot: SnapshotOption = None,
    form: FormatOption = Format.table,
    out: OutOption = None,
) -> None:
    """One region's prototypes: rows, share, the cell most like each."""
    from indexer.cells import parse_cell

    query = f"""
        SELECT prototype, count(*) AS n_rows, count(*) / sum(count(*)) OVER () AS share,
               avg(prototype_similarity) AS mean_similarity,
               h3_string(arg_max(h3_cell, prototype_similarity)) AS typical
        FROM prototypes WHERE region_cell = {parse_cell(region)} GROUP BY prototype ORDER BY n_rows DESC"""
    emit(_sql(table, snapshot, query), form, out)


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="SELECT or EXPLAIN over embeddings, prototypes, regions.")],
    table: TableOption = DEFAULT_TABLE,
    snapshot: SnapshotOption = None,
    form: FormatOption = Format.table,
    out: OutOption = None,
) -> None:
    """Ask the table in SQL (DuckDB)."""
    emit(_sql(table, snapshot, query), form, out)


@app.command("app")
def app_command(
    table: TableOption = DEFAULT_TABLE,
    port: Annotated[int | None, typer.Option(help="Port on this machine.")] = None,
    headless: Annotated[bool, typer.Option("--headless", help="Do not open a browser.")] = False,
) -> None:
    """Open the map in a browser (Streamlit, on this machine alone)."""
    from indexer.table import EmbeddingTable

    from .launch import run_app

    EmbeddingTable.open(table)  # a clear error here beats one in the browser
    run_app(table, port=port, headless=headless)


@app.command()
def info(table: TableOption = DEFAULT_TABLE, snapshot: SnapshotOption = None) -> None:
    """What the table holds: model, rows, area, time, index, prototypes."""
    from indexer.table import EmbeddingTable

    from .info import print_info

    print_info(EmbeddingTable.open(table, snapshot))


@app.command()
def log(table: TableOption = DEFAULT_TABLE, form: FormatOption = Format.table, out: OutOption = None) -> None:
    """The table's snapshots."""
    from indexer.table import EmbeddingTable

    from .info import snapshot_rows

    emit(snapshot_rows(EmbeddingTable.open(table)), form, out)


@app.command()
def validate(table: TableOption = DEFAULT_TABLE, snapshot: SnapshotOption = None) -> None:
    """Check digests, order, keys, metadata, norms, geometry. Exit code 1 when something is wrong."""
    from indexer.table import EmbeddingTable

    opened = EmbeddingTable.open(table, snapshot)
    problems = opened.validate()
    for problem in problems:
        say(f"[red]{problem}[/]")
    if problems:
        raise typer.Exit(1)
    say(f"{opened.row_count:,} rows in {len(opened.files)} files: all sound.", quiet=_Talk.quiet)


def main() -> None:
    """Entry point: run a command; an expected error is one red line and exit code 2."""
    argv = sys.argv[1:]
    debug = "--debug" in argv
    _Talk.quiet = "--quiet" in argv
    try:
        check_faiss()
        app(args=_pairs_joined([word for word in argv if word not in ("--debug", "--quiet")]))
    except KeyboardInterrupt:
        console.print("\nStopped. What was committed is safe; the same command goes on from there.")
        sys.exit(130)
    except (ValueError, OSError, InstallationError) as error:
        if debug or not _is_expected(error):
            raise
        console.print("[bold red]error[/] ", end="")
        console.print(str(error), markup=False, highlight=False)
        sys.exit(2)


def _pairs_joined(argv: list[str]) -> list[str]:
    """`--lonlat LON LAT` as `--lonlat LON,LAT`: Typer knows no option that is both a pair and repeatable."""
    joined: list[str] = []
    for word in argv:
        if joined[-2:-1] == ["--lonlat"] and "," not in joined[-1]:
            joined[-1] += f",{word}"
        else:
            joined.append(word)
    return joined


def _is_expected(error: Exception) -> bool:
    """A person's mistake or the world's, not a defect of ours: those deserve their traceback."""
    from data.sample import InputError
    from encoder.checkpoint import CheckpointError
    from indexer.errors import QueryError, TableError

    return isinstance(
        error, InputError | CheckpointError | TableError | QueryError | InstallationError | OSError
    )


def _sql(path: Path, snapshot: int | None, query: str) -> Any:
    from indexer.sql import run_sql
    from indexer.table import EmbeddingTable

    return run_sql(EmbeddingTable.open(path, snapshot), query)


def _day(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        day = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a date; write 2021-03-01.") from None
    return day if day.tzinfo else day.replace(tzinfo=UTC)


if __name__ == "__main__":
    main()
