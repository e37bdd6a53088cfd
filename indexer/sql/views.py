"""The SQL that a table is read through: macros for H3 and similarity, and three views."""

from collections.abc import Mapping, Sequence

import duckdb
import numpy as np
import pyarrow as pa
import shapely
from h3ronpy.vector import cells_to_wkb_polygons

from ..geo import cells
from ..geo.geojson import cell_on_globe, cut_at_antimeridian
from ..geo.great_circle import EARTH_RADIUS_KM
from ..prototypes.layout import ASSIGNMENTS, PROTOTYPES, SCHEMA
from ..table.columns import DECIMALS
from ..table.schema import KEY, PARTITION
from .source import Source

TABLE_MACROS = ("embeddings_in", "nearest", "similar_to")

# Bits of a cell's number: see cells.py. `typeof` is known when a query is planned, so h3_id costs nothing on
# columns, and regions given as constants become constant bounds, which DuckDB compares with row groups.
SCALAR_MACROS = """
CREATE MACRO h3_id(cell) AS
    CASE WHEN typeof(cell) = 'VARCHAR' THEN ('0x' || cell)::UBIGINT ELSE cell::UBIGINT END;
CREATE MACRO h3_string(cell) AS format('{{:x}}', h3_id(cell));
CREATE MACRO h3_resolution(cell) AS (h3_id(cell) >> 52) & 15;
CREATE MACRO _digits_below(resolution) AS (1::UBIGINT << (3 * (15 - resolution))::UBIGINT) - 1;
CREATE MACRO _at_resolution(cell, resolution) AS
    (h3_id(cell) & ~(15::UBIGINT << 52)) | (resolution::UBIGINT << 52);
CREATE MACRO h3_parent(cell, resolution) AS
    CASE WHEN resolution BETWEEN 0 AND h3_resolution(cell)
         THEN _at_resolution(cell, resolution) | _digits_below(resolution) END;
CREATE MACRO _digits_between(cell, resolution) AS
    xor(_digits_below(h3_resolution(cell)), _digits_below(resolution));
CREATE MACRO _first_child(cell, resolution) AS
    _at_resolution(cell, resolution) & ~_digits_between(cell, resolution);
CREATE MACRO _last_child(cell, resolution) AS
    _first_child(cell, resolution) | (_digits_between(cell, resolution) & {sixes}::UBIGINT);
CREATE MACRO h3_within(cell, region) AS
    h3_resolution(region) <= {resolution}
    AND cell BETWEEN _first_child(region, {resolution}) AND _last_child(region, {resolution});
CREATE MACRO h3_lon(cell) AS _h3_lon(h3_id(cell));
CREATE MACRO h3_lat(cell) AS _h3_lat(h3_id(cell));
CREATE MACRO h3_boundary(cell) AS _h3_boundary(h3_id(cell));
CREATE MACRO _haversine(lon1, lat1, lon2, lat2) AS
    sin(radians(lat2 - lat1) / 2) ** 2
    + cos(radians(lat1)) * cos(radians(lat2)) * sin(radians(lon2 - lon1) / 2) ** 2;
CREATE MACRO _at_most_one(x) AS CASE WHEN x > 1 THEN 1 ELSE x END;
CREATE MACRO h3_distance(a, b) AS
    2 * {radius_km} * asin(sqrt(_at_most_one(_haversine(h3_lon(a), h3_lat(a), h3_lon(b), h3_lat(b)))));
CREATE MACRO _cosine(a, b) AS
    list_cosine_similarity(coalesce(a, b)::DOUBLE[], coalesce(b, a)::DOUBLE[]);
CREATE MACRO similarity(a, b) AS
    CASE WHEN a IS NOT NULL AND b IS NOT NULL
         THEN nullif(round(_cosine(a, b), {decimals}), 'NaN'::DOUBLE) END;
"""

VIEWS = """
CREATE VIEW embeddings AS SELECT {columns} FROM _parts;
CREATE VIEW prototypes AS
    SELECT e.*, a.region_cell, a.prototype, a.prototype_similarity
    FROM embeddings e LEFT JOIN _assignments a USING ({key});
CREATE VIEW regions AS
    SELECT region_cell, count(*) AS prototypes, sum(n_rows)::BIGINT AS rows
    FROM _prototypes GROUP BY region_cell ORDER BY region_cell;
CREATE MACRO vector_of(cell) AS (
    SELECT v.embedding FROM embeddings v WHERE v.h3_cell = h3_id(cell)
    ORDER BY v.start_datetime DESC, v.sample_id LIMIT 1);
CREATE MACRO embeddings_in(region) AS TABLE
    SELECT {columns} FROM _parts
    WHERE h3_within(h3_cell, region){in_partition};
CREATE MACRO similar_to(cell) AS TABLE
    SELECT e.*, similarity(e.embedding, vector_of(cell)) AS similarity
    FROM embeddings e WHERE e.h3_cell <> h3_id(cell);
CREATE MACRO nearest(cell, k) AS TABLE
    SELECT * FROM similar_to(cell) WHERE similarity IS NOT NULL
    ORDER BY similarity DESC, {key} LIMIT k;
"""


