#!/usr/bin/env bash
# Guess: a dataset opened with `opener=` may be let go anywhere: the garbage collector closes it, in whatever thread it runs.
# Surprise: the opener's registration is a context variable that threads started later do not have. Let go in such a thread
# (of a server, a pool), closing raises LookupError inside a generator: it is printed as an ignored exception, and the
# registration stays. Close such datasets in the thread that opened them.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q rasterio==1.4.4 numpy==2.4.6
"$work/env/bin/python" - "$work/a.tif" <<'PY'
import sys, threading
import numpy as np, rasterio
print("rasterio", rasterio.__version__)
path = sys.argv[1]
with rasterio.open(path, "w", driver="GTiff", width=4, height=4, count=1, dtype="uint8", crs="EPSG:4326",
                   transform=rasterio.Affine(1, 0, 0, 0, -1, 0)) as out:
    out.write(np.ones((1, 4, 4), "uint8"))
def opener(name, mode="rb", **options):
    if not name.endswith("a.tif"):
        raise FileNotFoundError(name)
    return open(path, "rb")
seen = []
sys.unraisablehook = lambda unraisable: seen.append(type(unraisable.exc_value).__name__)
def let_go_in_a_thread(close_here):
    held = [rasterio.open("x/a.tif", opener=opener)]
    if close_here:
        held[0].close()
    thread = threading.Thread(target=held.clear)
    thread.start(); thread.join()
let_go_in_a_thread(close_here=True)
assert seen == [], seen
let_go_in_a_thread(close_here=False)
print("let go in another thread:", seen)
assert "LookupError" in seen
PY
