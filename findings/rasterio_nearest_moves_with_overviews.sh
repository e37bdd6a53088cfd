#!/usr/bin/env bash
# Guess: a nearest read at half size takes the same pixels whether or not the file has overviews that were built by
# nearest.
# Surprise: without overviews GDAL takes the second pixel of each pair (as a warp does), the overview holds the first.
# Adding overviews moves every small reading by one pixel of the file at half size, two at a quarter; a time series of
# which some files have overviews jitters. And `average` at half size then is the overview as it is: the first pixels
# again.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q rasterio==1.4.4 numpy==2.4.6
cd "$work" && env/bin/python - <<'PY'
import numpy as np, rasterio
from rasterio.enums import Resampling
from rasterio.warp import reproject
print("rasterio", rasterio.__version__, "GDAL", rasterio.__gdal_version__)
grid = rasterio.Affine(10, 0, 600000, 0, -10, 5100000)
column = np.tile(np.arange(16, dtype="float32"), (16, 1))
with rasterio.open("f.tif", "w", driver="GTiff", width=16, height=16, count=1, dtype="float32", crs="EPSG:32632", transform=grid) as file:
    file.write(column, 1)
def read(side, how=Resampling.nearest):
    with rasterio.open("f.tif") as file:
        return file.read(1, out_shape=(side, side), resampling=how)[0].tolist()
def warped(side):
    out = np.zeros((side, side), "float32")
    scale = 16 // side
    reproject(column, out, src_transform=grid, dst_transform=grid @ rasterio.Affine.scale(scale), src_crs="EPSG:32632", dst_crs="EPSG:32632")
    return out[0].tolist()
plain = {side: read(side) for side in (8, 4)}
mean = read(8, Resampling.average)
with rasterio.open("f.tif", "r+") as file:
    file.build_overviews([2, 4], Resampling.nearest)
with_overviews = {side: read(side) for side in (8, 4)}
for side in (8, 4):
    print(f"{side} of 16 columns: plain {plain[side]}, warp {warped(side)}, with overviews {with_overviews[side]}")
print("average of 16 columns into 8: plain", mean, "with overviews", read(8, Resampling.average))
assert plain[8] == warped(8) == list(range(1, 16, 2)) and with_overviews[8] == list(range(0, 16, 2))
assert plain[4] == warped(4) == list(range(2, 16, 4)) and with_overviews[4] == list(range(0, 16, 4))
assert mean == [i + 0.5 for i in range(0, 16, 2)] and read(8, Resampling.average) == with_overviews[8]
PY
