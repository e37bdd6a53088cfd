"""`skyhex prototypes`: what each region is made of."""

from typing import Annotated

import typer

from .options import DEFAULT_TABLE, FormatOption, OutOption, SnapshotOption, TableOption
from .output import Format, emit
from .progress import progress_bar, say
from .table_commands import rows_of_sql

app = typer.Typer(no_args_is_help=True, help="Regional prototypes: what each region is made of.")


@app.command("fit")
def fit(
    table: TableOption = DEFAULT_TABLE,
    region_res: Annotated[int, typer.Option(help="H3 resolution of a region.")] = 4,
    per_region: Annotated[int, typer.Option(help="Prototypes of a region, at most.")] = 100,
    seed: int = 0,
) -> None:
    """Find what each region is made of (spherical Sinkhorn clustering)."""
    from indexer.prototypes import fit_prototypes
    from indexer.table import EmbeddingTable

    with progress_bar("prototypes", "regions") as progress:
        info = fit_prototypes(
            EmbeddingTable.open(table),
            region_resolution=region_res,
            per_region=per_region,
            seed=seed,
            progress=progress,
        )
    say(str(info))


@app.command("list")
def list_regions(
    table: TableOption = DEFAULT_TABLE,
    snapshot: SnapshotOption = None,
    form: FormatOption = Format.table,
    out: OutOption = None,
) -> None:
    """The regions that have prototypes."""
    emit(rows_of_sql(table, snapshot, "SELECT * FROM regions ORDER BY region_cell"), form, out)


@app.command("show")
def show(
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
    emit(rows_of_sql(table, snapshot, query), form, out)
