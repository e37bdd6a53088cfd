#!/usr/bin/env bash
# Guess: torch's functional.normalize and cosine_similarity guard against length 0, so a token of zeros stays zeros,
# in any precision.
# Surprise: in float16 both give NaN. Their guard, eps 1e-12 and 1e-8, is itself rounded to 0 in float16, and 0 / 0 is
# left; float32 and bfloat16 give 0, and so does layer_norm, whose 1e-5 survives. topk then puts the NaN first: the
# cell most like any other is the empty one. eps=1e-6 helps.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q torch==2.13.0 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PY'
import torch, torch.nn.functional as F
print("torch", torch.__version__)
seen = {}
for kind in (torch.float32, torch.bfloat16, torch.float16):
    zeros, ones = torch.zeros(1, 8, dtype=kind), torch.ones(1, 8, dtype=kind)
    made = {
        "normalize": F.normalize(zeros), "cosine_similarity": F.cosine_similarity(zeros, ones), "layer_norm": F.layer_norm(zeros, (8,)),
        "normalize, eps 1e-6": F.normalize(zeros, eps=1e-6), "cosine_similarity, eps 1e-6": F.cosine_similarity(zeros, ones, eps=1e-6),
    }
    seen[kind] = {name: bool(value.isnan().any()) for name, value in made.items()}
    print(f"{kind!s:15} NaN of zeros:", seen[kind])
torch.manual_seed(0)
cells = torch.randn(100, 8, dtype=torch.float16)
cells[40] = 0
best = torch.topk(F.normalize(cells) @ F.normalize(cells[3:4]).T.squeeze(1), 2).indices.tolist()
print("the two cells most like cell 3, where cell 40 is empty:", best)
assert not any(seen[torch.float32].values()) and not any(seen[torch.bfloat16].values())
assert [name for name, is_nan in seen[torch.float16].items() if is_nan] == ["normalize", "cosine_similarity"]
assert best == [40, 3]
PY
