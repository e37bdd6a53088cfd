"""The fast way to vectors beside the product's."""

from pathlib import Path

import numpy as np

from encoder.embed import Encoder
from experiments.retrieval.embedding import embed_small
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
