"""The benchmark runs and counts what it says it counts; no speed is judged here."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
import rasterio

bench = importlib.import_module("benchmarks.import")  # no name that a statement could import


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "BLOCK", 256)


def test_a_small_tile_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    bench.main(["--side", "256", "--resolutions", "9", "--workers", "1", "-o", str(out)])
    report = json.loads(out.read_text())
    (result,) = report["results"]
    assert result["pixels"] == 256**2
    assert 60 < result["rows"] < 120  # 6.6 km2 in cells of 0.105 km2, and those that the edge cuts
    assert result["pool_to_decode"] == pytest.approx(result["pool_cpu_s"] / result["decode_cpu_s"])
    assert result["import_to_decode"] == pytest.approx(result["import_s"] / result["decode_s"])
    assert result["million_pixels_per_minute"] == pytest.approx(256**2 / result["import_s"] * 60 / 1e6)
    assert 0.1 < report["tile"]["stored_share"] < 1
    assert "| 9 |" in capsys.readouterr().out


def test_the_tile_has_alphaearths_layout_and_lengths(tmp_path: Path) -> None:
    with rasterio.open(bench.make_tile(tmp_path, 256)) as file:
        assert (file.count, file.dtypes[0], file.block_shapes[0]) == (64, "int8", (256, 256))
        assert file.transform.e == 10  # from south to north
        real = file.read().astype(np.float64)
    lengths = np.linalg.norm((real / 127.5) ** 2, axis=0)
    assert lengths.mean() == pytest.approx(1, abs=3e-3)
    assert lengths.std() < 6e-3
