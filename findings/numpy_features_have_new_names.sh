#!/usr/bin/env bash
# Guess: NPY_DISABLE_CPU_FEATURES="AVX512F AVX2" turns NumPy's AVX kernels off.
# Surprise: since 2.4 the kernels are grouped as x86-64 levels, and the old names turn nothing off; what is said is
# an ImportWarning, which Python does not show. "X86_V3 X86_V4 AVX512_ICL" are the names that work.
set -euo pipefail
[ "$(uname -m)" = x86_64 ] || { echo "x86-64 alone"; exit 0; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q numpy==2.4.6
used() {
  NPY_DISABLE_CPU_FEATURES="$1" "$work/env/bin/python" - <<'PY'
from numpy._core._multiarray_umath import __cpu_dispatch__ as groups, __cpu_features__ as has
print(" ".join(group for group in groups if has[group]) or "none")
PY
}
all=$(used ""); old=$(used "AVX512F AVX2" 2>"$work/said"); new=$(used "X86_V3 X86_V4 AVX512_ICL AVX512_SPR")
echo "numpy 2.4.6: unset $all | AVX512F AVX2: $old | X86_V3 X86_V4 AVX512_ICL AVX512_SPR: $new | said: $(wc -c <"$work/said") bytes"
[ "$all" != none ] && [ "$old" = "$all" ] && [ "$new" = none ] && [ ! -s "$work/said" ]
