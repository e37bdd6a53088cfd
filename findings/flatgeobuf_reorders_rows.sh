#!/usr/bin/env bash
# Guess: places written to FlatGeobuf come back in the order in which they were written, as from GeoPackage and
# GeoParquet.
# Surprise: they come back in the order of the spatial index (a Hilbert curve), which is on by default: an array of
# embeddings beside the file now belongs to other places, with right length and no error. The ids of the features are
# renumbered too, so the index of the frame does not tell. Only SPATIAL_INDEX="NO" keeps the order.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q geopandas==1.2.0 pyogrio==0.13.0 pandas==3.1.1 pyarrow==26.0.1 shapely==2.2.0 numpy==2.4.6
cd "$work" && env/bin/python -W ignore - <<'PY'
import geopandas, numpy as np, pyogrio
print("geopandas", geopandas.__version__, "pyogrio", pyogrio.__version__, "GDAL", pyogrio.__gdal_version__)
rng = np.random.default_rng(0)
frame = geopandas.GeoDataFrame({"row": np.arange(500)}, geometry=geopandas.points_from_xy(rng.uniform(0, 10, 500), rng.uniform(40, 50, 500)), crs="EPSG:4326")
share = {}
for name, more in (("a.gpkg", {}), ("a.geojson", {}), ("a.fgb", {}), ("b.fgb", {"SPATIAL_INDEX": "NO"})):
    frame.to_file(name, **more)
    back = geopandas.read_file(name, fid_as_index=True)
    share[name] = float((back["row"].to_numpy() == np.arange(500)).mean())
    print(f"{name:10} {more}: rows in their place {share[name]:.3f}, first rows {back['row'].head(6).tolist()}, ids {back.index[:6].tolist()}")
frame.to_parquet("a.parquet")
share["a.parquet"] = float((geopandas.read_parquet("a.parquet")["row"].to_numpy() == np.arange(500)).mean())
assert share.pop("a.fgb") < 0.05 and set(share.values()) == {1.0}
PY
