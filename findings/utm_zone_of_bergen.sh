#!/usr/bin/env bash
# Guess: every library knows the widened UTM zones of Norway and Svalbard, in which Sentinel-2 images of those places
# lie.
# Surprise: utm, mgrs and sentinelhub do; pyproj's query_utm_crs_info, geopandas' estimate_utm_crs and odc-geo do not:
# for Bergen they say EPSG:32631 and the image T32VKN is in 32632. Cells embedded at Bergen on one grid and imagery on
# the other are turned by five degrees. Two places either side of the antimeridian are worse: estimate_utm_crs says
# zone 30, beside Greenwich.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q utm==0.9.0 mgrs==1.6.0 sentinelhub==3.12.0 pyproj==3.7.2 geopandas==1.2.0 odc-geo==0.5.3 shapely==2.2.0 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PY'
import geopandas, math, mgrs, odc.geo, pyproj, sentinelhub, shapely, utm
from pyproj.aoi import AreaOfInterest
from pyproj.database import query_utm_crs_info
print("utm 0.9.0, mgrs 1.6.0, sentinelhub", sentinelhub.__version__, "pyproj", pyproj.__version__, "geopandas", geopandas.__version__, "odc-geo", odc.geo.__version__)
seen = {}
for name, lon, lat in (("Oslo", 10.75, 59.91), ("Bergen", 5.32, 60.39), ("Stavanger", 5.73, 58.97), ("Ny-Alesund", 11.93, 78.92)):
    seen[name] = {
        "utm": 32600 + utm.from_latlon(lat, lon)[2],
        "mgrs": 32600 + int(mgrs.MGRS().toMGRS(lat, lon, MGRSPrecision=0)[:2]),
        "sentinelhub": sentinelhub.CRS.get_utm_from_wgs84(lon, lat).epsg,
        "pyproj": int(query_utm_crs_info("WGS 84", AreaOfInterest(lon, lat, lon, lat))[0].code),
        "geopandas": geopandas.GeoSeries([shapely.Point(lon, lat)], crs=4326).estimate_utm_crs().to_epsg(),
        "odc-geo": odc.geo.CRS.utm(lon, lat).epsg,
    }
    print(f"{name:10}", seen[name])
turn = lambda zone: pyproj.Proj(f"EPSG:{zone}").get_factors(5.32, 60.39).meridian_convergence
print(f"grid north at Bergen: zone 31 {turn(32631):+.2f} degrees, zone 32 {turn(32632):+.2f}")
fiji = geopandas.GeoSeries([shapely.Point(179.5, -17), shapely.Point(-179.5, -17)], crs=4326)
print("Fiji, both sides of 180:", fiji.estimate_utm_crs().to_epsg(), "eastings there", fiji.to_crs(fiji.estimate_utm_crs()).x.round().tolist())
assert len(set(seen["Oslo"].values())) == 1
for name, right, wrong in (("Bergen", 32632, 32631), ("Stavanger", 32632, 32631), ("Ny-Alesund", 32633, 32632)):
    assert all(seen[name][library] == right for library in ("utm", "mgrs", "sentinelhub"))
    assert all(seen[name][library] == wrong for library in ("pyproj", "geopandas", "odc-geo"))
assert fiji.estimate_utm_crs().to_epsg() == 32730 and abs(turn(32631) - turn(32632)) > 4
PY
