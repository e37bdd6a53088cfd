"""`skyhex prototypes`: what each region is made of."""

from typing import TYPE_CHECKING, Annotated

import typer

from indexer.errors import QueryError
from indexer.sql.limits import OWN_LIMITS

from .answer import Give, on_table, with_answer
from .options import AddressOption, EngineOption
from .progress import progress_bar, say
from .readable import MEMBERS
from .working import working

if TYPE_CHECKING:
    import pyarrow as pa

    from indexer.table.embedding_table import EmbeddingTable

app = typer.Typer(no_args_is_help=True, help="Regional prototypes: what each region is made of.")

RegionOption = Annotated[str, typer.Option(help="The region's cell.", metavar="ID")]
PrototypeOption = Annotated[int, typer.Option(help="The prototype's number in its region.", metavar="N")]


@app.command("fit")
@on_table(snapshots=False, before="region_res")
def fit(
    table: "EmbeddingTable",
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

    with working(engine, address, workers) as who, progress_bar("prototypes", "rows") as progress:
        info = fit_prototypes(
            table,
            region_resolution=region_res,
            per_region=per_region,
            seed=seed,
            workers=who or 1,
            progress=progress,
        )
    say(str(info))
    fitted = table.at(info.snapshot)
    older = earlier_fit(fitted)
    if older is not None:
        say(f"since snapshot {older.snapshot}: {drift_in_words(drift_of(older, fitted))}")


@app.command("list")
@with_answer()
@on_table()
def list_regions(table: "EmbeddingTable", give: Give) -> None:
    """The regions that have prototypes."""
    from indexer.sql.run import run_sql

    give(run_sql(table, "SELECT * FROM regions ORDER BY region_cell", OWN_LIMITS))


@app.command("show")
@with_answer()
@on_table()
def show(table: "EmbeddingTable", give: Give, region: RegionOption) -> None:
    """One region's prototypes: rows, share, the cell most like each."""
    from indexer.geo.cells import parse_cell
    from indexer.sql.run import run_sql

    query = f"""
        SELECT prototype, count(*) AS n_rows, count(*) / sum(count(*)) OVER () AS share,
               avg(prototype_similarity) AS mean_similarity,
               arg_max(h3_cell, prototype_similarity) AS typical_cell
        FROM prototypes WHERE region_cell = {parse_cell(region)} GROUP BY prototype ORDER BY n_rows DESC"""
    rows = run_sql(table, query, OWN_LIMITS)
    if len(rows) == 0:
        raise QueryError(f"region {region} has no prototypes: see `skyhex prototypes list`")
    give(rows)


@app.command("cells")
@with_answer()
@on_table()
def cells(
    table: "EmbeddingTable",
    give: Give,
    region: RegionOption,
    prototype: PrototypeOption,
    k: Annotated[int | None, typer.Option("-k", help="How many (default: all).", metavar="N")] = None,
) -> None:
    """The rows of one prototype, the most typical first."""
    from indexer.geo.cells import parse_cell
    from indexer.prototypes.regional import cells_of_prototype

    give(cells_of_prototype(table, parse_cell(region), prototype, k), MEMBERS)


@app.command("like")
@with_answer()
@on_table()
def like(
    table: "EmbeddingTable",
    give: Give,
    region: RegionOption,
    prototype: PrototypeOption,
    k: Annotated[int, typer.Option("-k", help="How many.", metavar="N")] = 20,
) -> None:
    """The same prototype elsewhere: those of other regions that are most like it."""
    from indexer.geo.cells import parse_cell
    from indexer.prototypes.regional import read_prototypes

    give(read_prototypes(table).like(parse_cell(region), prototype, k))


@app.command("drift")
@with_answer()
@on_table()
def drift(
    table: "EmbeddingTable",
    give: Give,
    since: Annotated[
        int | None, typer.Option(help="An older snapshot (default: that of the fit before).", metavar="N")
    ] = None,
) -> None:
    """How each region's prototypes moved since an older snapshot: cosines, 1 where they did not."""
    from indexer.prototypes.drift import drift_of, earlier_fit

    older = earlier_fit(table) if since is None else table.at(since)
    if older is None:
        raise QueryError(
            f"{table.storage.root} keeps no earlier prototypes: `skyhex log` lists the snapshots it keeps"
        )
    moved = drift_of(older, table)
    say(f"snapshot {older.snapshot} to {table.snapshot}: {drift_in_words(moved)}")
    give(moved)


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
