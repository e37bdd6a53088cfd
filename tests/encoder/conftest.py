"""A tiny model and samples that fit it."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

import numpy as np
import pytest
import torch

from data.modality import MODALITIES
from data.sample import ImageSeries, Sample
from encoder.config import FusionConfig, SkySenseConfig, SwinConfig, ViTConfig
from encoder.initialise import initialise
from encoder.skysense import SkySense

PX_PER_CELL = {"hr": 4, "s2": 4, "s1": 4}


def tiny_config() -> SkySenseConfig:
    """Two Swin stages at stride 4 per cell, two-layer ViTs, 16 numbers out; a window of 4 x 4 cells."""
    return SkySenseConfig(
        hr=SwinConfig(width=8, depths=(2, 2), heads=(1, 2), patch_px=2, windows=(4, 4), out_stages=(1,)),
        s2=ViTConfig(image_px=(16, 16), width=16, depth=2, heads=2),
        s1=ViTConfig(in_channels=2, image_px=(16, 16), width=16, depth=2, heads=2),
        up_scale=1,
        fusion=FusionConfig(in_width=16, width=16, depth=2, heads=2),
        window_cells=4,
        cell_m=40.0,
    )


@pytest.fixture(autouse=True)
def _in_float64(request: pytest.FixtureRequest) -> Iterator[None]:
    """Float64 throughout, so that two ways to one result differ by far less than `assert_close` allows:

    see `tests/tolerance.py`. `float32` marks the tests of what is stored or shipped in float32.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32 if request.node.get_closest_marker("float32") else torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.fixture(autouse=True)
def _same_random_numbers() -> None:
    torch.manual_seed(0)


@pytest.fixture
def config() -> SkySenseConfig:
    return tiny_config()


@pytest.fixture
def model(config: SkySenseConfig) -> SkySense:
    built = SkySense(config)
    initialise(built, seed=1)
    return built.eval()


def sample_of(
    seed: int = 0,
    dates: Mapping[str, int] | None = None,
    grid: tuple[int, int] = (4, 4),
    px_per_cell: Mapping[str, int] = PX_PER_CELL,
    h3_cell: int = 0x8928308280FFFFF,
) -> Sample:
    """A sample of noise around a level of its own per band, all of it valid."""
    random = np.random.default_rng(seed)
    series = {}
    for name, count in (dates or {"hr": 1, "s2": 3, "s1": 2}).items():
        modality, px = MODALITIES[name], px_per_cell[name]
        shape = (count, len(modality.bands), grid[0] * px, grid[1] * px)
        score = random.normal(size=(1, shape[1], 1, 1)) + 0.5 * random.normal(size=shape)
        mean, std = (np.array(v)[:, None, None] for v in (modality.mean, modality.std))
        pixels = np.clip(mean + std * score, *modality.valid_range).astype(modality.dtype)
        days = random.integers(1, 367, size=count).astype(np.int16)
        valid = np.ones((count, *shape[2:]), dtype=bool)
        series[name] = ImageSeries(pixels, valid, days, ("",) * count)
    start, end = datetime(2021, 1, 1, tzinfo=UTC), datetime(2022, 1, 1, tzinfo=UTC)
    ring = ((9.0, 48.0), (9.1, 48.0), (9.1, 48.1), (9.0, 48.0))
    return Sample(
        f"sample-{seed}",
        h3_cell,
        9.0,
        48.0,
        start,
        end,
        ring,
        "EPSG:32632",
        (5e5, 5e6),
        grid,
        series,
        1.0,
        0.0,
    )


@pytest.fixture
def make_sample() -> Callable[..., Sample]:
    return sample_of
