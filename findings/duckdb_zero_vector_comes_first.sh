#!/usr/bin/env bash
# Guess: a vector of zeros (a cell without data) has similarity 0 or NULL in DuckDB and stays out of the best rows.
# Surprise: array_cosine_similarity gives NaN, and DuckDB ranks NaN above every number: ORDER BY similarity DESC LIMIT
# k and max_by put the empty cells first, while ORDER BY distance LIMIT k and min_by put them last. The same question
# asked as similarity or as distance has other answers. A threshold lets them in too: NaN > 0.9 is true.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q duckdb==2.0.0 pyarrow==26.0.1 numpy==2.4.6
"$work/env/bin/python" - <<'PY'
import duckdb, numpy as np, pyarrow as pa
print("duckdb", duckdb.__version__)
x = np.random.default_rng(0).standard_normal((1000, 8)).astype("f4")
x[[400, 700]] = 0
t = pa.table({"row": np.arange(1000), "e": pa.FixedSizeListArray.from_arrays(x.ravel(), 8)})
con = duckdb.connect()
query = f"{x[3].tolist()}::FLOAT[8]"
near, far = f"array_cosine_similarity(e, {query})", f"array_cosine_distance(e, {query})"
rows = lambda sql: [r[0] for r in con.sql(sql).fetchall()]
seen = {
    "ORDER BY similarity DESC": rows(f"SELECT row FROM t ORDER BY {near} DESC, row LIMIT 3"),
    "ORDER BY distance": rows(f"SELECT row FROM t ORDER BY {far}, row LIMIT 3"),
    "max_by similarity": rows(f"SELECT max_by(row, {near}) FROM t"),
    "min_by distance": rows(f"SELECT min_by(row, {far}) FROM t"),
    "similarity > 0.9": rows(f"SELECT row FROM t WHERE {near} > 0.9 ORDER BY row"),
    "distance < 0.1": rows(f"SELECT row FROM t WHERE {far} < 0.1 ORDER BY row"),
}
for how, what in seen.items():
    print(f"{how:26}", what)
print("similarity of zeros:", rows(f"SELECT {near} FROM t WHERE row = 400"))
assert set(seen["ORDER BY similarity DESC"][:2]) == {400, 700} and seen["ORDER BY distance"][0] == 3
assert seen["max_by similarity"][0] in (400, 700) and seen["min_by distance"] == [3]
assert {400, 700} < set(seen["similarity > 0.9"]) and not {400, 700} & set(seen["distance < 0.1"])
PY
