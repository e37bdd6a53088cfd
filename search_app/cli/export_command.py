"""`skyhex export`: the rows for other programs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..form import ENDINGS, Format, check_ending
from .answer import on_table
from .progress import progress_bar, say

if TYPE_CHECKING:
    from indexer.table.embedding_table import EmbeddingTable

app = typer.Typer()


@app.command("export")
@on_table(before="values")
def export(
    table: "EmbeddingTable",
    form: Annotated[
        Literal["geoparquet", "stac-geoparquet", "lance"], typer.Option("--to", help="What to write.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The file, of lance the folder.", metavar="FILE")],
    values: Annotated[
        Literal["float32", "float16"],
        typer.Option(help="Of vectors: float16 is half as large, and not read everywhere."),
    ] = "float32",
) -> None:
    """Write all rows for other programs: vectors, keys as text, licence and attribution."""
    from indexer.table.export import export as export_rows

    check_ending(out, (".lance",) if form == "lance" else ENDINGS[Format.geoparquet], form)
    with progress_bar("export", "rows") as progress:
        export_rows(table, out, form, values, progress)
    say(f"{out}: {table.row_count:,} rows, {form}")
