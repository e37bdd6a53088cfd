"""The shipped weights: their digest, their size, and that they were trained."""

from pathlib import Path

import numpy as np
import pytest

from encoder import shipped
from encoder.checkpoint import CheckpointError, load_weights
from encoder.embed import Encoder
from encoder.shipped import SHA256, shipped_name, shipped_weights

MAX_PARAMETERS = 5_000_000
MAX_BYTES = 10_000_000


@pytest.mark.float32
@pytest.mark.parametrize("name", SHA256)
def test_shipped_weights_are_small_trained_and_of_128_dimensions(name: str) -> None:
    path = shipped_weights(name)
    assert path is not None
    assert path.stat().st_size < MAX_BYTES
    model, info = load_weights(path)
    assert sum(p.numel() for p in model.parameters()) <= MAX_PARAMETERS
    assert (info.name, info.trained, info.dimension) == (f"skyhex/{name}", True, 128)
    assert all(p.isfinite().all() for p in model.parameters())
    assert Encoder(name).info == info
    assert shipped_name(info.name) == name


@pytest.mark.float32
def test_the_size_stands_for_the_newest_of_its_weights() -> None:
    assert Encoder("nano").info == Encoder("nano-3").info


@pytest.mark.float32
@pytest.mark.parametrize("name", ["nano-2", "nano-3"])
def test_the_fitted_know_their_own_figures_and_share_the_sentinel_encoders(name: str) -> None:
    first, second = Encoder("nano-1").model, Encoder(name)
    ranks = second.info.config["effective_rank"]
    assert set(ranks) == {"embedding", "embedding_s2", "embedding_s1"}
    shared = {name for name in first.state_dict() if not name.startswith("encoders.hr.")}
    theirs = second.model.state_dict()
    assert all(first.state_dict()[name].equal(theirs[name]) for name in shared)


def test_what_ships_no_weights() -> None:
    assert shipped_weights("huge") is None
    assert not Encoder("small").info.trained
    assert [shipped_name(model) for model in ("nano-1", "skyhex/mine", "skyhex/nano")] == [None] * 3


def test_another_file_under_the_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    with pytest.raises(CheckpointError, match="no file"):
        shipped_weights("nano-1")
    (tmp_path / "nano-1.safetensors").write_bytes(np.zeros(8).tobytes())
    with pytest.raises(CheckpointError, match="SHA-256"):
        shipped_weights("nano-1")
