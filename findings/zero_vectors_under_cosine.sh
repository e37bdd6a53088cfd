#!/usr/bin/env bash
# Guess: under cosine a vector of zeros (a cell without data) counts as like nothing, similarity 0, in every library.
# Surprise: four ways. lancedb leaves such rows out of the answer: 400 asked for of 400 rows, 398 come back, and a
# query of zeros finds no row at all. usearch finds them, first, at distance 0, if the query is zeros. scipy's cdist
# makes them NaN, and argmin of that takes the row of zeros for the nearest. hnswlib, qdrant (in memory) and
# scikit-learn put them at similarity 0, in mid rank.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q lancedb==0.40.0 usearch==2.26.6 hnswlib==0.8.0 scikit-learn==1.9.1 scipy==1.17.1 qdrant-client==1.20.0 pyarrow==26.0.1 numpy==2.4.6
cd "$work" && env/bin/python -W ignore - <<'PY'
import hnswlib, lancedb, numpy as np, pyarrow as pa, scipy, sklearn, usearch
from qdrant_client import QdrantClient, models
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors
from usearch.index import Index
print("lancedb", lancedb.__version__, "usearch", usearch.__version__, "scipy", scipy.__version__, "scikit-learn", sklearn.__version__, "hnswlib 0.8.0, qdrant-client 1.20.0")
x = np.random.default_rng(0).standard_normal((400, 8)).astype("f4")
x[[40, 70]] = 0
table = lancedb.connect("db").create_table("t", pa.table({"row": np.arange(400), "vector": pa.FixedSizeListArray.from_arrays(x.ravel(), 8)}))
lance = lambda q: table.search(q).distance_type("cosine").limit(400).to_arrow()["row"].to_pylist()
graph = hnswlib.Index("cosine", 8); graph.init_index(400); graph.set_num_threads(1); graph.add_items(x); graph.set_ef(400)
u = Index(ndim=8, metric="cos"); u.add(np.arange(400), x, threads=1)
q = QdrantClient(":memory:")
q.create_collection("c", vectors_config=models.VectorParams(size=8, distance=models.Distance.COSINE))
q.upsert("c", [models.PointStruct(id=i, vector=v.tolist()) for i, v in enumerate(x)])
brute = NearestNeighbors(n_neighbors=400, metric="cosine").fit(x)
zeros = np.zeros(8, "f4")
finds = {
    "lancedb": lance,
    "usearch": lambda v: u.search(v, 400, exact=True).keys.tolist(),
    "hnswlib": lambda v: graph.knn_query(v, 400)[0][0].tolist(),
    "qdrant": lambda v: [p.id for p in q.query_points("c", query=v.tolist(), limit=400).points],
    "scikit-learn": lambda v: brute.kneighbors(v[None])[1][0].tolist(),
    "scipy argmin": lambda v: [int(np.argmin(cdist(v[None], x, "cosine")))],
}
seen = {}
for name, find in finds.items():
    rows, of_zeros = find(x[3]), find(zeros)
    seen[name] = len(rows), rows[0], rows.index(40) if 40 in rows else None, len(of_zeros), sorted(of_zeros[:2])
    print(f"{name:13} rows {seen[name][0]}, first {seen[name][1]}, place of the zeros {seen[name][2]}; query of zeros: rows {seen[name][3]}, first {seen[name][4]}")
assert seen["lancedb"] == (398, 3, None, 0, []) and seen["scipy argmin"][1] == 40
assert all(seen[n][:2] == (400, 3) and seen[n][2] > 100 for n in ("usearch", "hnswlib", "qdrant", "scikit-learn"))
assert seen["usearch"][4] == [40, 70] and all(seen[n][4] != [40, 70] for n in ("qdrant", "scikit-learn"))
PY
