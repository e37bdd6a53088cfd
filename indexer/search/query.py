"""What to look like, and what not: places of the table, places on the map, vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..alignment.alignment import Map, read_map
from ..errors import NoRowError, QueryError
from ..geo.cells import cell_at, cell_to_text, centres, parent, parse_cell, resolution_of
from ..index.faiss_index import Index
from ..table.columns import Cosines, has_direction, key_numbers, to_array
from ..table.embedding_table import EmbeddingTable
from ..table.schema import COUNTS, KEY
from .filter import Filter
from .locate import nearest_cell, patch_at, rows_of_cell, surroundings

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NEARBY_KM = 1.0  # a place stands for the nearest row this close: a chip is some hundred metres wide


@dataclass(frozen=True)
class Cell:
    """The row of a cell; of several periods the latest that the filter's dates allow."""

    cell: int

    @staticmethod
    def parse(text: str | int) -> Cell:
        """From an id or its hexadecimal name. Raises `QueryError`."""
        return Cell(parse_cell(text))


@dataclass(frozen=True)
class LonLat:
    """The row whose footprint holds a place, or else the nearest within NEARBY_KM."""

    lon_deg: float
    lat_deg: float


@dataclass(frozen=True)
class Vector:
    """A vector (d,) of the table's model, of any length but zero."""

    values: NDArray[np.floating]
    sensors: Sequence[str] = ()  # that it was made from, "hr", "s2", "s1"; unknown where there are none


Example = Cell | LonLat | Vector
Match = Literal["mean", "any", "all"]  # like the mean of the examples, any one of them, or each of them


@dataclass(frozen=True)
class Query:
    """Rows like the positives and unlike the negatives; with negatives alone, the least like them.

    An example that is given n times counts n times. Raises `QueryError` when made of what cannot be.
    """

    positives: Sequence[Example]
    negatives: Sequence[Example] = ()
    using: str = "embedding"  # the column that examples from the table are read from
    against: str = "embedding"  # the column that is searched
    match: Match = "mean"
    negative_weight: float = 0.5  # Rocchio's: the query is mean(positives) - weight * mean(negatives)
    align: bool = True  # between two columns, by the table's own alignment, where it has one
    invert: bool = False  # what is least like this, in place of what is most like it

    def __post_init__(self) -> None:
        if self.match not in get_args(Match):
            raise QueryError(f"match {self.match!r}: expected {', '.join(get_args(Match))}")
        if not isinstance(self.invert, bool):
            raise QueryError(f"invert {self.invert!r}: expected True or False")
        weight = self.negative_weight
        if not (isinstance(weight, int | float) and np.isfinite(weight) and weight >= 0):
            raise QueryError(f"negative weight {weight!r}: expected 0 or more")


@dataclass(frozen=True)
class Resolved:
    """A query as numbers."""

    vectors: Cosines  # (m, d) float64 of norm 1; a row's similarity is its greatest to any of them, or
    own_rows: frozenset[tuple[object, ...]]  # keys of the rows that were examples
    notes: tuple[str, ...]
    column: str  # that is searched
    all_of: bool = False  # its least: that to the one it is least like
    aligned: str = ""  # how the examples came into the space that is searched, where they were mapped
    cells: frozenset[int] = frozenset()  # of the rows that were examples
    sensors: frozenset[str] = frozenset()  # "hr", "s2", "s1": what the examples were made from, where known


@dataclass(frozen=True)
class _ExampleVector:
    """One example as numbers."""

    vector: Cosines  # (d,) norm 1
    own_rows: frozenset[tuple[object, ...]] = frozenset()
    notes: tuple[str, ...] = ()
    sensors: frozenset[str] = frozenset()


