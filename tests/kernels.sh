#!/usr/bin/env bash
# The tests that compute, on the kernels of lesser processors and on one thread and two: `make test-kernels`.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-.venv/bin/python}

under() { # SETTING=VALUE... -- tests and options
  local settings=()
  while [ "$1" != -- ]; do
    settings+=("$1")
    shift
  done
  echo "== ${settings[*]}"
  env "${settings[@]}" "$python" -m pytest -x "${@:2}"
}

# torch: its own kernels, oneDNN's and MKL's.
encoder=(tests/encoder --deselect tests/encoder/training/test_pretrain.py::test_two_processes_walk_the_curve_of_one)
under ATEN_CPU_CAPABILITY=default DNNL_MAX_CPU_ISA=SSE41 MKL_CBWR=COMPATIBLE OMP_NUM_THREADS=1 -- "${encoder[@]}"
under ATEN_CPU_CAPABILITY=avx2 DNNL_MAX_CPU_ISA=AVX2 MKL_CBWR=AVX2 OMP_NUM_THREADS=2 -- "${encoder[@]}"
under DNNL_MAX_CPU_ISA=AVX2 OMP_NUM_THREADS=1 -- "${encoder[@]}"

# FAISS (its wheel is one library: FAISS_OPT_LEVEL, which chooses among several, does nothing), NumPy, OpenBLAS.
index=(
  tests/indexer/{index,prototypes,search,sql}
  tests/experiments/test_{metrics,neighbours,baselines,protocols}.py
)
under FAISS_SIMD_LEVEL=NONE NPY_DISABLE_CPU_FEATURES="X86_V3 X86_V4 AVX512_ICL AVX512_SPR" \
  OPENBLAS_CORETYPE=Prescott OMP_NUM_THREADS=1 -- "${index[@]}"
under FAISS_SIMD_LEVEL=AVX2 NPY_DISABLE_CPU_FEATURES="X86_V4 AVX512_ICL AVX512_SPR" \
  OPENBLAS_CORETYPE=Haswell OMP_NUM_THREADS=2 -- "${index[@]}"
