#!/usr/bin/env bash
# Guess: an Arrow table that went through pickle, and so from one process to another, has the schema it had.
# Surprise: the element field of a fixed-size list comes back as a nullable `item`, whatever it was called and whether or
# not it may be null, so schemas that were equal are not; variable lists keep theirs. Arrow's own stream keeps both.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q pyarrow==26.0.1
"$work/env/bin/python" -W error - <<'PY'
import pickle
import pyarrow as pa
print("pyarrow", pa.__version__)
element = pa.field("element", pa.float32(), nullable=False)
fixed = pa.table({"v": pa.array([[1.0, 2.0]], pa.list_(element, 2))})
free = pa.table({"v": pa.array([[1.0, 2.0]], pa.list_(element))})
kept = {}
for name, table in (("fixed-size list", fixed), ("list", free)):
    pickled = pickle.loads(pickle.dumps(table))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    streamed = pa.ipc.open_stream(sink.getvalue()).read_all()
    kept[name] = table.schema.equals(pickled.schema), table.schema.equals(streamed.schema)
    print(f"{name:16} {table.schema.field('v').type} -> pickle {pickled.schema.field('v').type}; "
          f"schema kept by pickle: {kept[name][0]}, by a stream: {kept[name][1]}; values kept: {pickled['v'].to_pylist() == table['v'].to_pylist()}")
assert kept == {"fixed-size list": (False, True), "list": (True, True)}, kept
PY