def resolve(table: EmbeddingTable, query: Query, filter: Filter, index: Index | None = None) -> Resolved:
    """Look the examples up and combine them (Rocchio 1971).

    Raises:
        QueryError: no example, an unknown cell or column, a vector that does not fit, examples that cancel.
        DamagedIndexError: resolve again without the index.
    """
    if not (query.positives or query.negatives):
        raise QueryError("the query has no example: expected at least one cell, place or vector")
    if not query.positives:
        query = replace(query, positives=query.negatives, negatives=(), invert=not query.invert)
    aligned = _alignment(table, query)
    book = _Book(table, index, query.using, filter)
    positives = [_find(book, example) for example in query.positives]
    negatives = [_find(book, example) for example in query.negatives]
    wanted = np.array([example.vector for example in positives])
    if query.match == "mean" and len(wanted) > 1:
        wanted = wanted.mean(axis=0, keepdims=True)
    if negatives:
        wanted = wanted - query.negative_weight * np.mean([example.vector for example in negatives], axis=0)
    examples, vectors = (*positives, *negatives), wanted
    if len(examples) > 1:
        vectors = np.array([_unit(vector, "the examples cancel out: their mean") for vector in wanted])
    if aligned is not None:
        vectors = np.array([_unit(vector, "the aligned query") for vector in aligned(vectors)])
    all_of = query.match == "all"
    if query.invert:  # the greatest of the opposites is the opposite of the least
        vectors, all_of = -vectors, not all_of
    own_rows = frozenset[tuple[object, ...]]().union(*(example.own_rows for example in examples))
    return Resolved(
        vectors,
        own_rows,
        tuple(dict.fromkeys(note for example in examples for note in example.notes)),
        query.against,
        all_of and len(vectors) > 1,
        "" if aligned is None else f"aligned by {aligned.fitted}",
        frozenset(int(str(key[0])) for key in own_rows),
        frozenset().union(*(example.sensors for example in examples)),
    )


def _alignment(table: EmbeddingTable, query: Query) -> Map | None:
    """The map between the query's columns; None where they are compared as they are."""
    dimensions = [_dimension(table, column) for column in (query.using, query.against)]
    if query.align and query.using != query.against:
        alignment = read_map(table, query.using, query.against)
        if alignment is not None:
            return alignment
    if dimensions[0] != dimensions[1]:
        raise QueryError(
            f"{query.using} and {query.against} have different dimensions: they cannot be compared"
            " without an alignment, `skyhex align`"
        )
    return None


@dataclass(frozen=True)
class _Book:
    """Where examples are looked up."""

    table: EmbeddingTable
    index: Index | None
    column: str
    filter: Filter


def check_column(table: EmbeddingTable, column: str) -> None:
    """Raises `QueryError` for vectors that the table does not have."""
    _dimension(table, column)


def _dimension(table: EmbeddingTable, column: str) -> int:
    if column == "embedding":
        return table.dimension
    optional = table.manifest.optional
    if column not in optional:
        known = ", ".join(["embedding", *optional])
        raise QueryError(f"the table has no vectors {column!r}: expected one of {known}")
    return optional[column]


def _find(book: _Book, example: Example) -> _ExampleVector:
    if isinstance(example, Vector):
        return _ExampleVector(_checked(book, example.values), sensors=frozenset(example.sensors))
    if isinstance(example, LonLat):
        return _find_place(book, example)
    return _find_cell(book, example.cell)


def _find_cell(book: _Book, cell: int) -> _ExampleVector:
    name, resolution = cell_to_text(cell), book.table.h3_resolution
    notes = []
    if resolution_of(cell) < resolution:
        raise QueryError(
            f"cell {name} has resolution {resolution_of(cell)}, coarser than the table's {resolution}: "
            "expected one row's cell; to search inside a coarse cell, make it the area, with `cells`"
        )
    if resolution_of(cell) > resolution:
        cell = parent(cell, resolution)
        notes.append(f"cell {name} is finer than the table: its parent {cell_to_text(cell)} is compared")
    latest = _latest(book, cell)
    if latest is None:
        raise NoRowError(_unknown(book.table, cell))
    return replace(latest, notes=(*notes, *latest.notes))


def _find_place(book: _Book, place: LonLat) -> _ExampleVector:
    cell = cell_at(place.lon_deg, place.lat_deg, book.table.h3_resolution)
    patch = patch_at(book.table, place.lon_deg, place.lat_deg)
    if patch is None:
        return _find_near(book, place, cell)
    holder, sample_id = patch
    latest = _latest(book, cell) if holder == cell else _latest(book, holder, sample_id)
    assert latest is not None, "the table has the row that holds the place"
    if holder == cell:
        return latest
    return replace(
        latest, notes=(f"{sample_id} of cell {cell_to_text(holder)} holds the place", *latest.notes)
    )


