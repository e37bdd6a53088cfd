#!/usr/bin/env bash
# Guess: FAISS_OPT_LEVEL=generic makes the wheel compute without AVX2 and AVX-512, as FAISS's loader says.
# Surprise: since the wheel holds one library that chooses its kernels itself, the variable changes nothing and no
# word is said; FAISS_SIMD_LEVEL is the switch, and its levels have other names.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q faiss-cpu==1.15.1 numpy==2.4.6
level() { env "$@" "$work/env/bin/python" -c "import faiss; print(faiss.SIMDConfig.get_level_name())"; }
best=$(level A=1); opt=$(level FAISS_OPT_LEVEL=generic); simd=$(level FAISS_SIMD_LEVEL=NONE)
echo "faiss 1.15.1: unset $best, FAISS_OPT_LEVEL=generic $opt, FAISS_SIMD_LEVEL=NONE $simd"
[ "$best" != NONE ] && [ "$opt" = "$best" ] && [ "$simd" = NONE ]
