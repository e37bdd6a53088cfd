"""The fast way to vectors beside the product's."""

from pathlib import Path

import numpy as np

from encoder.config import preset
from encoder.embed import Encoder
from experiments.retrieval.embedding import embed_by_each, embed_small
from experiments.retrieval.options import untrained_model
from experiments.retrieval.series_sets import SensorRules, read_series

from .make_series import write_series


def test_small_windows_agree_with_the_whole_window(tmp_path: Path) -> None:
    encoder = Encoder("nano", "cpu")
    found = read_series(write_series(tmp_path / "a.parquet", n=6), SensorRules())
    samples = found.samples(encoder.spec.px_per_cell, max_dates=3)
    small = embed_small(encoder.model, [*samples, None])
    whole = encoder.embed([sample for sample in samples if sample])
    assert (small.fused[:6] * whole.embedding).sum(axis=1).min() > 0.99
    assert np.isnan(small.fused[6]).all()
    assert np.isnan(small.by_modality["hr"]).all()
    assert np.isfinite(small.by_modality["s1"][:6]).all()
    assert small.ms_per_item > 0


def test_models_that_share_batches_give_what_each_gives_alone(tmp_path: Path) -> None:
    found = read_series(write_series(tmp_path / "a.parquet", n=6), SensorRules())
    models = [untrained_model(preset("nano"), seed) for seed in (1, 2)]
    samples = found.samples(models[0].config.px_per_cell)
    for model, together in zip(models, embed_by_each(models, samples), strict=True):
        alone = embed_small(model, samples)
        assert (together.fused == alone.fused).all()
        assert (together.by_modality["s1"] == alone.by_modality["s1"]).all()
