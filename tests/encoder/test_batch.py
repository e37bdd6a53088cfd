"""Samples become tensors: normalised, padded, masked; what does not fit is named."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from data.modality import MODALITIES
from data.sample import ImageSeries, InputError, Sample
from encoder.batch import buckets, check_sample, collate, window_shape

from ..tolerance import gamma

PX = {"hr": 4, "s2": 4, "s1": 4}
Make = Callable[..., Sample]


def changed(sample: Sample, name: str, **fields: Any) -> Sample:
    """The sample with some fields of one series replaced."""
    return replace(sample, series={**sample.series, name: replace(sample.series[name], **fields)})


def test_pixels_are_standardised_and_padding_is_masked(make_sample: Make) -> None:
    sample = make_sample(dates={"s2": 2, "s1": 1}, grid=(3, 2))
    batch = collate([sample, make_sample(seed=1, dates={"s2": 3})], PX, (4, 4))
    s2 = batch.series["s2"]
    assert s2.pixels.shape == (2, 3, 10, 16, 16)
    assert s2.valid is not None
    value = float(sample.series["s2"].pixels[1, 4, 5, 6])
    mean, std = MODALITIES["s2"].mean[4], MODALITIES["s2"].std[4]
    atol = gamma(4) * (value + mean) / std  # mean, std, difference and quotient are rounded
    assert s2.pixels[0, 1, 4, 5, 6].item() == pytest.approx((value - mean) / std, rel=0, abs=atol)
    assert s2.valid[0, :2, :12, :8].all()
    assert s2.valid.sum() == 2 * 12 * 8 + 3 * 256
    assert (s2.pixels.movedim(2, -1)[~s2.valid] == 0).all()
    assert s2.day_of_year[0].tolist() == [*sample.series["s2"].day_of_year, 0]
    assert "hr" not in batch.series
    assert not batch.series["s1"].valid[1].any()
    assert batch.h3_cell.dtype == torch.int64


def test_invalid_pixels_become_zero_whatever_they_hold(make_sample: Make) -> None:
    sample = make_sample(dates={"s1": 1})
    pixels, valid = sample.series["s1"].pixels.copy(), sample.series["s1"].valid.copy()
    pixels[0, :, 3] = np.nan
    valid[0, 3] = False
    batch = collate([changed(sample, "s1", pixels=pixels, valid=valid)], PX, (4, 4))
    assert (batch.series["s1"].pixels[0, 0, :, 3] == 0).all()
    assert batch.series["s1"].pixels.isfinite().all()


def test_valid_is_none_when_all_of_it_is(make_sample: Make) -> None:
    batch = collate([make_sample(dates={"hr": 1, "s2": 2})], PX, (4, 4))
    assert batch.series["s2"].valid is None


def test_a_fully_masked_series_is_left_out(make_sample: Make) -> None:
    sample = make_sample()
    masked = changed(sample, "s1", valid=np.zeros_like(sample.series["s1"].valid))
    check_sample(masked, PX)
    assert set(collate([masked], PX, (4, 4)).series) == {"hr", "s2"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pixels": np.ones((3, 9, 16, 16), np.uint16)}, r"\(3, 9, 16, 16\), expected .*10, 16, 16.*B02 B03"),
        ({"pixels": np.ones((3, 10, 16, 12), np.uint16)}, r"grid of 4x4 cells of 4 px"),
        ({"pixels": np.ones((3, 10, 16, 16), np.float32)}, "float32, expected uint16"),
        ({"valid": np.ones((3, 16, 16), np.uint8)}, "valid is uint8"),
        ({"valid": np.ones((3, 16, 12), bool)}, r"valid is bool of shape \(3, 16, 12\)"),
        ({"day_of_year": np.array([1, 2])}, "expected 3 integers"),
        ({"day_of_year": np.array([1.0, 2.0, 3.0])}, "day_of_year is float64"),
        ({"day_of_year": np.array([1, 2, 367])}, r"\[1, 2, 367\], expected 1-366"),
        ({"day_of_year": np.array([-1, 2, 3])}, "expected 1-366, or 0 where unknown"),
    ],
)
def test_what_does_not_fit_is_named(make_sample: Make, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        check_sample(changed(make_sample(), "s2", **fields), PX)
    assert "sample-0" in str(error.value)


def test_no_dates_no_valid_pixels_nan_and_foreign_modalities_are_errors(make_sample: Make) -> None:
    sample = make_sample(dates={"s1": 1})
    empty = ImageSeries(
        np.ones((0, 2, 16, 16), np.float32), np.ones((0, 16, 16), bool), np.ones(0, np.int16), ()
    )
    with pytest.raises(InputError, match="T >= 1"):
        check_sample(replace(sample, series={"s1": empty}), PX)
    with pytest.raises(InputError, match="no valid pixel in any modality"):
        check_sample(changed(sample, "s1", valid=np.zeros((1, 16, 16), bool)), PX)
    with pytest.raises(InputError, match="no valid pixel in any modality"):
        check_sample(replace(sample, series={}), PX)
    with pytest.raises(InputError, match="marked valid are NaN or infinite"):
        check_sample(changed(sample, "s1", pixels=np.full((1, 2, 16, 16), np.nan, np.float32)), PX)
    with pytest.raises(InputError, match="has modality 's1': this model takes hr, s2"):
        check_sample(sample, {"hr": 4, "s2": 4})


@pytest.mark.parametrize(
    ("grid", "multiple", "expected"),
    [((8, 8), 1, (8, 8)), ((3, 5), 1, (8, 8)), ((12, 7), 1, (12, 8)), ((9, 1), 4, (12, 8))],
)
def test_window_is_the_models_or_larger(
    make_sample: Make, grid: tuple[int, int], multiple: int, expected: tuple[int, int]
) -> None:
    assert window_shape(make_sample(dates={"s2": 1}, grid=grid), 8, multiple) == expected


@given(
    dates=st.lists(
        st.fixed_dictionaries({"hr": st.integers(0, 1), "s2": st.integers(0, 9), "s1": st.integers(0, 5)}),
        min_size=1,
        max_size=40,
    ),
    size=st.integers(1, 9),
)
def test_buckets_hold_every_sample_once_with_little_padding(dates: list[dict[str, int]], size: int) -> None:
    samples = [_dated({**d, "s2": d["s2"] or 1}) for d in dates]
    shapes = [(8, 8) if i % 3 else (12, 8) for i in range(len(samples))]
    groups = buckets(samples, shapes, PX, size, waste=0.1)
    assert sorted(i for group in groups for i in group) == list(range(len(samples)))
    for group in groups:
        assert len(group) <= size
        assert len({shapes[i] for i in group}) == 1
        slots = sum(
            len(group) * max(len(samples[i].series[n].valid) if n in samples[i].series else 0 for i in group)
            for n in PX
        )
        used = sum(len(s.valid) for i in group for s in samples[i].series.values())
        assert 1 - used / slots <= 0.1 + 1e-9


def _dated(dates: dict[str, int]) -> Sample:
    from tests.encoder.conftest import sample_of

    one = sample_of(dates={"s2": 1}, grid=(1, 1))
    series = {
        name: replace(one.series["s2"], valid=np.ones((count, 1, 1), bool))
        for name, count in dates.items()
        if count
    }
    return replace(one, series=series)
