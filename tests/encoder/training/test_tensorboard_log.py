"""Each value of a step becomes a point of its curve; without TensorBoard the error says what to do."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from encoder.training.pretrain import Progress
from encoder.training.tensorboard_log import tensorboard_log


def test_each_value_is_a_point_of_its_curve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    points: list[tuple[str, float, int]] = []

    class SummaryWriter:
        def __init__(self, folder: str) -> None:
            assert folder == str(tmp_path)

        def add_scalar(self, name: str, value: float, step: int) -> None:
            points.append((name, value, step))

    stand_in = ModuleType("torch.utils.tensorboard")
    stand_in.SummaryWriter = SummaryWriter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", stand_in)
    tensorboard_log(tmp_path)(Progress(20, 100, {"loss": 1.5, "align": 0.5}))
    assert points == [("loss", 1.5, 20), ("align", 0.5, 20)]


def test_without_it_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ImportError, match="pip install tensorboard"):
        tensorboard_log(tmp_path)
