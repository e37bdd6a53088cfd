#!/usr/bin/env bash
# Guess: after coarsen(x=4, y=4).mean() the rio accessor knows that pixels are 40 m now, as the file that it writes
# does.
# Surprise: two answers. to_raster writes 40 m and the right bounds, but .rio.resolution(), .bounds() and .transform()
# of the same array still say 10 m around the new centres: 170 m instead of 200 m, 15 m off each side. reproject and
# pad_box believe them: a reprojection to its own CRS shrinks the picture to 170 m. Slicing with a step is alike;
# odc-geo reads coordinates.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q rioxarray==0.19.0 xarray==2026.9.0 rasterio==1.4.4 odc-geo==0.5.3 dask==2026.8.0 numpy==2.4.6
cd "$work" && env/bin/python -W ignore - <<'PY'
import numpy as np, odc.geo.xr, rasterio, rioxarray
print("rioxarray", rioxarray.__version__, "rasterio", rasterio.__version__, "odc-geo", odc.geo.__version__)
grid = rasterio.Affine(10, 0, 500000, 0, -10, 5000000)
with rasterio.open("a.tif", "w", driver="GTiff", width=20, height=20, count=1, dtype="float32", crs="EPSG:32632", transform=grid, nodata=np.nan) as file:
    file.write(np.arange(400, dtype="f4").reshape(20, 20), 1)
fine = rioxarray.open_rasterio("a.tif")
coarse = fine.coarsen(x=4, y=4).mean()
coarse.rio.to_raster("b.tif")
written = rioxarray.open_rasterio("b.tif")
turned = coarse.rio.reproject("EPSG:32632")
seen = {}
arrays = {"in memory": coarse, "after recalc": None, "written and read": written, "reprojected to its own CRS": turned,
          "every fourth": fine[:, ::4, ::4]}
for name, array in arrays.items():
    recalc = array is None
    array = coarse if recalc else array
    seen[name] = array.rio.resolution(recalc=recalc)[0], array.rio.bounds(recalc=recalc)
    print(f"{name:27} {array.rio.width} pixels of {seen[name][0]:.0f} m, bounds {[round(b) for b in seen[name][1]]}")
print("odc-geo: pixels of", coarse.odc.geobox.resolution.x, "m, bounds", list(coarse.odc.geobox.boundingbox))
padded = coarse.rio.pad_box(499960, 4999760, 500240, 5000040), written.rio.pad_box(499960, 4999760, 500240, 5000040)
print("padded by one pixel on each side:", padded[0].shape, "against", padded[1].shape)
whole = (500000, 4999800, 500200, 5000000)
assert seen["written and read"] == seen["after recalc"] == (40, whole) and tuple(coarse.odc.geobox.boundingbox) == whole
shrunk = (500015, 4999815, 500185, 4999985)
assert seen["in memory"] == (10, shrunk) and seen["reprojected to its own CRS"] == (34, shrunk)
assert seen["every fourth"][0] == 10 and padded[0].shape != padded[1].shape == (1, 7, 7)
PY
