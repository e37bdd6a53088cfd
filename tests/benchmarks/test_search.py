"""The search benchmark runs and scores rightly; no speed is judged here."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import search_measure
from benchmarks.peers import PEERS
from benchmarks.search import main
from benchmarks.search_measure import Case, K, exact, recall
from benchmarks.search_report import best_point
from benchmarks.search_vectors import VectorSet, intrinsic_dimension, write

from ..tolerance import cosine_error


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> VectorSet:
    return write(tmp_path_factory.mktemp("data") / "set", rows=4000, dimension=32, queries=8)


def test_smoke_run_then_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--smoke", "--scratch", str(tmp_path / "scratch"), "--results", str(tmp_path / "results")]
    main(options)
    folder = tmp_path / "results" / "search-3000x16"
    names = {path.stem for path in folder.glob("*.json")}
    assert names == {"skyhex", "skyhex-search", "faiss-flat"}
    for name in names:
        report = json.loads((folder / f"{name}.json").read_text())
        recalls = [point["recall"] for point in report["points"]]
        assert recalls[0] == 1
        assert {1.0, None} >= set(recalls), name  # at 3,000 rows all of these are exact; 1e-4 may match none
        assert {point["queries"] for point in report["points"]} == {8}
        assert report["first_pass_cpu_ms"] > 0
        assert report["bytes"] > 3000 * 16 * 2
        assert report["machine"]["versions"]["faiss-cpu"]
        assert report["memory_bandwidth_gb_s"] > 0
    assert (folder / "pareto.png").read_bytes().startswith(b"\x89PNG")
    assert "| skyhex | 1.000:" in capsys.readouterr().out
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.json")}
    main(options)
    assert before == {path: path.stat().st_mtime_ns for path in folder.glob("*.json")}


def test_vectors_are_as_promised(data: VectorSet) -> None:
    vectors = data.vectors.astype(np.float32)
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-3
    assert (np.diff(data.cells.astype(np.int64)) > 0).all()
    assert data.dropped > 0
    assert len(np.unique(vectors, axis=0)) < len(vectors)
    assert 6 <= intrinsic_dimension(data.vectors) <= 17
    beside = np.einsum("nd,nd->n", vectors[1:], vectors[:-1]).mean()
    apart = (vectors[:1000] @ vectors[-1000:].T).mean()
    assert beside > apart + 0.1


def test_truths_are_kept_beside_the_data(
    data: VectorSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = search_measure.truths(tmp_path, data)
    monkeypatch.setattr(search_measure, "exact", None)
    kept = search_measure.truths(tmp_path, data)
    assert list(made) == list(kept) == list(search_measure.CASES)
    for case in made:
        np.testing.assert_array_equal(made[case].floor, kept[case].floor)
        np.testing.assert_array_equal(made[case].count, kept[case].count)


@pytest.mark.parametrize("case", [Case("all", 1.0), Case("region", 0.01), Case("random", 0.001)], ids=str)
def test_truth_is_that_of_brute_force(data: VectorSet, case: Case) -> None:
    truth = exact(data, case)
    for query in range(len(data.queries)):
        rows = case.among(len(data.vectors), query).rows(data).rows()
        similarity = np.sort(data.vectors[rows].astype(np.float32) @ data.queries[query])[::-1][:K]
        assert truth.count[query] == len(similarity)
        assert truth.floor[query] == pytest.approx(similarity[-1], abs=cosine_error(32))


def test_recall_counts_what_was_found(data: VectorSet) -> None:
    case = Case("region", 0.1)
    truth = exact(data, case)
    answers = []
    for query in range(len(data.queries)):
        rows = case.among(len(data.vectors), query).rows(data).rows()
        similarity = data.vectors[rows].astype(np.float32) @ data.queries[query]
        answers.append(rows[np.argsort(-similarity)][:K])
    assert recall(data, case, truth, answers) == 1
    assert recall(data, case, truth, [found[:5] for found in answers]) == 0.5
    assert recall(data, case, truth, [np.repeat(found[:1], K) for found in answers]) == pytest.approx(0.1)
    outside = replace(truth, floor=np.full_like(truth.floor, -1))
    everywhere = [(found + len(data.vectors) // 2) % len(data.vectors) for found in answers]
    assert recall(data, case, outside, everywhere) == 0  # however similar, they do not match the filter


def test_the_best_point_is_the_fastest_good_one() -> None:
    points = [
        {"kind": "all", "selectivity": 1.0, "recall": recall_, "cpu_ms": ms}
        for recall_, ms in ((0.8, 1), (0.99, 3), (1.0, 2), (0.995, 9))
    ]
    assert best_point({"points": points}, "all", 1.0) == points[2]
    assert best_point({"points": points[:1]}, "all", 1.0) == points[0]
    assert best_point({"points": points}, "region", 0.1) is None


def test_slow_peers_are_asked_fewer_queries(
    data: VectorSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_measure, "LIMIT_S", 0.0)
    monkeypatch.setattr(search_measure, "FEWEST", 3)
    peer = PEERS["faiss-flat"](tmp_path, data, threads=1)
    peer.build()
    peer.open()
    ((_, point, answers),) = search_measure._runs(peer, data, [Case("all", 1.0)])
    assert (point.queries, len(answers)) == (3, 3)
