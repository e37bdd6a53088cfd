#!/usr/bin/env bash
# Guess: a column of numpy vectors written to a GeoPackage, FlatGeobuf or GeoJSON is refused, or kept as text or list
# with all numbers.
# Surprise: it is kept as numpy prints it. Up to 1,000 numbers that is all of them; from 1,001 on it is the first
# three, "..." and the last three, without a warning: embeddings of 1,024 numbers and more are gone. Lists of Python
# floats and use_arrow=True keep every number, and so does GeoParquet.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q geopandas==1.2.0 pyogrio==0.13.0 pandas==3.1.1 pyarrow==26.0.1 shapely==2.2.0 numpy==2.4.6
cd "$work" && env/bin/python -W error::UserWarning - <<'PY'
import geopandas, json, numpy as np, pyogrio, re
print("geopandas", geopandas.__version__, "pyogrio", pyogrio.__version__, "GDAL", pyogrio.__gdal_version__, "numpy", np.__version__)
def numbers(value):
    return len(re.findall(r"-?\d[\d.e+-]*", value)) if isinstance(value, str) else len(value)
kept = {}
for dim in (64, 1000, 1024):
    vectors = np.random.default_rng(0).standard_normal((3, dim)).astype("f4")
    for kind in ("gpkg", "fgb", "geojson", "parquet"):
        for form, column, arrow in (("numpy", list(vectors), False), ("lists", vectors.tolist(), False), ("numpy, use_arrow", list(vectors), True)):
            frame = geopandas.GeoDataFrame({"embedding": column}, geometry=geopandas.points_from_xy([1, 2, 3], [1, 2, 3]), crs="EPSG:4326")
            name = f"{dim}{form[:5]}{arrow}.{kind}"
            if kind == "parquet":
                frame.to_parquet(name)
                back = geopandas.read_parquet(name)
            else:
                frame.to_file(name, use_arrow=arrow)
                back = geopandas.read_file(name)
            kept[dim, kind, form] = numbers(back.embedding.iloc[0])
    print(f"{dim} numbers:", {key[1:]: n for key, n in kept.items() if key[0] == dim})
    if dim == 1024:
        print(geopandas.read_file("1024numpyFalse.gpkg").embedding.iloc[0])
lost = {key for key, n in kept.items() if n != key[0]}
assert lost == {(1024, kind, "numpy") for kind in ("gpkg", "fgb", "geojson")} and all(kept[key] == 6 for key in lost)
PY
