"""What may be asked, as JSON: the words of `skyhex.search`. Contents alone, no path and no address."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from indexer.errors import QueryError
from indexer.search import words
from indexer.search.diversity import Diversity
from indexer.search.filter import Filter
from indexer.search.query import Match, Query, Vector

MAX_K = 10_000
MAX_EXAMPLES = 256
MAX_CHIPS = 16
MAX_QUERIES = 1_000
MAX_VERTICES = 100_000
MAX_CELLS = 100_000
MAX_SQL = 20_000  # characters

Cell = Annotated[str, Field(max_length=16)] | int
LonLat = tuple[float, float]
Day = Annotated[str, Field(max_length=40)] | int
Period = Annotated[str, Field(max_length=60)] | int | tuple[Day, Day]
Numbers = Annotated[list[float], Field(max_length=65_536)]
Sensor = Literal["hr", "s2", "s1"]
Examples = Field(max_length=MAX_EXAMPLES)
Column = Literal["fused", "geo", "hr", "s2", "s1"]
K = Annotated[int, Field(ge=1, le=MAX_K)]


Embed = Callable[[list[str], str], list[Vector]]  # contents of chips, and the vectors that are meant


class Body(BaseModel):
    """A word that is not known is an error, not ignored."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    snapshot: int | None = None


class Conditions(Body):
    """Which rows may be found: all that are given must hold."""

    bbox: tuple[float, float, float, float] | None = None
    within: dict[str, Any] | None = Field(None, description="GeoJSON.")
    cells: Annotated[list[Cell], Field(max_length=MAX_CELLS)] | Cell | None = None
    near: tuple[float, float, float] | None = Field(None, description="lon, lat in degrees, kilometres.")
    footprint: bool = False
    start: Day | None = None
    end: Day | None = None
    months: Annotated[list[int], Field(max_length=12)] | int = []
    modalities: Annotated[list[Sensor], Field(max_length=3)] | Sensor = []
    where: str | None = Field(None, max_length=MAX_SQL)

    def filter(self) -> Filter:
        """Raises QueryError."""
        if self.within is not None:
            _check_size(self.within)
        given = {
            name: getattr(self, name) for name in Conditions.model_fields if name not in Body.model_fields
        }
        return words.filter_of(**given)


class Like(BaseModel):
    """What rows should look like, and what not."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    cell: Annotated[list[Cell], Examples] | Cell | None = None
    lonlat: Annotated[list[LonLat], Examples] | LonLat | None = None
    vector: Annotated[list[Numbers], Examples] | Numbers | None = None
    chip: list[str] | str | None = Field(None, description="A GeoTIFF's content, as base64.")
    not_cell: Annotated[list[Cell], Examples] | Cell | None = None
    not_lonlat: Annotated[list[LonLat], Examples] | LonLat | None = None
    not_vector: Annotated[list[Numbers], Examples] | Numbers | None = None
    not_chip: list[str] | str | None = None
    using: Column = "fused"
    against: Column = "fused"
    match: Match = "mean"
    negative_weight: float = 0.5
    invert: bool = False

    def query(self, embed: Embed) -> Query:
        """What is looked for; `embed` makes vectors of chips. Raises QueryError."""
        like = (
            *words.examples_of(cell=self.cell, lonlat=self.lonlat, vector=self.vector),
            *embed(_several(self.chip), self.using),
        )
        unlike = (
            *words.examples_of(cell=self.not_cell, lonlat=self.not_lonlat, vector=self.not_vector),
            *embed(_several(self.not_chip), self.using),
        )
        if not (like or unlike):
            raise QueryError("expected something to look like: cell, lonlat, vector or chip")
        if len(like) + len(unlike) > MAX_EXAMPLES:
            raise QueryError(f"{len(like) + len(unlike)} examples: at most {MAX_EXAMPLES} are taken")
        return words.query_of(
            like,
            unlike,
            using=self.using,
            against=self.against,
            match=self.match,
            negative_weight=self.negative_weight,
            invert=self.invert,
        )


class SearchBody(Like, Conditions):
    """POST /search."""

    k: K = 20
    include_query: bool = False
    per_parent: int | None = None
    parent_res: int | None = None
    relevance: float | None = None

    def diversity(self) -> Diversity | None:
        """Raises QueryError."""
        return words.diversity_of(
            per_parent=self.per_parent, parent_res=self.parent_res, relevance=self.relevance
        )


class ManyBody(Conditions):
    """POST /search_many."""

    queries: list[Like] = Field(max_length=MAX_QUERIES)
    names: list[Annotated[str, Field(max_length=200)]] | None = Field(None, max_length=MAX_QUERIES)
    k: K = 20
    include_query: bool = False


class ChangesBody(Conditions):
    """POST /changes."""

    before: Period
    after: Period
    column: Column = "fused"
    k: K = 20


class OutliersBody(Conditions):
    """POST /outliers."""

    k: K = 20


class SqlBody(Body):
    """POST /sql."""

    query: str = Field(max_length=MAX_SQL)


def _several(value: list[str] | str | None) -> list[str]:
    chips = [] if value is None else [value] if isinstance(value, str) else value
    if len(chips) > MAX_CHIPS:
        raise QueryError(f"{len(chips)} chips: at most {MAX_CHIPS} are taken")
    return chips


def _check_size(geojson: dict[str, Any]) -> None:
    """Raises QueryError for a polygon of more corners than a search should look at."""
    corners, found = 0, list[Any]([geojson])
    while found:
        one = found.pop()
        if isinstance(one, dict):
            found.extend(one.values())
        elif isinstance(one, list):
            corners += bool(one) and isinstance(one[0], int | float)
            found.extend(child for child in one if isinstance(child, dict | list))
        if corners > MAX_VERTICES:
            raise QueryError(f"within has more than {MAX_VERTICES:,} corners: simplify it first")
