#!/usr/bin/env bash
# Guess: spyndex, made to take arrays of any library, computes NDVI of Sentinel-2's uint16 numbers as of any numbers.
# Surprise: it evaluates the formula in the arrays' own type. Where red exceeds near infrared the difference wraps
# around below zero: NDVI of water becomes 24 instead of -0.11. With numpy, xarray and pandas alike, without a
# warning. NDVI of land is right, so a check on a green field passes; sums above 65,535 wrap too (bright cloud or
# snow). Float bands are right.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q spyndex==0.12.0 numpy==2.4.6 xarray==2026.9.0 pandas==2.3.3
"$work/env/bin/python" -W error - <<'PY'
import warnings
warnings.simplefilter("ignore")
import numpy as np, pandas as pd, spyndex, xarray as xr
warnings.simplefilter("error")
print("spyndex", spyndex.__version__, "numpy", np.__version__)
near, red = np.array([3000, 1200, 40000], "uint16"), np.array([800, 1500, 39000], "uint16")
seen = {}
for name, make in (("numpy", np.asarray), ("xarray", lambda x: xr.DataArray(x, dims="pixel")), ("pandas", pd.Series), ("float", lambda x: x.astype("float64"))):
    seen[name] = np.asarray(spyndex.computeIndex("NDVI", {"N": make(near), "R": make(red)})).round(3).tolist()
    print(f"NDVI of field, water and snow, {name:6}: {seen[name]}")
assert seen["float"] == [0.579, -0.111, 0.013]
assert seen["numpy"] == seen["xarray"] == seen["pandas"] and seen["numpy"][0] == 0.579 and seen["numpy"][1] > 20 and seen["numpy"][2] > 0.07
PY
