#!/usr/bin/env bash
# Guess: a range that reaches beyond an object's end is an error, as one that begins beyond it is.
# Surprise: get_range and get_ranges return what is there, shorter than asked, without an error. A reader that trusts the
# length it asked for takes a cut object for a whole one.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q obstore==0.12.1
mkdir "$work/files"
"$work/env/bin/python" -W error - "$work/files" <<'PY'
import sys
import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore
print("obstore", obstore.__version__)
for store in (MemoryStore(), LocalStore(sys.argv[1])):
    obstore.put(store, "a", b"x" * 500)
    reaching = len(obstore.get_range(store, "a", start=490, end=1010))
    several = [len(part) for part in obstore.get_ranges(store, "a", starts=[0, 490], ends=[10, 1010])]
    try:
        obstore.get_range(store, "a", start=600, end=700)
        beyond = "no error"
    except BaseError as error:
        beyond = type(error).__name__
    print(f"{type(store).__name__:12} 520 asked, {reaching} come; of several {several}; begun beyond the end: {beyond}")
    assert (reaching, several, beyond) == (10, [10, 10], "GenericError")
PY
