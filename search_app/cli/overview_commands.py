"""`skyhex project` and `cluster`: what a table holds, before anything is asked."""

from typing import TYPE_CHECKING, Annotated

import typer

from .answer import Give, on_table, with_answer
from .readable import CLUSTERED, LAID_OUT

if TYPE_CHECKING:
    from indexer.table.embedding_table import EmbeddingTable


app = typer.Typer()

RowsOption = Annotated[int, typer.Option("--rows", min=1, help="Drawn at most, each as likely as any other.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Of what is drawn.")]


@app.command()
@with_answer()
@on_table()
def project(
    table: "EmbeddingTable",
    give: Give,
    method: Annotated[str, typer.Option(help="pca, or pacmap with the extra `projection`.")] = "pca",
    rows: RowsOption = 20_000,
    seed: SeedOption = 0,
) -> None:
    """Lay rows out in a plane, what is alike together: x and y from -1 to 1."""
    from indexer.overview.projection import project_table

    give(project_table(table, method, rows, seed=seed), LAID_OUT)


@app.command()
@with_answer()
@on_table()
def cluster(
    table: "EmbeddingTable",
    give: Give,
    count: Annotated[int, typer.Option(help="Clusters, at least 2.")] = 6,
    rows: RowsOption = 20_000,
    seed: SeedOption = 0,
) -> None:
    """Group all rows by likeness, fitted to some of them; of this snapshot alone, unlike prototypes."""
    from indexer.overview.clusters import cluster_table

    give(cluster_table(table, count, rows, seed=seed), CLUSTERED)
