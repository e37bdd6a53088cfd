#!/usr/bin/env bash
# Guess: GeoParquet 1.1 has two encodings of geometry, WKB and GeoArrow's; DuckDB 2.0, with geometry built in, reads
# both as GEOMETRY.
# Surprise: WKB alone. What geopandas wrote with geometry_encoding="geoarrow" is STRUCT(x DOUBLE, y DOUBLE) to it, of
# the same points as an Arrow table it is DOUBLE[2]; no function and no cast makes a geometry of either. And copied by
# DuckDB the file loses its `geo` metadata: geopandas then refuses it. What DuckDB hands to pandas is WKB as
# bytearray, not a geometry.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q duckdb==2.0.0 geopandas==1.2.0 pyarrow==26.0.1 shapely==2.2.0 pandas==3.1.1 numpy==2.4.6
cd "$work" && env/bin/python -W ignore - <<'PY'
import duckdb, geopandas, pyarrow as pa, shapely
print("duckdb", duckdb.__version__, "geopandas", geopandas.__version__, "pyarrow", pa.__version__)
points = geopandas.GeoDataFrame({"row": [0, 1]}, geometry=[shapely.Point(7, 46), shapely.Point(8, 47)], crs="OGC:CRS84")
def ask(sql):
    try:
        return duckdb.sql(sql).fetchall()[0][0]
    except duckdb.Error as error:
        return type(error).__name__
def type_in_arrow(arrow_table):
    return duckdb.sql("SELECT typeof(geometry) FROM arrow_table").fetchall()[0][0]
seen = {}
for encoding in ("WKB", "geoarrow"):
    points.to_parquet(f"{encoding}.parquet", geometry_encoding=encoding, schema_version="1.1.0")
    table = pa.table(points.to_arrow(geometry_encoding=encoding))
    file = f"'{encoding}.parquet'"
    seen[encoding] = [ask(f"SELECT typeof(geometry) FROM {file}"), type_in_arrow(table),
                      ask(f"SELECT ST_AsText(geometry) FROM {file}"), ask(f"SELECT geometry::GEOMETRY FROM {file} WHERE row = 0") != "ConversionException"]
    duckdb.sql(f"COPY (FROM {file}) TO '{encoding}_copy.parquet'")
    try:
        back = len(geopandas.read_parquet(f"{encoding}_copy.parquet"))
    except ValueError as error:
        back = str(error).strip()[:40]
    seen[encoding].append(back)
    kind, arrow_kind, text, cast, _ = seen[encoding]
    print(f"{encoding:8} from Parquet {kind}, from Arrow {arrow_kind}, as text {text}, cast {cast}; geopandas of DuckDB's copy: {back}")
frame = duckdb.sql("FROM 'WKB.parquet'").df()
print("to pandas:", type(frame.geometry[0]).__name__)
assert seen["WKB"][0] == seen["WKB"][1] == "GEOMETRY('OGC:CRS84')" and seen["WKB"][2:] == ["POINT (7 46)", True, 2]
assert seen["geoarrow"] == ["STRUCT(x DOUBLE, y DOUBLE)", "DOUBLE[2]", "BinderException", False, "Missing geo metadata in Parquet/Feather "]
assert isinstance(frame.geometry[0], bytearray)
PY