def _find_near(book: _Book, place: LonLat, cell: int) -> _ExampleVector:
    """What a place that no row holds stands for; `cell` is the place's own."""
    where, around = f"{place.lon_deg} {place.lat_deg}", surroundings(cell, NEARBY_KM)
    nearest, away_km = nearest_cell(book.table, place.lon_deg, place.lat_deg, around)
    latest = _latest(book, nearest) if nearest is not None and away_km <= NEARBY_KM else None
    if nearest is None or latest is None:
        raise NoRowError(f"no row within {NEARBY_KM:g} km of {where}; {_unknown(book.table, cell)}")
    note = f"no row lies at {where}: cell {cell_to_text(nearest)}, {away_km * 1000:.0f} m away, is compared"
    return replace(latest, notes=(note, *latest.notes))


def _latest(book: _Book, cell: int, sample_id: str | None = None) -> _ExampleVector | None:
    """The mean of a cell's rows of one period, or of those of one sample; None where there are none."""
    rows, matrix = rows_of_cell(book.table, book.index, cell, book.column)
    if sample_id is not None:
        its = np.array([name == sample_id for name in rows["sample_id"].to_pylist()], bool)
        rows, matrix = rows.filter(to_array(its)), matrix[its]
    if len(rows) == 0:
        return None
    name, notes = cell_to_text(cell), []
    _, start_us, end_us = key_numbers(rows)
    usable = has_direction(matrix)
    if not usable.any():
        raise NoRowError(f"cell {name} has no {book.column}: its input lacked that modality")
    in_time = usable & book.filter.matches_time(start_us, end_us)
    usable = in_time if in_time.any() else usable
    latest = max(np.flatnonzero(usable).tolist(), key=lambda row: (end_us[row], start_us[row]))
    of_period = usable & (start_us == start_us[latest]) & (end_us == end_us[latest])
    if (usable & ~of_period).any():
        start, end = (rows[side][latest].as_py() for side in KEY[2:])
        notes.append(f"cell {name} has several periods: {start:%Y-%m-%d} to {end:%Y-%m-%d} is compared")
    if of_period.sum() > 1:
        notes.append(f"cell {name} has {of_period.sum()} samples: their mean is compared")
    vector = _unit(matrix[of_period].astype(np.float64).mean(axis=0), f"the mean of cell {name}")
    its = rows if of_period.all() else rows.filter(to_array(of_period))
    sensors = frozenset().union(*sensors_of(its, book.column))
    return _ExampleVector(vector, frozenset(keys_of(its)), tuple(notes), sensors)


def _unknown(table: EmbeddingTable, cell: int) -> str:
    lon_deg, lat_deg = (float(value[0]) for value in centres([cell]))
    nearest, away_km = nearest_cell(table, lon_deg, lat_deg)
    if nearest is None:
        return "the table is empty: embed something first"
    name = cell_to_text(nearest)
    return f"the table has no cell {cell_to_text(cell)}: the nearest is {name}, {away_km:.3g} km away"


def _checked(book: _Book, values: NDArray[np.floating]) -> Cosines:
    vector, dimension = np.asarray(values, np.float64).reshape(-1), _dimension(book.table, book.column)
    if vector.shape != (dimension,):
        raise QueryError(
            f"the query vector has {vector.size} dimensions, {book.column} of this table has {dimension}"
        )
    return _unit(vector, "the query vector")


def _unit(vector: Cosines, what: str) -> Cosines:
    norm = math.sqrt(vector @ vector)
    if not (math.isfinite(norm) and norm > 1e-6):
        raise QueryError(f"{what} is zero or not finite, so it has no direction to compare")
    return np.asarray(vector / norm)


def sensors_of(rows: pa.Table, column: str) -> list[frozenset[str]]:
    """What each row's vector in a column was made from, "hr", "s2", "s1"; nothing where it is not known."""
    own = column.removeprefix("embedding_")
    if f"n_{own}" in COUNTS:
        return [frozenset({own})] * len(rows)
    counts = zip(*(rows[name].to_pylist() for name in COUNTS), strict=True)
    names = [name.removeprefix("n_") for name in COUNTS]
    return [frozenset(name for name, n in zip(names, row, strict=True) if n) for row in counts]


def keys_of(rows: pa.Table) -> list[tuple[object, ...]]:
    """The keys of rows."""
    cells, *moments = key_numbers(rows)
    starts, ends = ([EPOCH + timedelta(microseconds=us) for us in side.tolist()] for side in moments)
    return list(zip(cells.tolist(), rows["sample_id"].to_pylist(), starts, ends, strict=True))
