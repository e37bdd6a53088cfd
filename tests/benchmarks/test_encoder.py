"""The benchmark runs and counts what it says it counts; no speed is judged here."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks.encoder import CASES, Case, count_flops, main, synthetic_batch
from encoder.config import preset

from ..tolerance import cosine_error


def test_smoke_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--smoke", "--device", "cpu", "-o", str(tmp_path / "out.json")])
    report = json.loads((tmp_path / "out.json").read_text())
    (result,) = report["results"]
    assert result["way"] == "fp32 eager"
    assert result["samples_per_s"] > 0
    assert result["images_per_s"] == pytest.approx(4 * result["samples_per_s"])
    assert result["cosine"] == pytest.approx(1, abs=cosine_error(128))
    assert report["machine"]["versions"]["torch"] == torch.__version__
    assert "| smoke | fp32 eager | 1 |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "gflop"),
    [("ViT-L patch 4, S2 64 px", 162), ("Swin-H, HR 256 px", 301), ("Swin-H, HR 512 px", 1206)],
)
def test_counted_flops_are_the_published_ones(name: str, gflop: float) -> None:
    case = next(c for c in CASES if c.name.startswith(name))
    assert count_flops(case) / 1e9 == pytest.approx(gflop, rel=0.005)


def test_flops_are_per_sample() -> None:
    one, four = (Case("", "nano", {"s2": 2}, batch) for batch in (1, 4))
    assert count_flops(four) == pytest.approx(count_flops(one))


def test_synthetic_batches_fit_the_model() -> None:
    batch = synthetic_batch(preset("nano"), {"hr": 1, "s2": 3}, 2, "cpu")
    assert batch.series["hr"].pixels.shape == (2, 1, 3, 256, 256)
    assert batch.series["s2"].pixels.shape == (2, 3, 10, 64, 64)
    assert batch.series["s2"].valid is None
