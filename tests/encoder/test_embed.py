"""What the rest of the project sees: `Encoder(weights).embed(samples)`."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from data.sample import InputError, Sample
from encoder.checkpoint import CheckpointError, save_weights
from encoder.config import preset
from encoder.embed import Encoder
from encoder.skysense import SkySense

from ..tolerance import rounding
from .float64 import Encoder64, assert_rounded_alike

Make = Callable[..., Sample]


def norm(vectors: np.ndarray, axis: int | None = None) -> np.ndarray:
    return np.linalg.norm(vectors.astype(float), axis=axis)


@pytest.fixture
def encoder(model: SkySense, tmp_path: Path) -> Encoder:
    save_weights(model, tmp_path / "tiny.safetensors", "tests/tiny", trained=True)
    return Encoder64(str(tmp_path / "tiny.safetensors"))


MIX: list[Mapping[str, int]] = [
    {"hr": 1, "s2": 4, "s1": 2},
    {"s2": 1},
    {"s1": 3},
    {"hr": 1},
    {"hr": 1, "s1": 1},
    {"s2": 8, "s1": 4},
    {"hr": 1, "s2": 4, "s1": 2},
]


def test_neighbours_and_padding_do_not_matter(encoder: Encoder, make_sample: Make) -> None:
    samples = [make_sample(i, dates=dates) for i, dates in enumerate(MIX)]
    samples += [make_sample(20, grid=(1, 3)), make_sample(21, dates={"s2": 2}, grid=(6, 5))]
    together = encoder.embed(samples, dense=True)
    for i, sample in enumerate(samples):
        alone = encoder.embed([sample], dense=True)
        assert_rounded_alike(alone.embedding[0], together.embedding[i])
        h, w = sample.grid_shape
        assert_rounded_alike(alone.dense[0], together.dense[i, :, :h, :w])
        assert set(alone.by_modality) == {"hr", "s2", "s1"}
        for name, rows in alone.by_modality.items():
            assert np.isfinite(rows).all() == (name in sample.series)
            assert_rounded_alike(rows[0], together.by_modality[name][i])


def test_one_batch_with_padded_dates_equals_one_by_one(
    encoder: Encoder, make_sample: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = [make_sample(i, dates=dates) for i, dates in enumerate(MIX)]
    bucketed = encoder.embed(samples).embedding
    monkeypatch.setattr("encoder.embed.MAX_PADDING", 1.0)
    together = encoder.embed(samples).embedding
    assert_rounded_alike(bucketed, together)


def test_batch_size_and_order_do_not_matter(encoder: Encoder, make_sample: Make) -> None:
    samples = [make_sample(i, dates=MIX[i % 3]) for i in range(9)]
    whole = encoder.embed(samples).embedding
    encoder.batch_size = 2
    assert_rounded_alike(whole, encoder.embed(samples).embedding)
    assert_rounded_alike(whole[::-1], encoder.embed(samples[::-1]).embedding)


def test_a_fully_masked_modality_is_an_absent_one(encoder: Encoder, make_sample: Make) -> None:
    sample = make_sample()
    s1 = replace(sample.series["s1"], valid=np.zeros_like(sample.series["s1"].valid))
    masked = encoder.embed([replace(sample, series={**sample.series, "s1": s1})])
    absent = encoder.embed([replace(sample, series={n: s for n, s in sample.series.items() if n != "s1"})])
    assert_rounded_alike(masked.embedding, absent.embedding)
    assert np.isnan(masked.by_modality["s1"]).all()


def test_masked_pixels_do_not_matter(encoder: Encoder, make_sample: Make) -> None:
    sample = make_sample(dates={"s2": 2, "s1": 2})
    made = []
    for filler in (np.nan, 3.0):
        pixels, valid = sample.series["s1"].pixels.copy(), sample.series["s1"].valid.copy()
        valid[:, 4:9, 2:7] = False
        pixels[:, :, 4:9, 2:7] = filler
        s1 = replace(sample.series["s1"], pixels=pixels, valid=valid)
        made.append(encoder.embed([replace(sample, series={**sample.series, "s1": s1})]).embedding)
    assert_rounded_alike(made[0], made[1])


def test_one_valid_pixel_is_enough(encoder: Encoder, make_sample: Make) -> None:
    sample = make_sample(dates={"s2": 1})
    valid = np.zeros((1, 16, 16), dtype=bool)
    valid[0, 9, 9] = True
    made = encoder.embed(
        [replace(sample, series={"s2": replace(sample.series["s2"], valid=valid)})], dense=True
    )
    assert norm(made.embedding) == pytest.approx(1, rel=rounding(np.float32))
    assert np.isfinite(made.dense[0]).all(axis=0).sum() == 1


def test_dense_pools_to_the_embedding(encoder: Encoder, make_sample: Make) -> None:
    made = encoder.embed([make_sample(0), make_sample(1, grid=(2, 3))], dense=True)
    assert made.dense.shape == (2, 16, 4, 4)
    assert np.isnan(made.dense[1, :, 2:]).all()
    mean = np.nanmean(made.dense.astype(float), axis=(2, 3))
    length = np.linalg.norm(mean, axis=1, keepdims=True)
    moved = np.nanmax(np.abs(made.dense)) * 16**0.5 / length.min()  # by one rounding of all 16 numbers
    np.testing.assert_allclose(mean / length, made.embedding, rtol=0, atol=rounding(np.float32) * (1 + moved))
    assert encoder.embed([make_sample(0)]).dense is None


def test_bad_input(encoder: Encoder, make_sample: Make) -> None:
    with pytest.raises(InputError, match="no samples"):
        encoder.embed([])
    with pytest.raises(InputError, match="sample-1"):
        encoder.embed([make_sample(0), make_sample(1, px_per_cell={"hr": 4, "s2": 8, "s1": 4})])


def test_prototypes_travel_with_the_weights(model: SkySense, make_sample: Make, tmp_path: Path) -> None:
    sample = make_sample()
    region = (sample.h3_cell & ~(0xF << 52)) | (4 << 52) | ((1 << 33) - 1)
    model.hold_prototypes(torch.tensor([region]), torch.randn(1, 3, 16), torch.tensor([3]))
    save_weights(model, tmp_path / "geo.safetensors", "tests/geo", trained=True)
    made = Encoder64(str(tmp_path / "geo.safetensors")).embed([sample])
    assert made.embedding_geo.shape == (1, 32)
    assert norm(made.embedding_geo) == pytest.approx(1, rel=rounding(np.float32))


@pytest.mark.float32
def test_nano() -> None:
    first, again = Encoder("nano", device="cpu"), Encoder("nano", device="cpu")
    assert first.info == again.info
    assert first.info.dimension == 128
    assert first.info.licence == "Apache-2.0"
    assert first.info.trained or first.info.name == "skyhex/nano-untrained"
    assert first.spec.px_per_cell == {"hr": 32, "s2": 8, "s1": 8}


def test_nano_tells_samples_apart(make_sample: Make) -> None:
    encoder = Encoder64("nano")
    px = encoder.spec.px_per_cell
    samples = [make_sample(i, grid=(8, 8), px_per_cell=px, dates={"s2": 2, "s1": 1}) for i in range(8)]
    vectors = encoder.embed(samples).embedding
    similarity = vectors @ vectors.T
    assert norm(vectors, axis=1) == pytest.approx(np.ones(8), rel=rounding(np.float32))
    assert np.median(similarity[~np.eye(8, dtype=bool)]) < 0.9


def test_larger_windows_of_nano(make_sample: Make) -> None:
    encoder = Encoder64("nano")
    sample = make_sample(grid=(12, 12), px_per_cell=encoder.spec.px_per_cell, dates={"hr": 1, "s2": 1})
    assert encoder.embed([sample], dense=True).dense.shape == (1, 128, 12, 12)


@pytest.mark.parametrize("weights", ["nowhere.safetensors", "nona"])
def test_unknown_weights(weights: str) -> None:
    with pytest.raises(CheckpointError, match=r"give the name of shipped weights or a \.safetensors file"):
        Encoder(weights)


@pytest.mark.parametrize("device", ["cuda:99", "abacus"])
def test_a_device_that_is_not_there(device: str) -> None:
    with pytest.raises(InputError, match=f"no device '{device}'.*use auto, cpu"):
        Encoder("nano", device=device)


@pytest.mark.float32
def test_the_spec_is_the_configurations() -> None:
    spec, config = Encoder("nano", device="cpu").spec, preset("nano")
    assert (spec.cell_m, spec.window_cells, spec.s2_levels) == (80.0, 8, ("L2A",))
    assert spec.max_dates == config.max_dates
