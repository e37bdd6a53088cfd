"""`skyhex prototypes`: what each region is made of."""

from typing import TYPE_CHECKING, Annotated

import typer

from indexer.errors import QueryError

from .answer import give
from .options import (
    DEFAULT_TABLE,
    AddressOption,
    EngineOption,
    FormatOption,
    OutOption,
    SnapshotOption,
    TableOption,
)
from .progress import progress_bar, say
from .readable import MEMBERS
from .table_commands import rows_of_sql
from .working import working

if TYPE_CHECKING:
    import pyarrow as pa

app = typer.Typer(no_args_is_help=True, help="Regional prototypes: what each region is made of.")

RegionOption = Annotated[str, typer.Option(help="The region's cell.", metavar="ID")]
PrototypeOption = Annotated[int, typer.Option(help="The prototype's number in its region.", metavar="N")]


@app.command("fit")
def fit(
    table: TableOption = DEFAULT_TABLE,
    region_res: Annotated[int, typer.Option(help="H3 resolution of a region.")] = 4,
    per_region: Annotated[int, typer.Option(help="Prototypes of a region, at most.")] = 100,
    seed: int = 0,
    workers: Annotated[int | None, typer.Option(help="Processes that fit and assign (1).", min=1)] = None,
    engine: EngineOption = "local",
    address: AddressOption = None,
) -> None:
    """Find what each region is made of (spherical Sinkhorn clustering)."""
    from indexer.prototypes.drift import drift_of, earlier_fit
    from indexer.prototypes.regional import fit_prototypes
    from indexer.table.embedding_table import EmbeddingTable

    opened = EmbeddingTable.open(table)
    with working(engine, address, workers) as who, progress_bar("prototypes", "rows") as progress:
        info = fit_prototypes(
            opened,
            region_resolution=region_res,
            per_region=per_region,
            seed=seed,
            workers=who or 1,
            progress=progress,
        )
    say(str(info))
    fitted = EmbeddingTable.open(table, info.snapshot)
    older = earlier_fit(fitted)
    if older is not None:
        say(f"since snapshot {older.snapshot}: {drift_in_words(drift_of(older, fitted))}")


@app.command("list")
def list_regions(
    table: TableOption = DEFAULT_TABLE,
    snapshot: SnapshotOption = None,
    form: FormatOption = None,
    out: OutOption = None,
) -> None:
    """The regions that have prototypes."""
    give(rows_of_sql(table, snapshot, "SELECT * FROM regions ORDER BY region_cell"), form, out)


@app.command("show")
def show(
    region: RegionOption,
    table: TableOption = DEFAULT_TABLE,
    snapshot: SnapshotOption = None,
    form: FormatOption = None,
    out: OutOption = None,
) -> None:
    """One region's prototypes: rows, share, the cell most like each."""
    from indexer.geo.cells import parse_cell

    query = f"""
        SELECT prototype, count(*) AS n_rows, count(*) / sum(count(*)) OVER () AS share,
               avg(prototype_similarity) AS mean_similarity,
               arg_max(h3_cell, prototype_similarity) AS typical_cell
        FROM prototypes WHERE region_cell = {parse_cell(region)} GROUP BY prototype ORDER BY n_rows DESC"""
    rows = rows_of_sql(table, snapshot, query)
    if len(rows) == 0:
        raise QueryError(f"region {region} has no prototypes: see `skyhex prototypes list`")
    give(rows, form, out)


@app.command("cells")
def cells(
    region: RegionOption,
    prototype: PrototypeOption,
    k: Annotated[int | None, typer.Option("-k", help="How many (default: all).", metavar="N")] = None,
    table: TableOption = DEFAULT_TABLE,
    snapshot: SnapshotOption = None,
    form: FormatOption = None,
    out: OutOption = None,
) -> None:
    """The rows of one prototype, the most typical first."""
    from indexer.geo.cells import parse_cell
    from indexer.prototypes.regional import cells_of_prototype
    from indexer.table.embedding_table import EmbeddingTable

    rows = cells_of_prototype(EmbeddingTable.open(table, snapshot), parse_cell(region), prototype, k)
    give(rows, form, out, MEMBERS)


@app.command("like")
def like(
    region: RegionOption,
    prototype: PrototypeOption,
    k: Annotated[int, typer.Option("-k", help="How many.", metavar="N")] = 20,
    table: TableOption = DEFAULT_TABLE,
    snapshot: SnapshotOption = None,
    form: FormatOption = None,
    out: OutOption = None,
) -> None:
    """The same prototype elsewhere: those of other regions that are most like it."""
    from indexer.geo.cells import parse_cell
    from indexer.prototypes.regional import read_prototypes
    from indexer.table.embedding_table import EmbeddingTable

    matches = read_prototypes(EmbeddingTable.open(table, snapshot)).like(parse_cell(region), prototype, k)
    give(matches, form, out)


@app.command("drift")
def drift(
    since: Annotated[
        int | None, typer.Option(help="An older snapshot (default: that of the fit before).", metavar="N")
    ] = None,
    table: TableOption = DEFAULT_TABLE,
    snapshot: SnapshotOption = None,
    form: FormatOption = None,
    out: OutOption = None,
) -> None:
    """How each region's prototypes moved since an older snapshot: cosines, 1 where they did not."""
    from indexer.prototypes.drift import drift_of, earlier_fit
    from indexer.table.embedding_table import EmbeddingTable

    newer = EmbeddingTable.open(table, snapshot)
    older = earlier_fit(newer) if since is None else EmbeddingTable.open(table, since)
    if older is None:
        raise QueryError(
            f"{newer.storage.root} keeps no earlier prototypes: `skyhex log` lists the snapshots it keeps"
        )
    moved = drift_of(older, newer)
    say(f"snapshot {older.snapshot} to {newer.snapshot}: {drift_in_words(moved)}")
    give(moved, form, out)


def drift_in_words(moved: "pa.Table") -> str:
    """One line of what `drift` found."""
    if len(moved) == 0:
        return "no region has prototypes in both, so nothing can be compared"
    first = moved.slice(0, 1).to_pylist()[0]
    mean = sum(moved["mean_cosine"].to_pylist()) / len(moved)
    return (
        f"prototypes of {len(moved):,} regions moved to a mean cosine of {mean:.3f}, "
        f"farthest in {first['region_cell']:x}: {first['mean_cosine']:.3f}"
    )
