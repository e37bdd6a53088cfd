#!/usr/bin/env bash
# Guess: HNSW looks at least as hard as k asks: of 500 neighbours asked for, efSearch counts as 500 (as in hnswlib and
# usearch).
# Surprise: FAISS stops by efSearch alone. At its default of 16 recall of 10 is 0.98, of 100 it is 0.7, of 500 0.39 (a
# fifth of the labels are -1) and of 2,000 0.18. range_search is capped alike: of 2,000 rows above a threshold 356
# come back, so "how many places look like this" gives a number that hardly grows. hnswlib and usearch, set to 16 as
# well, find 0.997 of 500 and more.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q faiss-cpu==1.15.1 hnswlib==0.8.0 usearch==2.26.6 numpy==2.4.6
"$work/env/bin/python" - <<'PY'
import faiss, hnswlib, numpy as np, usearch
from usearch.index import Index
print("faiss", faiss.__version__, "hnswlib 0.8.0 usearch", usearch.__version__)
faiss.omp_set_num_threads(1)
x = np.random.default_rng(0).standard_normal((5000, 32)).astype("f4")
faiss.normalize_L2(x)
query = x[:20]
f = faiss.IndexHNSWFlat(32, 16, faiss.METRIC_INNER_PRODUCT)
f.hnsw.efConstruction = 100
f.add(x)
h = hnswlib.Index("ip", 32); h.init_index(len(x), M=16, ef_construction=100); h.set_num_threads(1); h.add_items(x); h.set_ef(16)
u = Index(ndim=32, metric="ip", connectivity=16, expansion_add=100, expansion_search=16)
u.add(np.arange(len(x)), x, threads=1)
found, ranged = {}, {}
for k in (10, 100, 500, 2000):
    near, exact = faiss.knn(query, x, k + 1, metric=faiss.METRIC_INNER_PRODUCT)
    share = lambda labels: round(float(np.mean([len(set(a) & set(b[:k])) / k for a, b in zip(labels, exact)])), 3)
    labels = f.search(query, k)[1]
    found[k] = share(labels), share(h.knn_query(query, k)[0]), share(u.search(query, k, threads=1).keys)
    edges = (near[:, k - 1] + near[:, k]) / 2
    ranged[k] = float(np.mean([f.range_search(query[i : i + 1], float(edges[i]))[0][-1] for i in range(20)]))
    print(f"k = {k:4}: recall faiss {found[k][0]} (rows returned {(labels >= 0).mean():.0%}), hnswlib {found[k][1]}, "
          f"usearch {found[k][2]}; range_search of faiss for {k} rows: {ranged[k]:.0f}")
f.hnsw.efSearch = 2000
print("faiss at efSearch 2000, k = 2000:", share(f.search(query, 2000)[1]))
assert f.hnsw.efSearch == 2000 and share(f.search(query, 2000)[1]) > 0.95
assert found[10][0] > 0.8 and found[500][0] < 0.7 and found[2000][0] < 0.5 and min(found[500][1:]) > 0.9
assert ranged[500] < 350 and ranged[2000] < 1000
PY
