#!/usr/bin/env bash
# Guess: appending a scene to a Zarr time series converts its date to the units of the store, or refuses.
# Surprise: where the store counts seconds and the new scene has milliseconds (as Sentinel-2's have), xarray writes
# the new date in milliseconds into the array that says seconds: 2024-06-11 is read back as 2051-10-18, with one
# warning at writing. A store that began with one scene counts days, and cannot be opened any more after the second,
# unless the time of day is the same. Giving the units in the first write (encoding={"time": {"units": "microseconds
# since …"}}) keeps it right.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q xarray==2026.9.0 zarr==3.1.6 pandas==3.1.1 numpy==2.4.6
cd "$work" && env/bin/python - <<'PY'
import numpy as np, pandas as pd, warnings, xarray as xr, zarr
print("xarray", xr.__version__, "zarr", zarr.__version__, "pandas", pd.__version__)
def scenes(*times):
    return xr.Dataset({"ndvi": ("time", np.arange(len(times), dtype="f4"))}, coords={"time": np.array(times, "datetime64[ns]")})
def appended(name, first, later, **encoding):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        scenes(*first).to_zarr(name, mode="w", consolidated=False, zarr_format=2, encoding=encoding)
        scenes(later).to_zarr(name, append_dim="time", consolidated=False)
    stored = xr.open_zarr(name, consolidated=False, decode_times=False)["time"]
    print(f"{first} + {later}: stored {stored.values.tolist()} {stored.attrs['units']}; warnings {len(told)}")
    try:
        last = str(xr.open_zarr(name, consolidated=False)["time"].values[-1])
    except ValueError as error:
        last = f"{type(error).__name__}: {str(error)[:70]}"
    print("    read back:", last)
    return last
two = ["2024-06-01T10:30:31", "2024-06-06T10:30:29"]
assert appended("same", two, "2024-06-11T10:30:31").startswith("2024-06-11T10:30:31")
assert appended("millis", two, "2024-06-11T10:30:31.024").startswith("2051-10-18")
assert appended("one", two[:1], "2024-06-06T10:30:29").startswith("ValueError")
told = {"units": "microseconds since 2015-01-01", "dtype": "int64"}
assert appended("told", two, "2024-06-11T10:30:31.024", time=told).startswith("2024-06-11T10:30:31.024")
PY
