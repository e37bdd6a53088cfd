#!/usr/bin/env bash
# Guess: two writers of different pixels do not conflict in Icechunk; and if they do, "use ours" keeps ours and leaves
# theirs elsewhere.
# Surprise: the chunk is what conflicts, and what is kept. With BasicConflictSolver(UseOurs) the commit goes through,
# and the pixel that the other writer had already committed is what it was before that: the chunk was read before and
# is written whole. UseTheirs drops ours. No message. Pixels in different chunks are both kept, without any solver's
# help.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q icechunk==1.1.21 zarr==3.1.6 numpy==2.4.6
ICECHUNK_LOG=error "$work/env/bin/python" -W ignore - <<'PY'
import icechunk, numpy as np, zarr
print("icechunk", icechunk.__version__, "zarr", zarr.__version__)
def both_write(theirs, ours, solver):
    repository = icechunk.Repository.create(icechunk.in_memory_storage())
    first = repository.writable_session("main")
    pixels = zarr.group(first.store).create_array("x", shape=(8,), chunks=(4,), dtype="f4", fill_value=0)
    pixels[:] = 1
    first.commit("all ones")
    one, other = repository.writable_session("main"), repository.writable_session("main")
    zarr.open_group(one.store)["x"][theirs] = 5
    zarr.open_group(other.store)["x"][ours] = 6
    one.commit("theirs")
    try:
        other.commit("ours", rebase_with=solver)
        told = "committed"
    except (icechunk.ConflictError, icechunk.RebaseFailedError) as error:
        told = type(error).__name__
    after = zarr.open_group(repository.readonly_session("main").store, mode="r")["x"][:].tolist()
    print(f"theirs in pixel {theirs}, ours in {ours}: {told}, {after}")
    return told, after
choose = lambda side: icechunk.BasicConflictSolver(on_chunk_conflict=side)
assert both_write(0, 4, icechunk.ConflictDetector()) == ("committed", [5, 1, 1, 1, 6, 1, 1, 1])
assert both_write(0, 1, icechunk.ConflictDetector())[1] == [5, 1, 1, 1, 1, 1, 1, 1]
assert both_write(0, 1, choose(icechunk.VersionSelection.UseOurs)) == ("committed", [1, 6, 1, 1, 1, 1, 1, 1])
assert both_write(0, 1, choose(icechunk.VersionSelection.UseTheirs)) == ("committed", [5, 1, 1, 1, 1, 1, 1, 1])
PY
