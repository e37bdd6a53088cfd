#!/usr/bin/env bash
# Guess: torch.cdist of vectors with themselves has zeros on its diagonal, and a distance does not depend on how many
# others are asked for.
# Surprise: from 26 rows on it takes another way (a matrix product and a difference of squares) with another error:
# vectors of length 160 are up to 0.1 from themselves, and a pair 0.008 apart is 0.1 apart, where 25 rows say 0 and
# 0.008. A test on few rows does not see it, and duplicates are not found by distance 0.
# compute_mode="donot_use_mm_for_euclid_dist" is exact.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q torch==2.13.0 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PY'
import torch
print("torch", torch.__version__)
torch.manual_seed(0)
torch.set_num_threads(1)
x = torch.randn(200, 64) + 20
x[1] = x[0] + 1e-3
seen = {}
for rows in (10, 25, 26, 200):
    apart = torch.cdist(x[:rows], x[:rows])
    exact = torch.cdist(x[:rows], x[:rows], compute_mode="donot_use_mm_for_euclid_dist")
    seen[rows] = apart.diagonal().max().item(), apart[0, 1].item(), exact.diagonal().max().item(), exact[0, 1].item()
    print(f"{rows:3} rows: largest distance to itself {seen[rows][0]:.4f}, the near pair {seen[rows][1]:.4f}; "
          f"without the matrix product {seen[rows][2]:.4f}, {seen[rows][3]:.4f}")
true = (x[0].double() - x[1].double()).norm().item()
print(f"the near pair in truth {true:.4f}; length of a vector {x[0].norm().item():.0f}")
assert all(seen[n][0] == 0 and abs(seen[n][1] - true) < 1e-4 for n in (10, 25))
assert all(seen[n][0] > 0.02 and abs(seen[n][1] - true) > 0.005 for n in (26, 200))
assert all(s[2] == 0 and abs(s[3] - true) < 1e-4 for s in seen.values())
PY
