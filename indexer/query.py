"""What to look like, and what not: places of the table, places on the map, vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import h3
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from .cells import cell_at, cell_to_text, centres, distance_km, parent, parse_cell, resolution_of
from .errors import QueryError
from .filters import Filter
from .schema import KEY, to_matrix
from .segment import key_arrays
from .vectors import Similarities, has_direction

if TYPE_CHECKING:
    from .table import EmbeddingTable

NEARBY_KM = (
    1.0  # a place on the map stands for the nearest row this close: a chip is some hundred metres wide
)


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
    """The row of the cell at a place, or else of the nearest within NEARBY_KM."""

    lon_deg: float
    lat_deg: float


@dataclass(frozen=True)
class Vector:
    """A vector (d,) of the table's model, of any length but zero."""

    values: NDArray[np.floating]


Example = Cell | LonLat | Vector


@dataclass(frozen=True)
class Query:
    """Rows like the positives and unlike the negatives."""

    positives: Sequence[Example]
    negatives: Sequence[Example] = ()
    using: str = "embedding"  # the column that examples from the table are read from
    against: str = "embedding"  # the column that is searched
    match: Literal["mean", "any"] = "mean"  # like their mean, or like any one of the positives
    negative_weight: float = 0.5  # Rocchio's: the query is mean(positives) - weight * mean(negatives)


@dataclass(frozen=True)
class Resolved:
    """A query as numbers."""

    vectors: Similarities  # (m, d) float32 of norm 1; a row's similarity is its greatest to any of them
    own_rows: frozenset[tuple[object, ...]]  # keys of the rows that were examples
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Found:
    """One example as numbers."""

    vector: Similarities  # (d,) norm 1
    own_rows: frozenset[tuple[object, ...]] = frozenset()
    notes: tuple[str, ...] = ()


def resolve(table: EmbeddingTable, query: Query, conditions: Filter) -> Resolved:
    """Look the examples up and combine them (Rocchio 1971).

    Raises:
        QueryError: no positive, an unknown cell or column, a vector that does not fit, examples that cancel.
    """
    if not query.positives:
        raise QueryError("the query has no positive example: expected at least one cell, place or vector")
    for column in (query.using, query.against):
        known = ("embedding", *table.optional_columns)
        if column not in known:
            raise QueryError(f"the table has no vectors {column!r}: expected one of {', '.join(known)}")
    positives = [_find(table, example, query.using, conditions) for example in query.positives]
    negatives = [_find(table, example, query.using, conditions) for example in query.negatives]
    wanted = np.stack([found.vector for found in positives])
    if query.match == "mean":
        wanted = wanted.mean(axis=0, keepdims=True)
    if negatives:
        wanted = wanted - query.negative_weight * np.mean([found.vector for found in negatives], axis=0)
    found = (*positives, *negatives)
    return Resolved(
        np.stack([_unit(vector, "the examples cancel out: their mean") for vector in wanted]),
        frozenset().union(*(example.own_rows for example in found)),
        tuple(dict.fromkeys(note for example in found for note in example.notes)),
    )


def _find(table: EmbeddingTable, example: Example, column: str, conditions: Filter) -> _Found:
    if isinstance(example, Vector):
        return _Found(_checked(table, example.values, column))
    if isinstance(example, LonLat):
        return _find_place(table, example, column, conditions)
    return _find_cell(table, example.cell, column, conditions)


def _find_cell(table: EmbeddingTable, cell: int, column: str, conditions: Filter) -> _Found:
    name, resolution = cell_to_text(cell), resolution_of(cell)
    notes: list[str] = []
    if resolution < table.h3_resolution:
        raise QueryError(
            f"cell {name} has resolution {resolution}, coarser than the table's {table.h3_resolution}: "
            "expected one row's cell; to search inside a coarse cell, make it the region"
        )
    if resolution > table.h3_resolution:
        cell = parent(cell, table.h3_resolution)
        notes.append(f"cell {name} is finer than the table: its parent {cell_to_text(cell)} is compared")
    rows = table.lookup(cell=cell, columns=[*KEY, column])
    if len(rows) == 0:
        raise QueryError(_unknown(table, cell))
    return _latest(rows, cell_to_text(cell), column, conditions, notes)


