"""`skyhex import`: vectors that others have published, searched as our own."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from .options import DEFAULT_TABLE, TableOption, day
from .progress import progress_bar, say

app = typer.Typer()

Source = Literal["earth-index", "clay", "clay-1.5", "major-tom", "alphaearth"]


def _column(what: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(help=what, metavar="NAME")
    return option


@app.command("import")
def import_(
    files: Annotated[list[Path], typer.Argument(help="Parquet files.", metavar="FILE...")],
    source: Annotated[Source, typer.Option("--from", help="Whose columns they have.")],
    table: TableOption = DEFAULT_TABLE,
    model: Annotated[str | None, typer.Option(help="The model's name, if the file does not say.")] = None,
    licence: Annotated[str | None, typer.Option(help="SPDX identifier, if the file does not say.")] = None,
    start: Annotated[str | None, typer.Option(help="First day of all rows, 2024-01-01.", metavar="D")] = None,
    end: Annotated[str | None, typer.Option(help="Day after the last one, 2025-01-01.", metavar="D")] = None,
    vector_column: Annotated[str | None, _column("Column of vectors, or one for each axis: a,b,c.")] = None,
    geometry_column: Annotated[str | None, _column("Column of WKB, or lon,lat in degrees.")] = None,
    id_column: Annotated[str | None, _column("Column of stable ids.")] = None,
    time_column: Annotated[str | None, _column("Column of dates, times or years.")] = None,
    h3_res: Annotated[int | None, typer.Option(help="H3 resolution of a new table.")] = None,
    no_index: Annotated[bool, typer.Option("--no-index", help="Leave the index for later.")] = False,
) -> None:
    """Bring in published vectors: Earth Index, Clay, Major TOM, AlphaEarth. They keep model and licence."""
    from indexer.index.faiss_index import build_index
    from indexer.table.embedding_table import EmbeddingTable
    from indexer.table.importers import LAYOUTS, import_file

    given: dict[str, Any] = {
        "vector": _names(vector_column),
        "geometry": _names(geometry_column),
        "id": id_column,
        "time": time_column,
        "model": model,
        "licence": licence,
    }
    layout = replace(LAYOUTS[source], **{name: value for name, value in given.items() if value is not None})
    first, last = day(start), day(end)
    if (first is None) != (last is None):
        raise typer.BadParameter("--start and --end come together: the period of all rows")
    period = None if first is None or last is None else (first, last)
    for file in files:
        with progress_bar(f"import {file.name}", "rows") as progress:
            done = import_file(file, layout, table, period=period, h3_resolution=h3_res, progress=progress)
        say(
            f"{file.name}: {done.rows:,} rows imported, {done.resumed:,} were there already, "
            f"{done.skipped:,} left out for want of a vector or a place"
        )
    if not no_index:
        with progress_bar("index", "rows") as progress:
            say(str(build_index(EmbeddingTable.open(table), progress=progress)))


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(name.strip() for name in text.split(","))
