"""What is read of a run of aerial images: each part's gradient, each loss, the ranks."""

from dataclasses import replace

import numpy as np
import pytest

from data.sample import ANY_TIME, ImageSeries, Sample
from encoder.training.augment import AugmentConfig
from encoder.training.corpus import Corpus, Source
from experiments import hr_collapse
from experiments.hr_ranks import BETWEEN


def image(seed: int) -> Sample:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 255, (1, 3, 96, 96)).astype(np.uint8)
    hr = ImageSeries(pixels, np.ones((1, 96, 96), bool), rng.integers(1, 366, 1).astype(np.int16), ("",))
    return Sample(
        sample_id=str(seed), h3_cell=0, lon_deg=0.0, lat_deg=0.0, start=ANY_TIME[0], end=ANY_TIME[1],
        footprint=(), crs="", origin_m=(0.0, 0.0), grid_shape=(3, 3), series={"hr": hr}, valid_fraction=1.0,
        cloud_fraction=0.0,
    )  # fmt: skip


def test_a_run_is_read_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hr_collapse, "EVERY", 1)
    images = [image(seed) for seed in range(4)]
    config, _ = hr_collapse.KINDS["no days, variance and covariance"]
    every = Corpus(
        (Source("aerial, one window", images, 1.0, 3, (3, 3)), Source("others", images)),
        config.model.px_per_cell,
    )
    corpus = hr_collapse.aerial(every, hr_collapse.DAYLESS)
    assert [source.name for source in corpus.sources] == ["aerial, one window"]
    first, *lines = hr_collapse.through(config, corpus, images, steps=2)
    assert set(first) == {"step", *BETWEEN, "deviation"}
    assert [line["step"] for line in lines] == [1, 2]
    for line in lines:
        assert {"mgcl", "place", "spread"} <= set(line)
        assert line["gradient, Swin"] > 0
        assert line["gradient, date table"] == 0  # no day was shown
    moved = [line[BETWEEN[0]]["effective_rank"] for line in (first, *lines)]
    assert len(set(moved)) == 3
    dated = replace(corpus, augment=AugmentConfig(unknown_dates=0.0))
    assert hr_collapse.through(config, dated, images, steps=1)[1]["gradient, date table"] > 0