def add_views(connection: duckdb.DuckDBPyConnection, source: Source) -> list[str]:
    """Define everything; returns the files that it reads."""
    resolution, partition = source.h3_resolution, source.partition_resolution
    _add_functions(connection)
    connection.execute(
        SCALAR_MACROS.format(
            sixes=cells.LAST_DIGITS,
            resolution=resolution,
            radius_km=EARTH_RADIUS_KM,
            decimals=DECIMALS,
        )
    )
    _add_parquet(connection, "_parts", source.parts, _plain(source.schema), _partition_column(partition))
    _add_sidecars(connection, source.sidecars)
    connection.execute(
        VIEWS.format(
            columns=", ".join(source.schema.names),
            key=", ".join(KEY),
            in_partition=_in_partition(partition),
        )
    )
    return [*source.parts, *source.sidecars.values()]


def _in_partition(partition: int | None) -> str:
    """The partition that a region lies in, or the first and last that lie in it: other files stay shut."""
    if partition is None:
        return ""
    first, last = (
        f"h3_string(coalesce(h3_parent(region, {partition}), {child}(region, {partition})))"
        for child in ("_first_child", "_last_child")
    )
    return f" AND {_partition_column(partition)} BETWEEN {first} AND {last}"


def _partition_column(partition: int | None) -> str:
    return "" if partition is None else f"{PARTITION}{partition}"


def _add_sidecars(connection: duckdb.DuckDBPyConnection, stored: Mapping[str, str]) -> None:
    """Views of the prototype files, empty where there are none."""
    for view, name, schema in (
        ("_assignments", ASSIGNMENTS, SCHEMA),
        ("_prototypes", PROTOTYPES, PROTOTYPE_SCHEMA),
    ):
        _add_parquet(connection, view, [stored[name]] if name in stored else [], schema)


PROTOTYPE_SCHEMA = pa.schema(
    [
        ("region_cell", pa.uint64()),
        ("prototype", pa.int32()),
        ("vector", pa.list_(pa.float32())),
        ("n_rows", pa.int64()),
    ]
)


def _add_parquet(
    connection: duckdb.DuckDBPyConnection,
    view: str,
    paths: Sequence[str],
    schema: pa.Schema,
    partition: str = "",
) -> None:
    """A view of Parquet files, or an empty one of a schema where there are none.

    Args:
        partition: the column that their folders are named by.
    """
    if not paths:
        named = schema.append(pa.field(partition, pa.string())) if partition else schema
        connection.register(view, named.empty_table())
        return
    hive = f", hive_partitioning = true, hive_types = {{'{partition}': VARCHAR}}" if partition else ""
    places = ", file_index, file_row_number" if view == "_parts" else ""  # for `predicate.matching_rows`
    listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
    connection.execute(f"CREATE VIEW {view} AS SELECT *{places} FROM read_parquet([{listed}]{hive})")


def _plain(schema: pa.Schema) -> pa.Schema:
    """The same with vectors as lists: Arrow's fixed lists of float16 cannot be registered in DuckDB."""
    return pa.schema(
        [
            pa.field(f.name, pa.list_(pa.float32()) if pa.types.is_fixed_size_list(f.type) else f.type)
            for f in schema
        ]
    )


def _add_functions(connection: duckdb.DuckDBPyConnection) -> None:
    """What takes more than bit arithmetic, on whole vectors of cells."""
    for name, function, result in (
        ("_h3_lon", _lon, "DOUBLE"),
        ("_h3_lat", _lat, "DOUBLE"),
        ("_h3_boundary", _boundary, "VARCHAR"),
    ):
        connection.create_function(name, function, ["UBIGINT"], result, type="arrow")


def _lon(cell: pa.ChunkedArray) -> pa.Array:
    return pa.array(cells.centres(cell)[0])


def _lat(cell: pa.ChunkedArray) -> pa.Array:
    return pa.array(cells.centres(cell)[1])


def _boundary(cell: pa.ChunkedArray) -> pa.Array:
    """Hexagons as WKT, degrees; in two parts where the antimeridian cuts them."""
    wkb = pa.array(cells_to_wkb_polygons(cells.as_cells(cell))).to_numpy(zero_copy_only=False)
    shapes = shapely.from_wkb(wkb)
    west, _, east, _ = shapely.bounds(shapes).T
    for i in np.flatnonzero(east - west > 180).tolist():
        shapes[i] = cut_at_antimeridian(cell_on_globe(shapes[i]))
    return pa.array(shapely.to_wkt(shapes, rounding_precision=7))
