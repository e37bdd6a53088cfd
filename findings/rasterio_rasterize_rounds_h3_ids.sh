#!/usr/bin/env bash
# Guess: rasterize writes an integer id into an integer raster as it is, and shapes gives back what a float64 raster
# holds.
# Surprise: rasterize accepts uint64 and int64 but passes each value through a double: an H3 id comes out one too
# large, which is no cell. shapes refuses 64-bit integers, takes float64 without a word and passes it through float32:
# ids are off by up to 34 billion, and two numbers that are 1,000 apart become one region.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q rasterio==1.4.4 h3==4.5.0 shapely==2.2.0 numpy==2.4.6
"$work/env/bin/python" - <<'PY'
import h3, numpy as np, rasterio, shapely
from rasterio.features import rasterize, shapes
print("rasterio", rasterio.__version__, "GDAL", rasterio.__gdal_version__, "h3", h3.__version__)
cell = h3.latlng_to_cell(46.0, 7.0, 7)
number = h3.str_to_int(cell)
grid = rasterio.Affine(1, 0, 0, 0, 1, 0)
for dtype in ("int64", "uint64"):
    out = int(rasterize([(shapely.box(0, 0, 2, 2), number)], out_shape=(2, 2), dtype=dtype, transform=grid)[0, 0])
    print(f"rasterize {dtype}: {number} becomes {out}; still a cell: {h3.is_valid_cell(h3.int_to_str(out))}")
    assert out == number + 1 and not h3.is_valid_cell(h3.int_to_str(out))
index = int(rasterize([(shapely.box(0, 0, 2, 2), 123_456_789)], out_shape=(2, 2), dtype="int64", transform=grid)[0, 0])
assert index == 123_456_789
try:
    list(shapes(np.full((2, 2), number, "int64")))
    refused = False
except ValueError as error:
    refused = True
    print("shapes int64 refused:", str(error)[:60])
halves = np.full((2, 2), 2.0**40)
halves[:, 1] += 1000
regions = [value for _, value in shapes(halves)]
print("shapes of float64", halves[0].tolist(), "gives", regions)
from_id = next(shapes(np.full((2, 2), float(number))))[1]
print("shapes of an id in float64 is off by", abs(int(from_id) - number))
assert refused and regions == [2.0**40] and abs(int(from_id) - number) > 10**9
PY
