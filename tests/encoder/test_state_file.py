"""The state of a run on disk: any changed byte is told."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from encoder.checkpoint import CheckpointError
from encoder.state_file import SEAL_BYTES, load_state, save_state

STATE = {"step": 7, "best": -0.5, "student": {"w": torch.arange(600.0).reshape(20, 30)}, "config": "{}"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_state(STATE, tmp_path / "last.pt")
    return tmp_path / "last.pt"


def same(state: dict[str, object]) -> bool:
    weights = state["student"]["w"]  # type: ignore[index]
    return torch.equal(weights, STATE["student"]["w"]) and (state["step"], state["best"]) == (7, -0.5)  # type: ignore[index]


def test_round_trip_leaves_nothing_beside_it(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert same(load_state(path))
    assert [file.name for file in path.parent.iterdir()] == ["last.pt"]
    assert same(torch.load(path, weights_only=True)), "PyTorch alone reads it, too"


def test_every_flipped_byte_is_told_or_changes_nothing(path: Path) -> None:
    good, rng, told = path.read_bytes(), np.random.default_rng(0), 0
    places = [*rng.integers(0, len(good), 200).tolist(), *range(len(good) - SEAL_BYTES, len(good), 9)]
    for at in places:
        path.write_bytes(good[:at] + bytes([good[at] ^ int(rng.integers(1, 256))]) + good[at + 1 :])
        with warnings.catch_warnings(record=True) as noted:
            warnings.simplefilter("always")
            try:
                assert same(load_state(path))
                assert noted, "only the mark of the digest itself was hit"
            except CheckpointError:
                told += 1
    assert told >= 200


@pytest.mark.parametrize("keep", [0, 1, 50, -1, -SEAL_BYTES])
def test_a_cut_file_is_told(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        if keep < 0:  # the state is whole, as an earlier version wrote it
            assert same(load_state(path))
            assert "holds no digest" in str(noted[0].message)
        else:
            with pytest.raises(CheckpointError):
                load_state(path)


def test_what_is_no_state_is_refused(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.warns(UserWarning, match="no digest"), pytest.raises(CheckpointError, match="no state"):
        load_state(tmp_path / "list.pt")
    with pytest.raises(CheckpointError, match="no file at"):
        load_state(tmp_path / "none.pt")
