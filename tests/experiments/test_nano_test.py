"""The test split is read set by set, and ours stands beside other weights in every contest."""

from pathlib import Path

import pytest

from experiments import kept_vectors, nano_test
from experiments.kept_vectors import read_model
from experiments.retrieval.options import Options
from experiments.retrieval.sheet import contests
from experiments.retrieval.validation import RULES

from .make_series import write_series


def test_a_set_is_embedded_once_and_judged_beside_other_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_series(tmp_path / "a.parquet", n=120)
    models = [read_model(f"untrained:{seed}") for seed in (1, 2, 3)]
    options = Options(split="test", rules=RULES, max_dates=2)
    (one,) = nano_test.read_sets([path], models, options, tmp_path / "kept")
    monkeypatch.setattr(kept_vectors, "embed_small", None)  # what was kept is not made again
    (again,) = nano_test.read_sets([path], models, options, tmp_path / "kept")
    assert (again.ours.fused == one.ours.fused).all()
    asked = one.problem.queries
    assert (one.shown.pixels.split[asked] == "test").all()
    assert len(asked) == 40
    found = {c.name: c for c in contests(nano_test.sheets_of(one, "others", 0))}
    assert {"zero-shot, mAP@20", "probes, linear", "cross-modal S1 -> S2, recall@10"} <= set(found)
    for contest in found.values():
        assert "others" in [gain.name for gain in contest.gains]
    assert found["zero-shot, mAP@20"].ours["a"].mean > 0.9  # green and bare are easy
