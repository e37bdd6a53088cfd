#!/usr/bin/env bash
# Guess: a data set partitioned by an H3 parent (cell=599405652782088191/) is read back with that column as the
# integer it was.
# Surprise: pyarrow takes partition values for int32 or text, and no H3 id fits int32: the column is a string (a
# dictionary of strings from read_table, a category in pandas), and a filter by the number raises that no kernel
# matches. The same folder read by DuckDB and Polars gives a signed 64-bit integer, so the two readings do not join
# either. Small numbers (a UTM zone) are int32 in pyarrow and can be filtered. A schema for the partition helps.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q pyarrow==26.0.1 duckdb==2.0.0 polars==2.1.0 pandas==3.1.1 numpy==2.4.6
cd "$work" && env/bin/python -W ignore - <<'PY'
import duckdb, pandas as pd, polars as pl, pyarrow as pa, pyarrow.dataset as ds, pyarrow.parquet as pq
print("pyarrow", pa.__version__, "duckdb", duckdb.__version__, "polars", pl.__version__, "pandas", pd.__version__)
cell = 599405652782088191
seen = {}
for name, ids in (("zone", [31, 32]), ("cell", [cell, cell + 2**35])):
    pq.write_to_dataset(pa.table({name: pa.array(ids, pa.uint64()), "x": [1, 2]}), name, partition_cols=[name])
    data = ds.dataset(name, partitioning="hive")
    try:
        filtered = data.to_table(filter=ds.field(name) == ids[0]).num_rows
    except pa.ArrowNotImplementedError as error:
        filtered = str(error)[:60]
    seen[name] = {
        "pyarrow dataset": str(data.schema.field(name).type),
        "read_table": str(pq.read_table(name).schema.field(name).type.value_type),
        "pandas": str(pd.read_parquet(name)[name].cat.categories.dtype),
        "filter": filtered,
        "duckdb": duckdb.sql(f"SELECT typeof({name}) FROM read_parquet('{name}/*/*.parquet', hive_partitioning = true) LIMIT 1").fetchall()[0][0],
        "polars": str(pl.read_parquet(name, hive_partitioning=True).schema[name]),
    }
    print(name, ids, seen[name])
told = ds.dataset("cell", partitioning=ds.partitioning(pa.schema([("cell", pa.uint64())]), flavor="hive"))
print("with a schema for the partition:", told.schema.field("cell").type, told.to_table(filter=ds.field("cell") == cell).num_rows)
assert seen["zone"]["pyarrow dataset"] == "int32" and seen["zone"]["filter"] == 1
assert seen["cell"]["pyarrow dataset"] == seen["cell"]["read_table"] == "string" and "no kernel" in seen["cell"]["filter"]
assert seen["cell"]["duckdb"] == "BIGINT" and seen["cell"]["polars"] == "Int64"
assert told.to_table(filter=ds.field("cell") == cell).num_rows == 1
PY
