#!/usr/bin/env bash
# Guess: mapbox-vector-tile writes the properties of a feature as they are, or refuses what a tile cannot hold.
# Surprise: it leaves out what it does not know, without a word: numpy's float32 and int64 (a similarity, a year),
# lists, dictionaries and None. numpy's float64 stays, since it is a Python float, so the same code keeps or loses its
# scores by the type that the search gave. A map styled by such a property draws every hexagon alike.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q mapbox-vector-tile==2.2.0 numpy==2.4.6
"$work/env/bin/python" -W error - <<'PY'
import importlib.metadata, mapbox_vector_tile as mvt, numpy as np
print("mapbox-vector-tile", importlib.metadata.version("mapbox-vector-tile"), "numpy", np.__version__)
given = {"cell": 617700169958293503, "score": 0.5, "score as float64": np.float64(0.5), "score as float32": np.float32(0.5), "score as float16": np.float16(0.5),
         "year": 2024, "year as int64": np.int64(2024), "cell as uint64": np.uint64(617700169958293503), "is sea": False, "is sea as numpy": np.bool_(True),
         "vector": [0.1, 0.2], "more": {"a": 1}, "nothing": None, "name": "a"}
tile = mvt.encode([{"name": "cells", "features": [{"geometry": "POINT (5 10)", "properties": given}]}])
back = mvt.decode(tile)["cells"]["features"][0]["properties"]
print("kept:", back)
lost = sorted(set(given) - set(back))
print("left out:", lost)
assert set(back) == {"cell", "score", "score as float64", "year", "is sea", "name"} and back["cell"] == given["cell"]
PY
