"""`skyhex project` and `cluster`: what a table holds, before anything is asked."""

from typing import Annotated

import typer

from .answer import give
from .options import DEFAULT_TABLE, FormatOption, OutOption, SnapshotOption, TableOption
from .readable import CLUSTERED, LAID_OUT

app = typer.Typer()

RowsOption = Annotated[int, typer.Option("--rows", min=1, help="Drawn at most, each as likely as any other.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Of what is drawn.")]


@app.command()
def project(
    method: Annotated[str, typer.Option(help="pca, or pacmap with the extra `projection`.")] = "pca",
    rows: RowsOption = 20_000,
    seed: SeedOption = 0,
    table: TableOption = DEFAULT_TABLE,
    snapshot: SnapshotOption = None,
    form: FormatOption = None,
    out: OutOption = None,
) -> None:
    """Lay rows out in a plane, what is alike together: x and y from -1 to 1."""
    from indexer.overview.projection import project_table
    from indexer.table.embedding_table import EmbeddingTable

    give(project_table(EmbeddingTable.open(table, snapshot), method, rows, seed=seed), form, out, LAID_OUT)


@app.command()
def cluster(
    count: Annotated[int, typer.Option(help="Clusters, at least 2.")] = 6,
    rows: RowsOption = 20_000,
    seed: SeedOption = 0,
    table: TableOption = DEFAULT_TABLE,
    snapshot: SnapshotOption = None,
    form: FormatOption = None,
    out: OutOption = None,
) -> None:
    """Group all rows by likeness, fitted to some of them; of this snapshot alone, unlike prototypes."""
    from indexer.overview.clusters import cluster_table
    from indexer.table.embedding_table import EmbeddingTable

    give(cluster_table(EmbeddingTable.open(table, snapshot), count, rows, seed=seed), form, out, CLUSTERED)
