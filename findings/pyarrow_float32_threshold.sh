#!/usr/bin/env bash
# Guess: "cloud fraction <= 0.3" finds the same rows of a float32 column in pyarrow as in DuckDB, Polars and pandas.
# Surprise: pyarrow widens the column to double and holds it against the double 0.3, which float32's 0.3 exceeds by
# 1e-8: rows at the threshold itself are lost, and "= 0.1" finds none. DuckDB, Polars, pandas and numpy round the 0.3
# to float32 first and find them. It goes for filters of data sets and of read_table, and so for pandas'
# read_parquet(filters=…), which disagrees with the same condition on the frame. A float32 scalar in the filter agrees
# with all.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q pyarrow==26.0.1 duckdb==2.0.0 polars==2.1.0 pandas==3.1.1 numpy==2.4.6
cd "$work" && env/bin/python - <<'PY'
import duckdb, numpy as np, pandas as pd, polars as pl, pyarrow as pa, pyarrow.compute as pc, pyarrow.dataset as ds, pyarrow.parquet as pq
print("pyarrow", pa.__version__, "duckdb", duckdb.__version__, "polars", pl.__version__, "pandas", pd.__version__)
cloud = np.array([0.1, 0.2, 0.3], "f4")
pq.write_table(pa.table({"cloud": cloud}), "f.parquet")
data, frame = ds.dataset("f.parquet"), pd.read_parquet("f.parquet")
seen = {
    "pyarrow dataset": (data.count_rows(filter=pc.field("cloud") <= 0.3), data.count_rows(filter=pc.field("cloud") == 0.1)),
    "pyarrow read_table": (len(pq.read_table("f.parquet", filters=[("cloud", "<=", 0.3)])), len(pq.read_table("f.parquet", filters=[("cloud", "==", 0.1)]))),
    "pandas, filters": (len(pd.read_parquet("f.parquet", filters=[("cloud", "<=", 0.3)])), len(pd.read_parquet("f.parquet", filters=[("cloud", "==", 0.1)]))),
    "pandas, frame": (len(frame[frame.cloud <= 0.3]), len(frame[frame.cloud == 0.1])),
    "numpy": (int((cloud <= 0.3).sum()), int((cloud == 0.1).sum())),
    "duckdb": tuple(duckdb.sql(f"SELECT count(*) FROM 'f.parquet' WHERE cloud {what}").fetchall()[0][0] for what in ("<= 0.3", "= 0.1")),
    "polars": (pl.read_parquet("f.parquet").filter(pl.col("cloud") <= 0.3).height, pl.scan_parquet("f.parquet").filter(pl.col("cloud") == 0.1).collect().height),
    "pyarrow, float32 scalar": (data.count_rows(filter=pc.field("cloud") <= pa.scalar(0.3, pa.float32())), data.count_rows(filter=pc.field("cloud") == pa.scalar(0.1, pa.float32()))),
}
for name, found in seen.items():
    print(f"{name:24} of 0.1, 0.2, 0.3: <= 0.3 finds {found[0]}, = 0.1 finds {found[1]}")
assert all(seen[n] == (2, 0) for n in ("pyarrow dataset", "pyarrow read_table", "pandas, filters"))
assert all(seen[n] == (3, 1) for n in ("pandas, frame", "numpy", "duckdb", "polars", "pyarrow, float32 scalar"))
PY
