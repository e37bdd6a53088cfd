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


def option(panel: str, help: str, metavar: str | None = None, *names: str, default: bool = True) -> Any:
    """`default`: whether the help tells it in brackets."""
    return typer.Option(*names, help=help, metavar=metavar, rich_help_panel=panel, show_default=default)


CellOption = Annotated[Names, option(LIKE, "A cell. Repeat any of these for several.", "ID")]
LonLatOption = Annotated[Names, option(LIKE, "A place in degrees.", "LON LAT")]
ChipOption = Annotated[Paths, option(LIKE, "A GeoTIFF.", "TIF")]
VectorOption = Annotated[Paths, option(LIKE, "A vector: .npy, or .json list.", "FILE")]
TextOption = Annotated[Names, option(LIKE, "Words, of a table whose encoder knows some.", "TEXT")]
NotCellOption = Annotated[Names, option(LIKE, "A cell not to look like.", "ID")]
NotLonLatOption = Annotated[Names, option(LIKE, "A place not to look like.", "LON LAT")]
NotChipOption = Annotated[Paths, option(LIKE, "A GeoTIFF not to look like.", "TIF")]
NotVectorOption = Annotated[Paths, option(LIKE, "A vector not to look like.", "FILE")]
NotTextOption = Annotated[Names, option(LIKE, "Words for what it should not be.", "TEXT")]
QueriesOption = Annotated[
    Path | None,
    option(LIKE, "Many, one a row of a Parquet, CSV or JSONL: cell, or lon and lat, or vector.", "FILE"),
]
MatchOption = Annotated[
    Literal["mean", "any", "all"], option(LIKE, "Like their mean, any one of them, or each of them.")
]
InvertOption = Annotated[bool, option(LIKE, "The least like this, first.", None, "--invert")]
NegativeWeightOption = Annotated[float, option(LIKE, "How much the unwanted count.", "X")]
UsingOption = Annotated[str, option(LIKE, f"The examples' vectors: {VECTORS}", "NAME", default=False)]
AgainstOption = Annotated[str, option(LIKE, f"The rows' vectors: {VECTORS}", "NAME", default=False)]
NoAlignOption = Annotated[
    bool, option(LIKE, "Compare two sensors as they are, without the table's alignment.", None, "--no-align")
]

KOption = Annotated[int, option(RESULTS, "How many.", "N", "-k")]
PerParentOption = Annotated[int | None, option(RESULTS, "At most so many below one coarse cell.", "N")]
ParentResOption = Annotated[int | None, option(RESULTS, "Resolution of the coarse cells (default 5).", "R")]
RelevanceOption = Annotated[
    float | None, option(RESULTS, "Unlike each other: from 1, as they come, to 0, novelty alone.", "X")
]
IncludeQueryOption = Annotated[bool, option(RESULTS, "Keep the query's own rows.", None, "--include-query")]
ExplainOption = Annotated[bool, option(RESULTS, "Say how it was searched.", None, "--explain")]

SHARDS_HELP = "Processes that search the shards of a sharded index; without, this one does."
LIMIT_HELP = "Seconds of a shard, with --shard-workers; a note tells of those that are late."
ShardWorkersOption = Annotated[int | None, option(RESULTS, SHARDS_HELP, "N")]
ShardLimitOption = Annotated[float | None, option(RESULTS, LIMIT_HELP, "S")]

DEVICE_HELP = (
    "Where every row is compared by torch: cpu, cuda, cuda:1; without, the index as it was measured."
)
SearchDeviceOption = Annotated[str | None, option(RESULTS, DEVICE_HELP, "NAME", "--device")]

BeforeOption = Annotated[str, option(COMPARED, f"The first period: {PERIOD}", "PERIOD")]
AfterOption = Annotated[str, option(COMPARED, "The second period, in the same way.", "PERIOD")]
ColumnOption = Annotated[str, option(COMPARED, f"The vectors: {VECTORS}", "NAME", default=False)]
