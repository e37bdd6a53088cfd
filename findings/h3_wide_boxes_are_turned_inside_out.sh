#!/usr/bin/env bash
# Guess: a box in longitude and latitude, west to east as GeoJSON writes it, has the H3 cells whose centres lie in it,
# however wide.
# Surprise: from 180 degrees on it is turned inside out: a box from 100 W to 100 E gives the cells of the other side
# (h3-py and h3ronpy alike), and one around the globe none, without an error. Narrower ones are right, but
# polygon_to_cells fails on some near the pole ("H3FailedError") where polygon_to_cells_experimental succeeds. Two
# halves give all. The other way about, cells_to_geo of the 122 cells that cover the globe gives a shape that holds a
# third of it.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q h3==4.5.0 h3ronpy==0.22.0 shapely==2.2.0 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PY'
import h3, h3ronpy, numpy as np, shapely
from h3ronpy import ContainmentMode
from h3ronpy.vector import geometry_to_cells
print("h3", h3.__version__, "h3ronpy", h3ronpy.__version__, "shapely", shapely.__version__)
every = [c for base in h3.get_res0_cells() for c in h3.cell_to_children(base, 2)]
centre = {c: h3.cell_to_latlng(c)[::-1] for c in every}
def look(west, south, east, north):
    box = shapely.box(west, south, east, north)
    truth = {c for c, (lon, lat) in centre.items() if west < lon < east and south < lat < north}
    def share(find):
        try:
            found = set(find())
        except h3.H3FailedError:
            return "H3FailedError"
        return len(found), len(found & truth)
    shape = h3.geo_to_h3shape(box)
    seen = (share(lambda: h3.h3shape_to_cells(shape, 2)), share(lambda: h3.h3shape_to_cells_experimental(shape, 2, contain="center")),
            share(lambda: map(h3.int_to_str, np.asarray(geometry_to_cells(box, 2, ContainmentMode.ContainsCentroid)).tolist())))
    print(f"{west:5} to {east:4}, {south:4} to {north:3}: {len(truth)} cells; found, and of these right: h3 {seen[0]}, h3 experimental {seen[1]}, h3ronpy {seen[2]}")
    return len(truth), seen
for box in ((-100, -80, 70, 80), (-170, 60, -10, 80)):
    count, seen = look(*box)
    assert set(seen) == {(count, count)}
for box in ((-100, -80, 100, 80), (-180, -60, 180, 60)):
    count, seen = look(*box)
    assert all(right == 0 for _, right in seen)
count, seen = look(-170, 60, -10, 85)
assert seen == ("H3FailedError", (count, count), (count, count))
globe = shapely.make_valid(shapely.geometry.shape(h3.cells_to_geo(h3.get_res0_cells())))
rng = np.random.default_rng(0)
lat, lon = np.degrees(np.arcsin(rng.uniform(-1, 1, 5000))), rng.uniform(-180, 180, 5000)
inside = float(shapely.contains_xy(globe, lon, lat).mean())
print(f"outline of all cells of resolution 0: {globe.geom_type}, holds {inside:.3f} of places drawn evenly")
assert 0.2 < inside < 0.5
PY
