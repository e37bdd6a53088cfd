"""The benchmark of the exact scan runs, and checks what it measures; no speed is judged here."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from benchmarks import exact_scan
from benchmarks.exact_scan import K, area_rows, best_named, exact, main, make_queries, make_vectors

ROOT = Path(__file__).parents[2]


def test_smoke_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--smoke", "--device", "cpu", "-o", str(tmp_path / "out.json")])
    report = json.loads((tmp_path / "out.json").read_text())
    results = report["results"]
    cases = [(one["area"], one["queries"]) for one in results]
    assert cases == [(area, count) for area in exact_scan.AREAS for count in (1, 16)]
    for one in results:
        assert one["equal"]
        assert K <= one["named"] < 60
        matching = area_rows(one["area"], one["rows"]).count
        assert one["gb_per_s"] * one["ms"] * 1e6 == pytest.approx(matching * (128 * 2 + 4))
        assert one["tflops"] * one["ms"] * 1e9 == pytest.approx(2 * matching * 128 * one["queries"])
        assert one["of_bandwidth"] == pytest.approx(one["gb_per_s"] / report["copy_gb_per_s"])
        assert one["of_product"] == pytest.approx(one["tflops"] / report["product_tflops"])
        assert one["longest"]
    assert "| 5e+03 | 1 | 16 |" in capsys.readouterr().out


def test_what_is_named_is_held_against_brute_force() -> None:
    _, matrix = make_vectors(3_000, "cpu")
    queries, rows = make_queries(matrix, 3), area_rows(0.5, 3_000)
    stored = matrix.numpy().astype(np.float64)
    stored /= np.linalg.norm(stored, axis=1)[:, None]
    for query, found in zip(queries, exact(matrix, rows, queries), strict=True):
        cosines = (stored[rows.rows()] @ query[0]).round(7)
        assert found == rows.rows()[np.argsort(-cosines, kind="stable")[:K]].tolist()
    without_best = [np.setdiff1d(rows.rows(), found[:1]) for found in exact(matrix, rows, queries)]
    assert best_named(matrix, [rows.rows()] * 3, queries) == exact(matrix, rows, queries)
    assert best_named(matrix, without_best, queries) != exact(matrix, rows, queries)


def test_vectors_come_from_a_seed() -> None:
    (_, some), (_, same), (_, others) = (make_vectors(500, "cpu", seed) for seed in (0, 0, 1))
    assert torch.equal(some, same)
    assert not torch.equal(some, others)
    assert torch.allclose(some.double().norm(dim=1), torch.ones(500, dtype=torch.double), atol=2**-10)
    assert torch.equal(some[100], some[0]), "some are equal"
    assert F.cosine_similarity(some[1].float(), some[2].float(), dim=0) < 1


@pytest.mark.parametrize("share", [1.0, 0.01, 0.001])
def test_an_area_is_a_share_of_the_rows_in_runs(share: float) -> None:
    rows = area_rows(share, 1_000_000)
    assert rows.count == pytest.approx(share * 1_000_000)
    assert len(rows.starts) <= exact_scan.RANGES
    assert rows.stops[-1] <= 1_000_000


@pytest.mark.parametrize("module", ["benchmarks.exact_scan", "benchmarks.encoder", "benchmarks.on_gpu"])
def test_a_machine_with_torch_and_numpy_alone_can_measure(module: str) -> None:
    others = ("pyarrow", "faiss", "h3", "h3ronpy", "rasterio", "shapely", "duckdb", "pystac", "typer")
    code = f"import {module}, sys; print([name for name in {others} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
