"""What may be asked, as JSON: the words of `skyhex.search`. Contents alone, no path and no address."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from indexer.errors import QueryError
from indexer.search import words
from indexer.search.diversity import Diversity
from indexer.search.filter import Filter
from indexer.search.query import Example, Match, Query

from .embedder import Embedder

MAX_K = 10_000
MAX_EXAMPLES = 256
MAX_EMBEDDED = 16  # chips, and texts
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
Text = Annotated[str, Field(max_length=1_000)]
Column = Literal["fused", "geo", "hr", "s2", "s1"]
K = Annotated[int, Field(ge=1, le=MAX_K)]


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
    text: list[Text] | Text | None = Field(None, description="Words, of an encoder that knows some.")
    not_cell: Annotated[list[Cell], Examples] | Cell | None = None
    not_lonlat: Annotated[list[LonLat], Examples] | LonLat | None = None
    not_vector: Annotated[list[Numbers], Examples] | Numbers | None = None
    not_chip: list[str] | str | None = None
    not_text: list[Text] | Text | None = None
    using: Column = "fused"
    against: Column = "fused"
    match: Match = "mean"
    negative_weight: float = 0.5
    invert: bool = False

    def query(self, embedder: Embedder) -> Query:
        """What is looked for. Raises QueryError."""
        like, unlike = self._examples(embedder, ""), self._examples(embedder, "not_")
        if not (like or unlike):
            raise QueryError("expected something to look like: cell, lonlat, vector, chip or text")
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

    def _examples(self, embedder: Embedder, sign: str) -> tuple[Example, ...]:
        """Of the words that begin with a sign, "" or "not_"."""
        given = {word: getattr(self, f"{sign}{word}") for word in ("cell", "lonlat", "vector")}
        chips, texts = (_several(word, getattr(self, f"{sign}{word}")) for word in ("chip", "text"))
        return (
            *words.examples_of(**given),
            *embedder.chips(chips, self.using),
            *embedder.texts(texts),
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


def _several(word: str, value: list[str] | str | None) -> list[str]:
    values = [] if value is None else [value] if isinstance(value, str) else value
    if len(values) > MAX_EMBEDDED:
        raise QueryError(f"{len(values)} of {word}: at most {MAX_EMBEDDED} are taken")
    return values


def _check_size(geojson: dict[str, Any]) -> None:
    """Raises QueryError for a polygon of more corners than a search should look at."""
    corners, values = 0, list[Any]([geojson])
    while values:
        one = values.pop()
        if isinstance(one, dict):
            values.extend(one.values())
        elif isinstance(one, list):
            corners += bool(one) and isinstance(one[0], int | float)
            values.extend(child for child in one if isinstance(child, dict | list))
        if corners > MAX_VERTICES:
            raise QueryError(f"within has more than {MAX_VERTICES:,} corners: simplify it first")
