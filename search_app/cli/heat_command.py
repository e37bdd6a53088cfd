"""`skyhex heat`: how like a cell each pixel of a raster of vectors is."""

from pathlib import Path
from typing import Annotated, Literal

import typer

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
    from data.products.heat import write_heat
    from data.products.sources import Reading, open_rasters
    from data.sample import InputError
    from indexer.search.batch import read_queries
    from indexer.search.filter import Filter
    from indexer.search.query import Cell, Query, resolve
    from indexer.table.embedding_table import EmbeddingTable
    from pipeline.raster_rows import model_info

    if (cell is None) == (hits is None):
        raise typer.BadParameter("Give --cell CELL or --hits FILE: one of the two.")
    opened = EmbeddingTable.open(table)
    if cell is not None:
        query = Query((Cell.parse(cell),))
    else:
        assert hits is not None
        query = Query(tuple(one for each in read_queries(hits).queries for one in each.positives))
    found = resolve(opened, query, Filter())
    product = str(opened.model.config.get("product", ""))
    layout: Layout = source or ("tessera" if product == "tessera" else
                                "alphaearth" if product.startswith("alphaearth") else "raster")  # fmt: skip
    reading = Reading(
        layout, year=year, dataset=dataset, landmask=landmask, model=product or opened.model.name,
        licence=opened.model.licence, formula=dequantise, scale=scale, offset=offset, nodata=nodata,
    )  # fmt: skip
    rasters, skipped = open_rasters([*raster, *(more or [])], reading)
    if skipped:
        raise InputError(f"{skipped[0].sample_id}: {skipped[0].reason}")
    for one in rasters:
        pools = [model_info(one.product, one.dimension, pool) for pool in ("mean", "mean+std")]
        if opened.model.digest not in {info.digest for info in pools}:
            raise InputError(
                f"{one.href} holds {one.product.model}, the table {opened.model.name}: not to be compared"
            )
    vector = found.vectors[0][: rasters[0].dimension]  # of a table of means and deviations, the means
    with progress_bar("heat", "pixels") as progress:
        height, width = write_heat(rasters, vector, out, progress)
    for note in found.notes:
        say(f"[yellow]note[/] {note}")
    say(f"{out}: {height:,} x {width:,} pixels, cosine to the query, NaN where there is no data")
