"""Many queries, from a file, and what they find in one table."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from ..csv_text import as_written
from ..errors import NoRowError, QueryError
from ..geo.cells import cell_to_text
from ..index.crew import Searcher
from ..progress import Progress
from ..table.embedding_table import EmbeddingTable
from .filter import Filter
from .query import Cell, Example, LonLat, Query, Vector
from .search import Hits, search_each
from .words import column_of

NAMES = ("query", "id")
CELLS = ("cell", "h3_cell")
VECTORS = ("vector", "embedding")
SEARCHED_AT_ONCE = 256  # queries between two reports of progress


@dataclass(frozen=True)
class NamedQueries:
    """Queries and what they are called in the results."""

    names: Sequence[str]  # (m,)
    queries: Sequence[Query]  # (m,)


def read_queries(
    path: Path, *, using: str = "fused", against: str = "fused", align: bool = True
) -> NamedQueries:
    """One query a row of a Parquet, CSV or JSONL file.

    It looks like the row's `cell` (or `h3_cell`), or its `vector` (or `embedding`), or its `lon` and `lat`:
    the first of these that the file has. It is called by the row's `query` or `id`, or else by what it looks
    like.

    Raises:
        QueryError: a file that cannot be read, has none of these columns, or a row that is empty or no cell.
    """
    rows = _read(path)
    examples = _examples(rows, path)
    name = next((rows[name].to_pylist() for name in NAMES if name in rows.column_names), None)
    names = [_name(example, i) for i, example in enumerate(examples, 1)] if name is None else map(str, name)
    using, against = column_of(using), column_of(against)
    queries = [Query((one,), using=using, against=against, align=align) for one in examples]
    return NamedQueries(list(names), queries)


def search_batch(
    table: EmbeddingTable,
    named: NamedQueries,
    k: int = 20,
    filter: Filter = Filter(),  # noqa: B008 - frozen
    include_query: bool = False,
    progress: Progress | None = None,
    crew: Searcher | None = None,
) -> Hits:
    """What each query finds, one after another, in one table whose first column is the query's name.

    A query whose example has no row finds nothing, and a note says why.

    Raises:
        QueryError, TableError: as `search`; no query has a row.
    """
    if not named.queries:
        raise QueryError("there is no query: expected at least one")
    hits: list[Hits | NoRowError] = []
    for first in range(0, len(named.queries), SEARCHED_AT_ONCE):
        some = named.queries[first : first + SEARCHED_AT_ONCE]
        hits += search_each(table, some, k=k, filter=filter, include_query=include_query, crew=crew)
        if progress is not None:
            progress(len(hits), len(named.queries))
    each = list(zip(named.names, hits, strict=True))
    answered = [(name, one) for name, one in each if isinstance(one, Hits)]
    left_out = [f"left out {name}: {one}" for name, one in each if isinstance(one, NoRowError)]
    if not answered:
        raise QueryError(f"no query has a row of its own; {left_out[0].removeprefix('left out ')}")
    named_rows = [
        one.rows.add_column(0, "query", pa.array([name] * len(one.rows), pa.string()))
        for name, one in answered
    ]
    plans = Counter(one.plan for _, one in answered).most_common()
    return Hits(
        pa.concat_tables(named_rows, promote_options="default"),
        "; ".join(f"{count} x {plan}" for plan, count in plans),
        tuple(dict.fromkeys((*left_out, *(note for _, one in answered for note in one.notes)))),
    )


def _read(path: Path) -> pa.Table:
    try:
        if path.suffix in (".parquet", ".geoparquet", ".pq"):
            rows = pq.read_table(path)
        elif path.suffix == ".csv":
            empty_is_null = pyarrow.csv.ConvertOptions(strings_can_be_null=True)
            rows = as_written(pyarrow.csv.read_csv(path, convert_options=empty_is_null))
        elif path.suffix in (".jsonl", ".ndjson"):
            rows = pyarrow.json.read_json(path)
        else:
            raise QueryError(f"{path}: queries come in a .parquet, .csv or .jsonl file")
    except (pa.ArrowException, OSError) as error:
        raise QueryError(f"{path}: cannot be read as queries ({error})") from error
    if len(rows) == 0:
        raise QueryError(f"{path} holds no query: expected a row for each")
    return rows


def _examples(rows: pa.Table, path: Path) -> list[Example]:
    cells = next((name for name in CELLS if name in rows.column_names), None)
    vectors = next((name for name in VECTORS if name in rows.column_names), None)
    if cells is not None:
        return [_cell(value, i, path) for i, value in enumerate(_values(rows, cells, path), 1)]
    if vectors is not None:
        return [_vector(values, i, path) for i, values in enumerate(_values(rows, vectors, path), 1)]
    if {"lon", "lat"} <= set(rows.column_names):
        places = zip(_values(rows, "lon", path), _values(rows, "lat", path), strict=True)
        return [_place(lon, lat, i, path) for i, (lon, lat) in enumerate(places, 1)]
    raise QueryError(
        f"{path} has columns {', '.join(rows.column_names)}: expected cell, or vector, or lon and lat"
    )


def _values(rows: pa.Table, name: str, path: Path) -> list[Any]:
    values: list[Any] = rows[name].to_pylist()
    if None in values:
        raise QueryError(f"{path}: row {values.index(None) + 1} has no {name}")
    return values


def _cell(value: Any, row: int, path: Path) -> Cell:
    try:
        return Cell.parse(value)
    except QueryError as error:
        raise QueryError(f"{path}: row {row}: {error}") from error


def _place(lon_deg: Any, lat_deg: Any, row: int, path: Path) -> LonLat:
    numbers = all(isinstance(degrees, int | float) for degrees in (lon_deg, lat_deg))
    if not (numbers and abs(lon_deg) <= 180 and abs(lat_deg) <= 90):
        raise QueryError(f"{path}: row {row}: lon {lon_deg!r}, lat {lat_deg!r}, expected degrees")
    return LonLat(float(lon_deg), float(lat_deg))


def _vector(values: Any, row: int, path: Path) -> Vector:
    """Of a list of numbers, or JSON text of one."""
    try:
        return Vector(np.asarray(json.loads(values) if isinstance(values, str) else values, np.float64))
    except (ValueError, TypeError) as error:
        raise QueryError(f"{path}: row {row} is no vector ({error}), expected a list of numbers") from error


def _name(example: Example, row: int) -> str:
    if isinstance(example, Cell):
        return cell_to_text(example.cell)
    return f"{example.lon_deg} {example.lat_deg}" if isinstance(example, LonLat) else str(row)