def _latest(rows: pa.Table, name: str, column: str, conditions: Filter, notes: list[str]) -> _Found:
    """The mean of a cell's rows of one period."""
    matrix = to_matrix(rows[column])
    _, start_us, end_us = key_arrays(rows)
    usable = has_direction(matrix)
    if not usable.any():
        raise QueryError(f"cell {name} has no {column}: its input lacked that modality")
    if conditions.asks_time and (usable & conditions.holds_in_time(start_us, end_us)).any():
        usable &= conditions.holds_in_time(start_us, end_us)
    latest = max(np.flatnonzero(usable).tolist(), key=lambda row: (end_us[row], start_us[row]))
    if len(np.unique(np.stack([start_us, end_us])[:, usable], axis=1).T) > 1:
        start, end = (rows[side][latest].as_py() for side in KEY[2:])
        notes.append(f"cell {name} has several periods: {start:%Y-%m-%d} to {end:%Y-%m-%d} is compared")
    usable &= (start_us == start_us[latest]) & (end_us == end_us[latest])
    if usable.sum() > 1:
        notes.append(f"cell {name} has {usable.sum()} samples: their mean is compared")
    vector = _unit(matrix[usable].astype(np.float32).mean(axis=0), f"the mean of cell {name}")
    return _Found(vector, frozenset(keys_of(rows.filter(pa.array(usable)))), tuple(notes))


def _find_place(table: EmbeddingTable, place: LonLat, column: str, conditions: Filter) -> _Found:
    cell = cell_at(place.lon_deg, place.lat_deg, table.h3_resolution)
    rows = table.lookup(cell=cell, columns=[*KEY, column])
    if len(rows):
        return _latest(rows, cell_to_text(cell), column, conditions, [])
    disc = _disc(cell, NEARBY_KM)
    nearest, away_km = _nearest_cell(table, place.lon_deg, place.lat_deg, disc)
    if nearest is None or away_km > NEARBY_KM:
        raise QueryError(
            f"no row within {NEARBY_KM:g} km of {place.lon_deg} {place.lat_deg}; {_unknown(table, cell)}"
        )
    name = cell_to_text(nearest)
    where = f"{place.lon_deg} {place.lat_deg}"
    note = f"no row lies at {where}: cell {name}, {away_km * 1000:.0f} m away, is compared"
    return _latest(table.lookup(cell=nearest, columns=[*KEY, column]), name, column, conditions, [note])


def _disc(cell: int, radius_km: float) -> list[int]:
    """Coarse cells that hold all within a distance of a cell: an ancestor so wide, and its neighbours."""
    resolution = resolution_of(cell)
    while resolution > 0 and h3.average_hexagon_edge_length(resolution, "km") < radius_km:
        resolution -= 1
    return [h3.str_to_int(c) for c in h3.grid_disk(h3.int_to_str(parent(cell, resolution)), 1)]


def _nearest_cell(
    table: EmbeddingTable, lon_deg: float, lat_deg: float, within: Sequence[int] | None = None
) -> tuple[int | None, float]:
    """The table's cell whose centre is nearest to a point, and how far, in kilometres."""
    nearest, least_km = None, np.inf
    for batch in table.scan(["h3_cell"], cells=within):
        cells = np.unique(batch["h3_cell"].to_numpy())
        away_km = distance_km(lon_deg, lat_deg, *centres(cells))
        if away_km.size and away_km.min() < least_km:
            nearest, least_km = int(cells[away_km.argmin()]), float(away_km.min())
    return nearest, least_km


def _unknown(table: EmbeddingTable, cell: int) -> str:
    lon_deg, lat_deg = (float(value[0]) for value in centres([cell]))
    nearest, away_km = _nearest_cell(table, lon_deg, lat_deg)
    if nearest is None:
        return "the table is empty: embed something first"
    name = cell_to_text(nearest)
    return f"the table has no cell {cell_to_text(cell)}: the nearest is {name}, {away_km:.3g} km away"


def _checked(table: EmbeddingTable, values: NDArray[np.floating], column: str) -> Similarities:
    vector = np.asarray(values, np.float32).reshape(-1)
    dimension = table.schema.field(column).type.list_size
    if vector.shape != (dimension,):
        raise QueryError(
            f"the query vector has {vector.size} dimensions, {column} of this table has {dimension}"
        )
    return _unit(vector, "the query vector")


def _unit(vector: Similarities, what: str) -> Similarities:
    norm = np.linalg.norm(vector.astype(np.float64))
    if not (np.isfinite(norm) and norm > 1e-6):
        raise QueryError(f"{what} is zero or not finite, so it has no direction to compare")
    return np.asarray(vector / norm, np.float32)


def keys_of(rows: pa.Table) -> list[tuple[object, ...]]:
    """The keys of rows."""
    return list(zip(*(rows[name].to_pylist() for name in KEY), strict=True))
