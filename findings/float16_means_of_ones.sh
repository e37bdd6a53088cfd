#!/usr/bin/env bash
# Guess: numpy's nanmean of half floats is its mean where nothing is NaN, and xarray's mean is numpy's.
# Surprise: only np.mean sums halves in float32. np.nanmean sums them in float16, where a sum over rows stops growing
# at 2048 and that of one column ends in inf: the mean of 70,000 rows of ones is 0.029, that of a million 0.002,
# np.average with weights of one says 0 and np.nanstd 0.17. xarray, which skips NaN by default, is np.nanmean here. So
# the mean embedding of a large area shrinks, and it turns as well, since each dimension stops on its own. pandas
# gives 1.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q numpy==2.4.6 xarray==2026.9.0 pandas==3.1.1
"$work/env/bin/python" -W ignore - <<'PY'
import numpy as np, pandas as pd, xarray as xr
print("numpy", np.__version__, "xarray", xr.__version__, "pandas", pd.__version__)
def means(rows):
    halves = np.ones((rows, 2), np.float16)
    cube = xr.DataArray(halves, dims=("row", "dim"))
    seen = {
        "np.mean": np.mean(halves, axis=0)[0],
        "np.nanmean": np.nanmean(halves, axis=0)[0],
        "np.nanmean, one column": np.nanmean(halves[:, 0]),
        "np.average, weights 1": np.average(halves, axis=0, weights=np.ones(rows, np.float16))[0],
        "np.nanstd": np.nanstd(halves, axis=0)[0],
        "xarray mean": cube.mean("row")[0],
        "xarray mean, skipna=False": cube.mean("row", skipna=False)[0],
        "pandas groupby.mean": pd.DataFrame({"cell": 0, "x": halves[:, 0]}).groupby("cell").x.mean().iloc[0],
    }
    seen = {name: float(value) for name, value in seen.items()}
    print(f"mean of {rows} rows of ones:", {name: round(value, 4) for name, value in seen.items()})
    return seen
few, many, million = means(2_000), means(70_000), means(1_000_000)
assert all(few[name] == (0 if name == "np.nanstd" else 1) for name in few)
for seen in (many, million):
    assert seen["np.mean"] == seen["xarray mean, skipna=False"] == seen["pandas groupby.mean"] == 1
    assert seen["np.nanmean"] == seen["xarray mean"] < 0.03 and seen["np.average, weights 1"] == 0
assert many["np.nanmean, one column"] == np.inf and many["np.nanstd"] > 0.1
both = np.concatenate([np.tile([1, 0], (2_100, 1)), np.tile([0, 1], (6_300, 1))]).astype(np.float16)
shuffled = np.random.default_rng(0).permutation(both)
print("a quarter of rows (1, 0), the rest (0, 1):", np.mean(both, axis=0), "nanmean", np.nanmean(both, axis=0), "shuffled", np.nanmean(shuffled, axis=0))
assert np.allclose(np.mean(both, axis=0), [0.25, 0.75], atol=1e-3) and np.allclose(np.nanmean(both, axis=0), [0.2438, 0.2438], atol=1e-3)
PY
