#!/usr/bin/env bash
# Guess: PCA to all of its dimensions is a rotation, so an index "PCA32,Flat" of 32 numbers finds what "Flat" finds.
# Surprise: true for L2. FAISS's PCA also takes the mean off rows and queries, which changes inner products: of unit
# vectors that have a direction in common fewer than half of the ten most similar are found, though no number was
# dropped. OPQ and random rotations keep the mean and find all. No message.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q faiss-cpu==1.15.1 numpy==2.4.6
"$work/env/bin/python" - <<'PY' 2>&1 | grep -v clustering
import faiss, numpy as np
print("faiss", faiss.__version__)
faiss.omp_set_num_threads(1)
rng = np.random.default_rng(0)
common = rng.standard_normal(32)
def recall(mean_weight, factory, metric):
    x = (rng.standard_normal((4000, 32)) * np.linspace(2, 0.1, 32) + mean_weight * common).astype("f4")
    faiss.normalize_L2(x)
    exact = faiss.knn(x[:200], x, 10, metric=metric)[1]
    index = faiss.index_factory(32, factory, metric)
    index.train(x); index.add(x)
    label = index.search(x[:200], 10)[1]
    return round(float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(label, exact)])), 3)
seen = {}
for factory in ("PCA32,Flat", "PCAR32,Flat", "RR32,Flat", "OPQ8_32,Flat"):
    for name, metric in (("L2", faiss.METRIC_L2), ("IP", faiss.METRIC_INNER_PRODUCT)):
        seen[factory, name] = recall(1, factory, metric), recall(0, factory, metric)
        print(f"{factory:13} {name}: recall at 10 {seen[factory, name][0]} (unit vectors with a common direction), {seen[factory, name][1]} (without one)")
assert all(v[0] > 0.99 for (f, m), v in seen.items() if m == "L2" or not f.startswith("PCA"))
assert seen["PCA32,Flat", "IP"][0] < 0.5 and seen["PCAR32,Flat", "IP"][0] < 0.5
PY
