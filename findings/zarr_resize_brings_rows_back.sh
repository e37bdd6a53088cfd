#!/usr/bin/env bash
# Guess: rows cut off a Zarr array by resize are gone, and rows added later begin as the fill value.
# Surprise: only whole chunks go. Of a chunk that is cut through, the rest stays stored, and growing the array brings
# it back: a time series cut to take wrong dates away and then made longer for new ones shows some of the wrong ones
# again, as data, until each is written over. Which ones depends on the chunks alone. Zarr 2 and Zarr 3 stores alike.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q zarr==3.1.6 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PY'
import numpy as np, zarr
print("zarr", zarr.__version__)
def regrown(chunk, zarr_format):
    series = zarr.create_array(zarr.storage.MemoryStore(), shape=(10,), chunks=(chunk,), dtype="f4", fill_value=np.nan, zarr_format=zarr_format)
    series[:] = np.arange(10)
    series.resize((5,))
    series.resize((10,))
    back = np.flatnonzero(np.isfinite(series[:]))
    print(f"Zarr {zarr_format}, chunks of {chunk}: of 10 dates cut to 5 and grown to 10 again there are {back.tolist()}")
    return back.tolist()
for zarr_format in (2, 3):
    assert regrown(5, zarr_format) == regrown(1, zarr_format) == list(range(5))
    assert regrown(4, zarr_format) == list(range(8)) and regrown(10, zarr_format) == list(range(10))
PY
