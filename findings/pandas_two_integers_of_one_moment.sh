#!/usr/bin/env bash
# Guess: a date is nanoseconds since 1970 in pandas, or, where pandas 3 has microseconds, it is so wherever one looks
# at the integer.
# Surprise: both at once. The integers of a column are in the column's own unit (microseconds of text and datetime,
# seconds of numpy days, milliseconds of a Parquet file of seconds), but `.value` of an element is nanoseconds always,
# even where `.unit` says us. Code that divides a column by a day in nanoseconds, to encode dates for a model, gives
# 19 for 2024-06-01, and 19,875 element by element; differences have the same two faces. dt.as_unit("ns") first is
# right.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q pandas==3.1.1 pyarrow==26.0.1 numpy==2.4.6
cd "$work" && env/bin/python -W error - <<'PY'
from datetime import datetime
import numpy as np, pandas as pd, pyarrow as pa, pyarrow.parquet as pq
print("pandas", pd.__version__, "pyarrow", pa.__version__, "numpy", np.__version__)
pq.write_table(pa.table({"t": pa.array([1_717_200_000], pa.timestamp("s"))}), "seconds.parquet")
columns = {
    "text": pd.to_datetime(pd.Series(["2024-06-01"])),
    "datetime": pd.Series([datetime(2024, 6, 1)]),
    "numpy days": pd.Series(np.array(["2024-06-01"], "datetime64[D]")),
    "Parquet of seconds": pd.read_parquet("seconds.parquet")["t"],
    "numpy nanoseconds": pd.Series(np.array(["2024-06-01"], "datetime64[ns]")),
}
day_ns = 86_400 * 10**9
days = {}
for name, column in columns.items():
    first = column.iloc[0]
    whole, element = int(column.astype("int64").iloc[0]), int(first.value)
    days[name] = whole // day_ns, element // day_ns, int(column.dt.as_unit("ns").astype("int64").iloc[0]) // day_ns
    print(f"{name:19} {column.dtype}: integer of the column {whole}, .value of its element {element} (its unit: {first.unit}); days {days[name]}")
since = columns["text"] - pd.Timestamp("2024-01-01")
apart = int(since.astype("int64").iloc[0]), int(since.iloc[0].value)
print("since New Year: column", apart[0], "element", apart[1])
assert all(element == unit == 19_875 for _, element, unit in days.values())
assert days["text"][0] == days["datetime"][0] == 19 and days["numpy days"][0] == days["Parquet of seconds"][0] == 0
assert days["numpy nanoseconds"][0] == 19_875 and apart[1] == 1000 * apart[0]
PY
