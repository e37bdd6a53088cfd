"""`skyhex import`: vectors that others have published, searched as our own."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from .options import (
    DEFAULT_TABLE,
    AddressOption,
    BoxOption,
    EngineOption,
    TableOption,
    ValuesOption,
    day,
    names,
)
from .progress import SHOWN, progress_bar, say, say_skipped
from .table_commands import bring_up
from .working import working

if TYPE_CHECKING:
    from indexer.table.importers import Imported

app = typer.Typer()

Source = Literal["earth-index", "clay", "clay-1.5", "major-tom", "alphaearth", "tessera", "raster"]

PARQUET = (".parquet", ".geoparquet", ".gpq", ".pq")


def _column(what: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(help=what, metavar="NAME")
    return option


@app.command("import")
def import_(
    source: Annotated[Source, typer.Option("--from", help="Whose they are.")],
    files: Annotated[
        list[str] | None,
        typer.Argument(
            help="Parquet files of vectors, or rasters of them; or folders.", metavar="[FILE_OR_URL]..."
        ),
    ] = None,
    table: TableOption = DEFAULT_TABLE,
    model: Annotated[str | None, typer.Option(help="The model's name, if the file does not say.")] = None,
    licence: Annotated[str | None, typer.Option(help="SPDX identifier, if the file does not say.")] = None,
    start: Annotated[str | None, typer.Option(help="First day of all rows, 2024-01-01.", metavar="D")] = None,
    end: Annotated[str | None, typer.Option(help="Day after the last one, 2025-01-01.", metavar="D")] = None,
    vector_column: Annotated[str | None, _column("Column of vectors, or one for each axis: a,b,c.")] = None,
    geometry_column: Annotated[
        str | None, _column("Column of WKB, GeoArrow, GeoJSON or H3 cells, or lon,lat in degrees.")
    ] = None,
    crs: Annotated[
        str | None, typer.Option(help="Parquet: of the places, against what the file says.", metavar="ID")
    ] = None,
    id_column: Annotated[str | None, _column("Column of stable ids; none: named by place.")] = None,
    time_column: Annotated[str | None, _column("Column of dates, times or years.")] = None,
    h3_res: Annotated[int | None, typer.Option(help="H3 resolution of a new table.")] = None,
    index: Annotated[
        str | None,
        typer.Option(help="Rasters: a list of tiles, of which those in the area.", metavar="FILE_OR_URL"),
    ] = None,
    aoi: Annotated[Path | None, typer.Option(help="Rasters: GeoJSON area.", metavar="FILE")] = None,
    bbox: BoxOption = None,
    year: Annotated[int | None, typer.Option(help="Rasters: of this year alone.")] = None,
    pool: Annotated[
        Literal["mean", "mean+std"], typer.Option(help="Rasters: what a cell keeps of its pixels.")
    ] = "mean",
    min_valid: Annotated[
        float, typer.Option(min=0, max=1, help="Rasters: least share of a cell's pixels that have data.")
    ] = 0.0,
    dataset: Annotated[str | None, typer.Option(help="TESSERA: 1.1/cambridge, where not said.")] = None,
    landmask: Annotated[str | None, typer.Option(help="TESSERA: of an array.", metavar="FILE")] = None,
    scale: Annotated[
        float | None, typer.Option(help="Quantised vectors: value = code * scale + offset.")
    ] = None,
    offset: Annotated[float, typer.Option(help="See --scale.")] = 0.0,
    nodata: Annotated[float | None, typer.Option(help="--from raster: marks pixels without data.")] = None,
    dequantise: Annotated[
        Literal["linear", "signed-square"], typer.Option(help="--from raster: how codes become vectors.")
    ] = "linear",
    own_zone: Annotated[
        bool, typer.Option("--own-zone", help="--from raster: only pixels in their grid's own UTM zone.")
    ] = False,
    values: ValuesOption = None,
    workers: Annotated[int | None, typer.Option(help="Rasters: processes that read them.")] = None,
    engine: EngineOption = "local",
    address: AddressOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Rasters: print what would be read.")] = False,
    no_index: Annotated[bool, typer.Option("--no-index", help="Leave the index for later.")] = False,
) -> None:
    """Bring in what others have published: vectors (Earth Index, Clay, Major TOM, AlphaEarth's tables) and
    rasters of vectors (AlphaEarth, TESSERA, any other). They keep model and licence."""
    first, last = day(start), day(end)
    if (first is None) != (last is None):
        raise typer.BadParameter("--start and --end come together: the period of all rows")
    period = None if first is None or last is None else (first, last)
    files = files or []
    if source in ("tessera", "raster") or (source == "alphaearth" and not _are_parquet(files)):
        from data.products.sources import Reading
        from pipeline.area import given_area
        from pipeline.import_rasters import Pooling

        from .raster_import import run_raster_import

        assert source in ("alphaearth", "tessera", "raster")
        reading = Reading(
            source, year=year, period=period, dataset=dataset, landmask=landmask, model=model,
            licence=licence, formula=dequantise,
            scale=1.0 if scale is None else scale, offset=offset, nodata=nodata, own_zone=own_zone,
        )  # fmt: skip
        pooling = Pooling(0, pool, min_valid, given_area(aoi, bbox))
        if not run_raster_import(
            files,
            reading,
            table,
            pooling,
            h3_resolution=h3_res,
            index=index,
            dry_run=dry_run,
            workers=working(engine, address, workers),
            values=values,
        ):
            return
    elif engine == "ray":
        raise typer.BadParameter("Ray reads rasters; Parquet is read here: leave --engine out")
    else:
        given: dict[str, Any] = {
            "vector": tuple(names(vector_column)) or None,
            "geometry": tuple(names(geometry_column)) or None,
            "id": id_column,
            "time": time_column,
            "model": model,
            "licence": licence,
            "crs": crs,
            "scale": scale,
            "offset": None if scale is None else offset,
        }
        _import_vectors(files, source, given, table, period, h3_res, values)
    if not no_index:
        bring_up(table)


def _import_vectors(
    files: list[str],
    source: str,
    given: dict[str, Any],
    table: str,
    period: tuple[datetime, datetime] | None,
    h3_res: int | None,
    values: Literal["float16", "float32"] | None,
) -> None:
    from indexer.table.import_files import import_files
    from indexer.table.importers import LAYOUTS

    if not files:
        raise typer.BadParameter("Give the Parquet files to import.")
    layout = replace(LAYOUTS[source], **{name: value for name, value in given.items() if value is not None})
    if layout.id == "none":
        layout = replace(layout, id=None, source=None)
    with progress_bar("import", "rows") as progress:
        done = import_files(
            [Path(file) for file in files],
            layout,
            table,
            period=period,
            h3_resolution=h3_res,
            values=values,
            progress=progress,
        )
    for path, one in done.files[:SHOWN]:
        say(f"{path.name}: {_counted([one])}")
    if len(done.files) > 1:
        say(f"{len(done.files):,} files: {_counted([one for _, one in done.files])}")
    say_skipped([(str(skip.path), skip.reason) for skip in done.skipped])


def _counted(imports: "Sequence[Imported]") -> str:
    rows, resumed, skipped, repeated = (
        sum(getattr(one, name) for one in imports) for name in ("rows", "resumed", "skipped", "repeated")
    )
    return (
        f"{rows:,} rows imported, {resumed:,} were there already, {skipped:,} left out for want of a vector "
        f"or a place, {repeated:,} are there under another name"
    )


def _are_parquet(files: list[str]) -> bool:
    """Whether these are tables of vectors, not rasters."""
    return bool(files) and all(file.lower().endswith(PARQUET) or _has_parquet(Path(file)) for file in files)


def _has_parquet(folder: Path) -> bool:
    return folder.is_dir() and any(file.suffix in PARQUET for file in folder.rglob("*"))
