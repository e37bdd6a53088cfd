#!/usr/bin/env bash
# Guess: the tile at the upper left corner of a tile is that tile, in morecantile as in mercantile, from which it
# grew.
# Surprise: in morecantile it is often a neighbour: of 2,000 tiles of the web grid nearly a third come back one to the
# left or above, because bounds and tile round differently; mercantile has none. Beyond 180 degrees they part as well:
# mercantile clamps to the last tile, morecantile goes on around the world. At the pole mercantile refuses and
# morecantile gives the first row.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q morecantile==7.1.0 mercantile==1.2.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PY'
import importlib.metadata, mercantile, morecantile, numpy as np
print("morecantile", importlib.metadata.version("morecantile"), "mercantile", mercantile.__version__)
grid = morecantile.tms.get("WebMercatorQuad")
rng = np.random.default_rng(0)
moved = {"morecantile": 0, "mercantile": 0, "morecantile, centre": 0}
for _ in range(2000):
    zoom = int(rng.integers(1, 20))
    tile = mercantile.Tile(int(rng.integers(0, 2**zoom)), int(rng.integers(0, 2**zoom)), zoom)
    own, other = grid.bounds(morecantile.Tile(*tile)), mercantile.bounds(tile)
    moved["morecantile"] += tuple(grid.tile(own.left, own.top, zoom)) != tuple(tile)
    moved["mercantile"] += mercantile.tile(other.west, other.north, zoom) != tile
    moved["morecantile, centre"] += tuple(grid.tile((own.left + own.right) / 2, (own.top + own.bottom) / 2, zoom)) != tuple(tile)
print("of 2,000 tiles whose corner lies in another tile:", moved)
beyond = tuple(grid.tile(185, 0, 3)), tuple(mercantile.tile(185, 0, 3))
print("longitude 185:", beyond)
try:
    mercantile.tile(0, 90, 3)
    refused = False
except mercantile.InvalidLatitudeError:
    refused = True
pole = tuple(grid.tile(0, 90, 3))
print("latitude 90: morecantile", pole, "mercantile refuses:", refused)
assert moved["morecantile"] > 300 and moved["mercantile"] == moved["morecantile, centre"] == 0
assert beyond == ((0, 4, 3), (7, 4, 3)) and refused and pole == (4, 0, 3)
PY
