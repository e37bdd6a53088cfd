#!/usr/bin/env bash
# Guess: a window with fractions of a pixel (windows.from_bounds gives them) is read with whole pixels, each once, or
# shifted.
# Surprise: rasterio rounds the shape of the result and lets GDAL resample the fractional window into it. At nearest,
# a window 3.4 pixels wide comes back as pixels 0, 2, 3: one in the middle is left out; one 3.6 wide as 1, 1, 2, 3:
# one stands twice. No warning, and window_transform gives the fractional corner with the file's pixel size, which the
# values do not have any more.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q rasterio==1.4.4 numpy==2.4.6
"$work/env/bin/python" - <<'PY'
import numpy as np, rasterio
from rasterio.windows import from_bounds
print("rasterio", rasterio.__version__, "GDAL", rasterio.__gdal_version__)
grid = rasterio.Affine(10, 0, 600000, 0, -10, 5100000)
with rasterio.MemoryFile() as memory:
    with memory.open(driver="GTiff", width=64, height=64, count=1, dtype="int16", crs="EPSG:32632", transform=grid) as file:
        file.write(np.tile(np.arange(64, dtype="int16"), (64, 1)), 1)
    with memory.open() as file:
        def row(left, right):
            window = from_bounds(left, 5099900, right, 5100000, file.transform)
            pixels = file.read(1, window=window)[0].tolist()
            print(f"from {left} to {right}: window {window.col_off:.1f} + {window.width:.1f}, pixels {pixels}, its corner {file.window_transform(window).c:.0f}")
            return pixels
        whole, skipped, twice = row(600000, 600040), row(600004, 600038), row(600006, 600042)
        rng = np.random.default_rng(0)
        uneven = 0
        for _ in range(500):
            left, width = rng.uniform(600010, 600200), rng.uniform(50, 400)
            window = from_bounds(left, 5099900, left + width, 5100000, file.transform)
            uneven += bool((np.diff(file.read(1, window=window)[0]) != 1).any())
        print(f"of 500 places that lie anyhow on the grid, {uneven} are read with a pixel left out or twice")
assert whole == [0, 1, 2, 3] and skipped == [0, 2, 3] and twice == [1, 1, 2, 3] and uneven > 80
PY
