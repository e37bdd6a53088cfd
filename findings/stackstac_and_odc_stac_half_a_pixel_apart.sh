#!/usr/bin/env bash
# Guess: stackstac and odc-stac, given the same item and the same grid, put the same pixel at the same coordinates.
# Surprise: stackstac names pixels by their top left corner by default, odc-stac by their centre. Their difference is
# empty, 0 by 0 pixels, without an error. sel(method="nearest") reads another pixel than the one that holds the place
# in 70 % of places, and rioxarray, which takes coordinates for centres, moves the raster half a pixel up and left.
# xy_coords="center" cures it.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q stackstac==0.5.1 odc-stac==0.5.3 pystac==1.15.2 rioxarray==0.19.0 xarray==2026.9.0 rasterio==1.4.4 pandas==2.3.3 numpy==2.4.6
cd "$work" && env/bin/python -W ignore - <<'PY'
import numpy as np, odc.stac, os, pystac, rasterio, rioxarray, stackstac, xarray as xr
print("stackstac", stackstac.__version__, "odc-stac", odc.stac.__version__, "xarray", xr.__version__)
grid = rasterio.Affine(10, 0, 600000, 0, -10, 5100000)
pixels = np.arange(1, 145, dtype="uint16").reshape(12, 12)
with rasterio.open("b04.tif", "w", driver="GTiff", width=12, height=12, count=1, dtype="uint16", crs="EPSG:32632", transform=grid, nodata=0) as file:
    file.write(pixels, 1)
item = pystac.Item.from_dict({"type": "Feature", "stac_version": "1.0.0", "id": "one", "links": [], "bbox": [10.29, 46.03, 10.3, 46.06],
    "stac_extensions": ["https://stac-extensions.github.io/projection/v1.1.0/schema.json"], "geometry": {"type": "Point", "coordinates": [10.295, 46.045]},
    "properties": {"datetime": "2024-06-01T10:00:00Z", "proj:epsg": 32632}, "assets": {"B04": {"href": os.path.abspath("b04.tif"), "roles": ["data"],
    "type": "image/tiff; application=geotiff", "proj:shape": [12, 12], "proj:transform": list(grid)[:6]}}})
how = {"assets": ["B04"], "epsg": 32632, "resolution": 10, "bounds": (600000, 5099880, 600120, 5100000)}
odc_band = odc.stac.load([item], bands=["B04"])["B04"].isel(time=0).compute()
rng = np.random.default_rng(0)
east, north = rng.uniform(600000, 600120, 1000), rng.uniform(5099880, 5100000, 1000)
truth = pixels[((5100000 - north) // 10).astype(int), ((east - 600000) // 10).astype(int)]
def look(name, band):
    at = band.sel(x=xr.DataArray(east, dims="p"), y=xr.DataArray(north, dims="p"), method="nearest").values
    right, apart = float((at == truth).mean()), (band.drop_vars(["time", "band"], errors="ignore") - odc_band.drop_vars("time")).shape
    print(f"{name:22} first x {band.x.values[0]:.0f}, y {band.y.values[0]:.0f}; nearest reads the pixel that holds the place {right:.3f}; "
          f"rio.bounds {band.rio.bounds()}; minus odc-stac: {apart}")
    return right, apart, band.rio.bounds()
corner = look("stackstac", stackstac.stack([item], **how).isel(time=0, band=0).compute())
centre = look("stackstac, center", stackstac.stack([item], xy_coords="center", **how).isel(time=0, band=0).compute())
other = look("odc-stac", odc_band)
assert corner[1] == (0, 0) and corner[0] < 0.4 and corner[2] == (599995, 5099885, 600115, 5100005)
assert centre == other == (1, (12, 12), (600000, 5099880, 600120, 5100000))
PY
