#!/usr/bin/env bash
# Guess: csv.writer quotes whatever its own reader would take for the end of a line, whichever end it writes itself.
# Surprise: it quotes the characters of its lineterminator alone. With lineterminator="\n" a text that holds "\r" is written
# bare (before Python 3.13), and csv.reader, pyarrow and spreadsheets read two rows where one was written; with the
# default "\r\n" both characters are quoted.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q pyarrow==26.0.1
"$work/env/bin/python" - <<'PY'
import csv, io, sys
import pyarrow, pyarrow.csv
print("python", sys.version.split()[0], "pyarrow", pyarrow.__version__)
seen = {}
for end in ("\n", "\r\n"):
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end).writerows([["id", "n"], ["a\rb", "1"]])
    rows = list(csv.reader(io.StringIO(text.getvalue(), newline="")))
    options = pyarrow.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=lambda row: "skip")
    read = pyarrow.csv.read_csv(io.BytesIO(text.getvalue().encode()), parse_options=options)
    seen[end] = len(rows), read["id"].to_pylist()
    print(f"lineterminator {end!r}: {text.getvalue()!r} is read as {rows}, by pyarrow {read.to_pydict()}")
assert seen["\r\n"] == (2, ["a\rb"])
if sys.version_info < (3, 13):
    assert seen["\n"][0] == 3 and seen["\n"][1] != ["a\rb"]
PY
