#!/usr/bin/env bash
# Guess: st.cache_data runs a function again whenever a table or array that it is given differs in any value.
# Surprise: of a DataFrame of 50,000 rows or more it looks at 10,000 rows drawn by a fixed seed, of an array of
# 500,000 numbers or more at 100,000: after one row was changed (a label set, a vector embedded anew) the old answer
# comes back. A smaller one is looked at whole. Of a Polars frame of any size it looks at the first and the last ten
# rows: hashes of all rows are made, then printed by Arrow, which leaves out the middle.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q streamlit==1.67.0 numpy==2.4.6 pandas==2.3.3 polars==2.1.0
"$work/env/bin/python" -W ignore - <<'PY' 2>/dev/null
import numpy as np, pandas as pd, polars as pl, streamlit as st
print("streamlit", st.__version__, "pandas", pd.__version__, "polars", pl.__version__)
@st.cache_data
def total(table):
    return float(np.asarray(table["x"]).sum()) if hasattr(table, "columns") else float(table.sum())
def again(name, make, size, row):
    x = np.zeros(size)
    before = total(make(x))
    x[row] = 1
    after = total(make(x))
    print(f"{name} of {size:7}: sum {before:.0f}, and after row {row} was set to 1: {after:.0f}")
    return after
pandas, polars, numpy = (lambda x: pd.DataFrame({"x": x})), (lambda x: pl.DataFrame({"x": x})), (lambda x: x)
assert again("pandas", pandas, 49_000, 24_000) == 1 and again("pandas", pandas, 60_000, 30_000) == 0
assert again("numpy ", numpy, 400_000, 200_000) == 1 and again("numpy ", numpy, 600_000, 300_000) == 0
assert again("polars", polars, 1_000, 9) == again("polars", polars, 1_000, 990) == 1
assert again("polars", polars, 1_000, 10) == again("polars", polars, 1_000, 989) == 0
PY
