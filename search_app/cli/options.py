"""Options that several commands share."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from ..form import Format

TableOption = Annotated[
    str,
    typer.Option(
        "-t",
        "--table",
        envvar="SKYHEX_TABLE",
        help="The table's folder, or its address: s3://, gs:// or az://BUCKET/PATH.",
        metavar="DIR|URL",
    ),
]
SnapshotOption = Annotated[
    int | None, typer.Option(help="Read this snapshot instead of the newest.", metavar="N")
]
FormatOption = Annotated[
    Format | None,
    typer.Option("--format", help="table (default), json, csv, geojson or geoparquet.", metavar="NAME"),
]
OutOption = Annotated[
    Path | None,
    typer.Option("-o", "--out", help="Write to a file, in the form that its name says.", metavar="FILE"),
]
WeightsOption = Annotated[
    str, typer.Option(help="Name of shipped weights, or a .safetensors file.", metavar="NAME")
]
DeviceOption = Annotated[str, typer.Option(help="auto takes CUDA where it is; else cpu, cuda, cuda:1.")]
CatalogArgument = Annotated[str, typer.Argument(help="A STAC catalog or API: path or address.")]
CollectionsOption = Annotated[
    str | None, typer.Option(help="Search CATALOG, a STAC API, for these.", metavar="NAME,NAME")
]
ItemQueryOption = Annotated[
    list[str] | None, typer.Option(help="Of the search: 'eo:cloud_cover<40'.", metavar="TEXT")
]
MaxItemsOption = Annotated[int, typer.Option(help="Of the catalog or search, at most.")]
BoxOption = Annotated[
    tuple[float, float, float, float] | None,
    typer.Option(metavar="W S E N", help="Box in degrees; W > E crosses the antimeridian."),
]
ValuesOption = Annotated[
    Literal["float16", "float32"] | None,
    typer.Option(help="How a new table keeps vectors; float32 takes twice the bytes."),
]
Engine = Literal["local", "ray"]
EngineOption = Annotated[Engine, typer.Option(help="Who works: this machine, or Ray.")]
AddressOption = Annotated[
    str | None,
    typer.Option(help="Of a Ray that runs, auto or HOST[:PORT]; else one starts here.", metavar="HOST"),
]
DEFAULT_TABLE = "skyhex-data"


def names(text: str | None) -> list[str]:
    """The words of a comma-separated list; none of none."""
    return [] if text is None else [word.strip() for word in text.split(",")]


def day(text: str | None) -> datetime | None:
    """Midnight UTC of an ISO date. Raises `QueryError`."""
    from indexer.search.words import moment

    return moment(text)
