"""`skyhex heat`: how like a cell each pixel of a raster of vectors is."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..form import check_ending
from .options import DEFAULT_TABLE, TableOption
from .progress import progress_bar, say

app = typer.Typer()

Layout = Literal["alphaearth", "tessera", "raster"]


@app.command("heat")
def heat(
    raster: Annotated[
        list[str], typer.Option("--raster", help="A tile or store; repeat for more.", metavar="TILE")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The COG to write.", metavar="FILE")],
    more: Annotated[list[str] | None, typer.Argument(help="More tiles.", metavar="[TILE]...")] = None,
    table: TableOption = DEFAULT_TABLE,
    cell: Annotated[str | None, typer.Option(help="The cell to be like.", metavar="CELL")] = None,
    hits: Annotated[
        Path | None, typer.Option(help="Cells to be like, a row each: parquet, csv or jsonl.", metavar="FILE")
    ] = None,
    source: Annotated[
        Layout | None, typer.Option("--from", help="What the tiles are (default: the table's).")
    ] = None,
    year: Annotated[int | None, typer.Option(help="Of the tiles, if they do not say.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Of TESSERA: 1.1/cambridge.", metavar="NAME")] = None,
    landmask: Annotated[str | None, typer.Option(help="Of TESSERA's arrays.", metavar="FILE")] = None,
    scale: Annotated[float, typer.Option(help="Vector = code * scale + offset (--from raster).")] = 1.0,
    offset: Annotated[float, typer.Option(help="See --scale.")] = 0.0,
    nodata: Annotated[float | None, typer.Option(help="Marks pixels without data (--from raster).")] = None,
    dequantise: Annotated[
        Literal["linear", "signed-square"], typer.Option(help="How codes become vectors (--from raster).")
    ] = "linear",
) -> None:
    """Write the cosine of every pixel to a cell of the table, as a COG at the raster's own resolution."""
    from data.products.sources import Reading
    from indexer.search.batch import read_queries
    from indexer.search.query import Cell, Query
    from indexer.table.embedding_table import EmbeddingTable
    from pipeline.heat import heat as heat_of_table
    from pipeline.heat import layout_of

    if (cell is None) == (hits is None):
        raise typer.BadParameter("Give --cell CELL or --hits FILE: one of the two.")
    check_ending(out, (".tif", ".tiff"), "a GeoTIFF")
    opened = EmbeddingTable.open(table)
    if cell is not None:
        query = Query((Cell.parse(cell),))
    else:
        assert hits is not None
        query = Query(tuple(one for each in read_queries(hits).queries for one in each.positives))
    reading = Reading(
        source or layout_of(opened), year=year, dataset=dataset, landmask=landmask, formula=dequantise,
        scale=scale, offset=offset, nodata=nodata,
    )  # fmt: skip
    with progress_bar("heat", "pixels") as progress:
        size, notes = heat_of_table(opened, query, [*raster, *(more or [])], out, reading, progress)
    for note in notes:
        say(note, "note")
    say(f"{out}: {size[0]:,} x {size[1]:,} pixels, cosine to the query, NaN where there is no data")
