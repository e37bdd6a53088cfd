"""A corpus and a configuration small enough to train in seconds, for the tests of pre-training."""

from dataclasses import replace

import numpy as np

from data.sample import ANY_TIME, ImageSeries, Sample
from encoder.config import FusionConfig, SkySenseConfig, SwinConfig, ViTConfig
from encoder.training.augment import AugmentConfig
from encoder.training.corpus import Corpus, Source
from encoder.training.objective import ObjectiveConfig
from encoder.training.pretrain import TrainConfig

from .float64 import Corpus64

VIT = ViTConfig(in_channels=10, image_px=(16, 16), patch_px=8, width=16, depth=2, heads=2)
MODEL = SkySenseConfig(
    hr=SwinConfig(
        width=4,
        depths=(1, 1),
        heads=(1, 1),
        windows=(4, 4),
        out_stages=(1,),
        extra_norm_every=0,
        pad_small_map=True,
    ),
    s2=VIT,
    s1=replace(VIT, in_channels=2),
    up_scale=1,
    fusion=FusionConfig(in_width=8, width=16, depth=2, heads=2),
    cell_m=80.0,
    window_cells=2,
)
CONFIG = TrainConfig(
    MODEL,
    ObjectiveConfig(completion=1.0, place=0.5),
    steps=8,
    learning_rate=2e-3,
    warm_up=2,
    student_hidden=16,
    bottleneck=8,
    outputs=12,
    log_every=1,
    save_every=4,
    validate_every=4,
)
DEFAULT = AugmentConfig()
KNOWN_DATES = AugmentConfig(unknown_dates=0.0)  # each process then sees as many dates as the others
BANDS = {"hr": (3, "uint8", 255), "s2": (10, "uint16", 4000), "s1": (2, "float32", -20)}


def sample(number: int, modalities: tuple[str, ...] = ("s2", "s1"), dates: int = 4, cells: int = 2) -> Sample:
    """A place of noise, another for each number."""
    rng = np.random.default_rng(number)
    series = {}
    for name in modalities:
        bands, dtype, top = BANDS[name]
        t = 1 if name == "hr" else dates
        side = cells * MODEL.px_per_cell[name]
        pixels = (rng.random((t, bands, side, side)) * top).astype(dtype)
        days = np.zeros(1) if name == "hr" else rng.integers(1, 366, t)
        series[name] = ImageSeries(
            pixels, np.ones((t, side, side), dtype=bool), days.astype(np.int16), ("",) * t
        )
    return Sample(
        f"place {number}",
        0,
        0.0,
        0.0,
        *ANY_TIME,
        (),
        "",
        (0.0, 0.0),
        (cells, cells),
        series,
        1.0,
        float("nan"),
    )


def corpus(
    modalities: tuple[str, ...] = ("s2", "s1"),
    places: int = 6,
    dates: int = 4,
    batch_size: int = 4,
    augment: AugmentConfig = DEFAULT,
) -> Corpus:
    """One source of noise."""
    samples = [sample(number, modalities, dates) for number in range(places)]
    return Corpus64((Source("noise", samples, 1.0, batch_size, (2, 2)),), MODEL.px_per_cell, augment)
