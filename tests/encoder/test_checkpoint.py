"""Weights on disk: a round trip, a digest, and clear refusals."""

import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from encoder.checkpoint import CheckpointError, digest, load_weights, save_weights, weights_info
from encoder.config import GeoContextConfig, SkySenseConfig
from encoder.initialise import initialise
from encoder.skysense import SkySense


def test_round_trip(model: SkySense, tmp_path: Path) -> None:
    model.hold_prototypes(torch.tensor([0x841FB47FFFFFFFF]), torch.randn(1, 2, 16), torch.tensor([2]))
    save_weights(model, tmp_path / "w.safetensors", "tests/one", trained=True, licence="CC0-1.0")
    loaded, info = load_weights(tmp_path / "w.safetensors")
    assert loaded.config == model.config
    assert loaded.config.geo == GeoContextConfig(4, region_count=1, prototypes_per_region=2)
    state = model.state_dict()
    assert all(torch.equal(tensor, state[key]) for key, tensor in loaded.state_dict().items())
    assert info == weights_info(model, "tests/one", trained=True, licence="CC0-1.0")
    assert info.dimension == 16
    assert info.config["cell_m"] == 40.0
    assert not loaded.training


def test_the_configuration_is_readable_in_the_file(model: SkySense, tmp_path: Path) -> None:
    save_weights(model, tmp_path / "w.safetensors", "tests/one", trained=False)
    with safe_open(tmp_path / "w.safetensors", "pt") as file:
        metadata = file.metadata()
    assert json.loads(metadata["config"])["fusion"]["width"] == 16
    assert (metadata["trained"], metadata["licence"]) == ("false", "Apache-2.0")


def test_the_digest_tells_weights_and_settings_apart(model: SkySense, config: SkySenseConfig) -> None:
    same, settings = SkySense(config), SkySense(replace(config, date_encoding="s2"))
    initialise(same, seed=1)
    initialise(settings, seed=1)
    assert digest(same) == digest(model)
    assert digest(settings) != digest(model)
    with torch.no_grad():
        same.fusion.class_token[0, 0, 0] += 1e-6
    assert digest(same) != digest(model)


@pytest.mark.filterwarnings("ignore:.*holds no digest")  # where its name was hit
def test_every_flipped_byte_is_told_or_changes_nothing(model: SkySense, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(model, path, "tests/one", trained=True)
    good, rng, told = path.read_bytes(), np.random.default_rng(0), 0
    expected = weights_info(model, "tests/one", trained=True, licence="Apache-2.0")
    for at in [*rng.integers(0, len(good), 40).tolist(), *rng.integers(8, 3000, 40).tolist()]:
        path.write_bytes(good[:at] + bytes([good[at] ^ int(rng.integers(1, 256))]) + good[at + 1 :])
        try:
            assert load_weights(path)[1] == expected
        except CheckpointError:
            told += 1
    assert told >= 75


def test_what_a_file_says_is_under_its_digest_and_none_is_a_note(model: SkySense, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(model, path, "tests/one", trained=True, licence="CC-BY-NC-4.0")
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    save_file(tensors, path, metadata | {"licence": "CC0-1.0"})
    with pytest.raises(CheckpointError, match="is damaged: its digest"):
        load_weights(path)
    save_file(tensors, path, {name: text for name, text in metadata.items() if name != "sha256"})
    with pytest.warns(UserWarning, match="holds no digest"):
        load_weights(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_weights(path, is_known=True)


@pytest.mark.parametrize(
    "change",
    [{"width": 10**9}, {"depth": 10**12}, {"depth": -1}, {"depth": "4"}, {"heads": 0}, {"width": None}],
    ids=str,
)
def test_a_configuration_of_another_size_takes_neither_memory_nor_time(
    model: SkySense, tmp_path: Path, change: dict[str, object]
) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(model, path, "tests/one", trained=True)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    config = json.loads(metadata["config"])
    config["fusion"] |= change
    save_file(load_file(path), path, metadata | {"config": json.dumps(config)})
    with pytest.raises(CheckpointError, match=r"does not fit its configuration|configuration inside"):
        load_weights(path)


def test_other_files_are_refused(model: SkySense, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"not safetensors at all")
    with pytest.raises(CheckpointError, match="is not a safetensors file"):
        load_weights(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match=r"format None, expected 'skyhex-weights-1'.*weights convert"):
        load_weights(path)
    save_file({"a": torch.zeros(1)}, path, {"format": "skyhex-weights-1", "config": "{}"})
    with pytest.raises(CheckpointError, match="configuration inside"):
        load_weights(path)


def test_tensors_that_do_not_fit_are_named(model: SkySense, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(model, path, "tests/one", trained=True)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    del tensors["fusion.class_token"]
    tensors["extra"] = torch.zeros(1)
    tensors["fusion.project.bias"] = torch.zeros(3)
    save_file(tensors, path, metadata)
    with pytest.raises(CheckpointError) as error:
        load_weights(path)
    assert "missing fusion.class_token" in str(error.value)
    assert "unexpected extra" in str(error.value)
    assert "fusion.project.bias is (3,), expected (16,)" in str(error.value)
