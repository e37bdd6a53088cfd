"""The words of a search on the command line: what to look like, where, when, and which rows."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

LIKE, WHERE, ROWS, RESULTS = "What to look like", "Where", "Which rows", "Which results"
COMPARED = "What is compared"
VECTORS = "fused (default), geo, hr, s2 or s1."
PERIOD = "2023, 2023-06, 2023-06-15, or 2023-03-01/2023-10-01."

Names = list[str] | None
Paths = list[Path] | None


def _option(panel: str, help: str, metavar: str | None = None, *names: str, default: bool = True) -> Any:
    """`default`: whether the help tells it in brackets."""
    return typer.Option(*names, help=help, metavar=metavar, rich_help_panel=panel, show_default=default)


CellOption = Annotated[Names, _option(LIKE, "A cell. Repeat any of these for several.", "ID")]
LonLatOption = Annotated[Names, _option(LIKE, "A place in degrees.", "LON LAT")]
ChipOption = Annotated[Paths, _option(LIKE, "A GeoTIFF.", "TIF")]
VectorOption = Annotated[Paths, _option(LIKE, "A vector: .npy, or .json list.", "FILE")]
NotCellOption = Annotated[Names, _option(LIKE, "A cell not to look like.", "ID")]
NotLonLatOption = Annotated[Names, _option(LIKE, "A place not to look like.", "LON LAT")]
NotChipOption = Annotated[Paths, _option(LIKE, "A GeoTIFF not to look like.", "TIF")]
NotVectorOption = Annotated[Paths, _option(LIKE, "A vector not to look like.", "FILE")]
QueriesOption = Annotated[
    Path | None,
    _option(LIKE, "Many, one a row of a Parquet, CSV or JSONL: cell, or lon and lat, or vector.", "FILE"),
]
MatchOption = Annotated[Literal["mean", "any"], _option(LIKE, "Like their mean, or like any one.")]
NegativeWeightOption = Annotated[float, _option(LIKE, "How much the unwanted count.", "X")]
UsingOption = Annotated[str, _option(LIKE, f"The examples' vectors: {VECTORS}", "NAME", default=False)]
AgainstOption = Annotated[str, _option(LIKE, f"The rows' vectors: {VECTORS}", "NAME", default=False)]

BoxOption = Annotated[
    tuple[float, float, float, float] | None,
    _option(WHERE, "Box in degrees; W > E crosses 180.", "W S E N", "--bbox"),
]
WithinOption = Annotated[Path | None, _option(WHERE, "Polygons of a GeoJSON, lon/lat.", "FILE")]
NearOption = Annotated[
    tuple[float, float, float] | None, _option(WHERE, "Within kilometres of a point.", "LON LAT KM")
]
CellsOption = Annotated[str | None, _option(WHERE, "Cells and all below them: A,B,C.", "IDS")]
FootprintOption = Annotated[
    bool,
    _option(WHERE, "Where a row's footprint reaches, not its cell's centre.", None, "--footprint"),
]

StartOption = Annotated[str | None, _option(ROWS, "Periods that end after this day.", "D")]
EndOption = Annotated[str | None, _option(ROWS, "Periods that begin before this day.", "D")]
MonthsOption = Annotated[str | None, _option(ROWS, "Periods that touch months of any year: 6,7,8.", "LIST")]
ModalitiesOption = Annotated[str | None, _option(ROWS, "Rows made with all of these: hr,s2,s1.", "LIST")]
SqlOption = Annotated[
    str | None, _option(ROWS, "SQL on columns: prototype = 3 AND cloud_fraction < 0.2.", "SQL")
]

KOption = Annotated[int, _option(RESULTS, "How many.", "N", "-k")]
PerParentOption = Annotated[int | None, _option(RESULTS, "At most so many below one coarse cell.", "N")]
ParentResOption = Annotated[int | None, _option(RESULTS, "Resolution of the coarse cells (default 5).", "R")]
RelevanceOption = Annotated[
    float | None, _option(RESULTS, "Unlike each other: from 1, as they come, to 0, novelty alone.", "X")
]
IncludeQueryOption = Annotated[bool, _option(RESULTS, "Keep the query's own rows.", None, "--include-query")]
ExplainOption = Annotated[bool, _option(RESULTS, "Say how it was searched.", None, "--explain")]

BeforeOption = Annotated[str, _option(COMPARED, f"The first period: {PERIOD}", "PERIOD")]
AfterOption = Annotated[str, _option(COMPARED, "The second period, in the same way.", "PERIOD")]
ColumnOption = Annotated[str, _option(COMPARED, f"The vectors: {VECTORS}", "NAME", default=False)]
