"""What is told of engines; no speed is judged here."""

import json
from pathlib import Path

import pytest

from benchmarks import encoder_engines


@pytest.mark.float32
def test_parts_are_run_and_their_flops_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def doubled(part: encoder_engines.Part) -> encoder_engines.Run:
        return lambda: 2 * part.module(*part.inputs)

    monkeypatch.setattr(
        encoder_engines, "ENGINES", {"doubled": ("json", doubled), "absent": ("no_such_package", doubled)}
    )
    encoder_engines.main(["--rounds", "1", "-o", str(tmp_path / "out.json")])
    told = json.loads((tmp_path / "out.json").read_text())
    hr, s2, many, few = told["parts"].values()
    assert hr["gflop"] / 4 == pytest.approx(0.71, abs=0.01)
    assert s2["gflop"] / 64 == pytest.approx(0.152, abs=0.001)
    assert 2 < many["gflop"] / few["gflop"] < 8 / 3  # of 8 and 3 tokens, all but the last layer's MLP
    assert set(hr) == {"gflop", "this build", "doubled"}
    assert hr["doubled"]["cosine"] == pytest.approx(1)
