#!/usr/bin/env bash
# Guess: rasterio.merge puts rasters where they lie, resampling if need be, in a type that holds them all.
# Surprise: the first raster decides. Its grid: one that lies 4 m off is moved by 4 m, one of 20 m pixels is spread by
# nearest, without a word. Its type: a float of 300.7 after a uint8 comes out as 44, and method="sum" of two uint16 of
# 40,000 as 14,464. In another order the same files give another mosaic. And where none has a nodata value the gap
# between them reads 0.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q rasterio==1.4.4 numpy==2.4.6
cd "$work" && env/bin/python -W error::UserWarning - <<'PY'
import numpy as np, rasterio
from rasterio.merge import merge
print("rasterio", rasterio.__version__, "GDAL", rasterio.__gdal_version__)
def put(name, row, left=600000, gsd=10, nodata=None):
    pixels = np.tile(row, (len(row), 1))
    with rasterio.open(name, "w", driver="GTiff", width=len(row), height=len(row), count=1, dtype=pixels.dtype, crs="EPSG:32632",
                       transform=rasterio.Affine(gsd, 0, left, 0, -gsd, 5100000), nodata=nodata) as file:
        file.write(pixels, 1)
    return name
def merged(*names, **how):
    pixels, grid = merge(list(names), **how)
    row = pixels[0, 0].tolist()
    print(f"{' + '.join(names)} {how or ''}: {pixels.dtype} {row}, first corner {grid.c:.0f}, pixels of {grid.a:.0f} m")
    return row, grid
ramp = np.arange(4, dtype="f4")
west, off, coarse, apart = put("west", ramp), put("off", ramp + 100, left=600044), put("coarse", (ramp + 100)[:2], left=600040, gsd=20), put("apart", ramp + 100, left=600060)
assert merged(west, off)[0] == [0, 1, 2, 3, 100, 101, 102, 103]
both = merged(west, coarse)[0], merged(coarse, west)[0]
assert both[0] == [0, 1, 2, 3, 100, 100, 101, 101] and len(both[1]) == 4
assert merged(west, apart)[0][4:6] == [0, 0]
few, many = put("few", np.zeros(4, "uint8"), nodata=0), put("many", np.full(4, 300.7, "f4"), nodata=-1)
assert merged(few, many)[0] == [44] * 4 and np.allclose(merged(many, few)[0], 300.7)
bright = put("bright", np.full(4, 40000, "uint16"), nodata=0)
assert merged(bright, bright, method="sum")[0] == [14464] * 4
PY
