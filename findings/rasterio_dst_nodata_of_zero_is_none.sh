#!/usr/bin/env bash
# Guess: reproject(..., src_nodata=255, dst_nodata=0) writes 0 where the source is nodata.
# Surprise: a destination nodata of 0 counts as not given: those pixels come out as 255 (or NaN, or -9999: whatever
# the source has), any other value works. A mosaic that is then masked by 0 keeps them as data, reflectances of 255 or
# -9999. WarpedVRT with nodata=0 does write 0.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q rasterio==1.4.4 numpy==2.4.6
"$work/env/bin/python" - <<'PY'
import numpy as np, rasterio
from rasterio.vrt import WarpedVRT
from rasterio.warp import reproject
print("rasterio", rasterio.__version__, "GDAL", rasterio.__gdal_version__)
grid = rasterio.Affine(10, 0, 600000, 0, -10, 5100000)
half_east = rasterio.Affine(10, 0, 600003, 0, -10, 5099997)
def values(dtype, src_nodata, dst_nodata):
    pixels = np.full((20, 20), 7, dtype)
    pixels[:, 10:] = src_nodata
    out = np.zeros((20, 20), dtype)
    reproject(pixels, out, src_transform=grid, dst_transform=half_east, src_crs="EPSG:32632", dst_crs="EPSG:32632", src_nodata=src_nodata, dst_nodata=dst_nodata)
    seen = np.unique(out).tolist()
    print(f"{dtype:8} src_nodata {src_nodata}, dst_nodata {dst_nodata}: values {seen}")
    return seen
assert values("uint8", 255, 1) == [1, 7] and values("uint8", 255, 0) == [7, 255]
assert values("float32", -9999, -1) == [-1, 7] and values("float32", -9999, 0) == [-9999, 7]
assert np.isnan(values("float32", np.nan, 0)[-1]) and values("float32", np.nan, -1) == [-1, 7]
with rasterio.MemoryFile() as memory:
    with memory.open(driver="GTiff", width=20, height=20, count=1, dtype="uint8", crs="EPSG:32632", transform=grid, nodata=255) as file:
        file.write(np.where(np.arange(20) < 10, 7, 255).astype("uint8")[None].repeat(20, axis=0), 1)
    with memory.open() as file, WarpedVRT(file, crs="EPSG:32632", transform=half_east, width=20, height=20, nodata=0) as view:
        through = np.unique(view.read(1)).tolist()
print("WarpedVRT, nodata 0: values", through)
assert through == [0, 7]
PY
