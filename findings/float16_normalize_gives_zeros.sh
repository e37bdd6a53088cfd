#!/usr/bin/env bash
# Guess: half-precision vectors whose values all fit are normalised right, or an overflow shows as inf or NaN.
# Surprise: scikit-learn's normalize takes the square sum in float16. It overflows at length 256 (64 values of 32),
# and dividing by that inf gives a row of zeros: valid looking, without a warning. Below length 0.0002 the square sum
# is 0 and the row stays as it was. cosine_similarity of the same rows is right, since it widens them first.
# np.linalg.norm says inf and 0.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q scikit-learn==1.9.1 numpy==2.4.6
"$work/env/bin/python" - <<'PY'
import numpy as np, sklearn, warnings
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.preprocessing import normalize
print("scikit-learn", sklearn.__version__, "numpy", np.__version__)
direction = np.random.default_rng(0).standard_normal(64)
direction /= np.linalg.norm(direction)
length, itself, told = {}, {}, []
for size in (1e-4, 1e-2, 1, 100, 250, 300, 3000):
    row = (direction * size)[None].astype(np.float16)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        unit = normalize(row)
        itself[size] = float(cosine_similarity(row, row)[0, 0])
    told += [str(w.message) for w in caught]
    length[size] = float(np.linalg.norm(unit.astype(np.float64)))
    right = float(np.linalg.norm(normalize(row.astype(np.float32))))
    print(f"length {size:7}: largest value {abs(row).max():.4g}, np.linalg.norm {np.linalg.norm(row):.4g}, after normalize {length[size]:.4f} "
          f"({unit.dtype}); through float32 {right:.4f}, cosine_similarity {itself[size]:.4f}")
print("warnings:", sorted(set(told)))
assert all(abs(length[s] - 1) < 0.01 for s in (1, 100, 250)) and all(length[s] == 0 for s in (300, 3000))
assert length[1e-4] < 0.001 and all(abs(v - 1) < 1e-3 for v in itself.values()) and not told
PY
