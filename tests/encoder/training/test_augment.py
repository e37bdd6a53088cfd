"""Views: co-registered crops, other dates, disturbed dates, one source of chance."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.sample import ANY_TIME, ImageSeries, Sample
from encoder.training.augment import AugmentConfig, cropped, disturbed, two_views

PX = {"hr": 4, "s2": 2}
PLAIN = AugmentConfig(
    date_jitter_days=0, unknown_dates=0.0, gain_std={"hr": 0, "s2": 0}, offset_std={"hr": 0, "s2": 0}
)
DATES = {"hr": 1, "s2": 3}


def sample(cells: tuple[int, int] = (5, 6), dates: int = 9) -> Sample:
    """Each pixel holds the number of its cell; S2 adds 100 per date."""
    number = np.arange(cells[0] * cells[1]).reshape(cells)
    series = {}
    for name, px, t in (("hr", PX["hr"], 1), ("s2", PX["s2"], dates)):
        image = np.kron(number, np.ones((px, px), dtype=int))
        pixels = np.stack([np.stack([image] * 3) + 100 * d for d in range(t)])
        series[name] = ImageSeries(
            pixels,
            np.ones((t, *image.shape), dtype=bool),
            np.arange(1, t + 1, dtype=np.int16) * 30,
            ("",) * t,
        )
    return Sample("a", 0, 0.0, 0.0, *ANY_TIME, (), "", (0.0, 0.0), cells, series, 1.0, float("nan"))


def cells_of(pixels: np.ndarray, px: int) -> np.ndarray:
    return pixels[0, 0, ::px, ::px] % 100


@given(st.integers(0, 10_000), st.integers(1, 7))
def test_modalities_stay_in_register(seed: int, window: int) -> None:
    view = cropped(sample(), np.random.default_rng(seed), window)
    hr, s2 = (cells_of(view.series[name].pixels, px) for name, px in PX.items())
    np.testing.assert_array_equal(hr, s2)
    assert hr.shape == view.grid_shape
    assert sorted(view.grid_shape) == sorted((min(window, 5), min(window, 6)))


@given(st.integers(0, 10_000))
def test_both_views_show_the_same_window_and_other_dates(seed: int) -> None:
    a, b = two_views(sample(), np.random.default_rng(seed), PLAIN, window_cells=3, max_dates=DATES)
    np.testing.assert_array_equal(cells_of(a.series["hr"].pixels, 4), cells_of(b.series["hr"].pixels, 4))
    np.testing.assert_array_equal(cells_of(a.series["s2"].pixels, 2), cells_of(b.series["s2"].pixels, 2))
    days = [set(view.series["s2"].day_of_year.tolist()) for view in (a, b)]
    assert len(days[0]) == len(days[1]) == 3
    assert not days[0] & days[1]


def test_a_date_that_both_share_is_known_to_one_alone() -> None:
    for dates, known in ((1, False), (2, False), (9, True)):
        a, b = two_views(
            sample(dates=dates), np.random.default_rng(3), PLAIN, window_cells=2, max_dates=DATES
        )
        assert a.series["s2"].day_of_year.all()
        assert b.series["s2"].day_of_year.all() == known
        assert not b.series["hr"].day_of_year.any()


def test_windows_differ_when_asked() -> None:
    rng = np.random.default_rng(0)
    pairs = [
        two_views(sample(), rng, PLAIN, window_cells=2, max_dates=DATES, same_window=False) for _ in range(20)
    ]
    assert any(
        (cells_of(a.series["hr"].pixels, 4) != cells_of(b.series["hr"].pixels, 4)).any() for a, b in pairs
    )


@pytest.mark.parametrize(("dates", "kept"), [(1, 1), (2, 2), (3, 2), (9, 3)])
def test_few_dates_are_shared_out(dates: int, kept: int) -> None:
    a, b = two_views(sample(dates=dates), np.random.default_rng(1), PLAIN, window_cells=2, max_dates=DATES)
    assert len(a.series["s2"].valid) == len(b.series["s2"].valid) == kept


def test_the_same_seed_gives_the_same_views() -> None:
    views = [
        two_views(sample(), np.random.default_rng(5), AugmentConfig(), window_cells=3, max_dates=DATES)
        for _ in range(2)
    ]
    for a, b in zip(*views, strict=True):
        np.testing.assert_array_equal(a.series["s2"].pixels, b.series["s2"].pixels)
        np.testing.assert_array_equal(a.series["s2"].day_of_year, b.series["s2"].day_of_year)


def test_a_date_without_a_valid_pixel_is_not_chosen() -> None:
    one = sample(dates=4)
    valid = one.series["s2"].valid.copy()
    valid[2] = False
    clouded = replace(one, series=one.series | {"s2": replace(one.series["s2"], valid=valid)})
    for seed in range(20):
        a, b = two_views(clouded, np.random.default_rng(seed), PLAIN, window_cells=2, max_dates=DATES)
        assert 90 not in {*a.series["s2"].day_of_year.tolist(), *b.series["s2"].day_of_year.tolist()}


@given(st.lists(st.integers(0, 366), min_size=1, max_size=8), st.integers(0, 1000))
def test_disturbed_dates_stay_near_and_unknown_stays_unknown(days: list[int], seed: int) -> None:
    given_days = np.array(days)
    moved = disturbed(given_days, np.random.default_rng(seed), 5)
    assert ((moved == 0) == (given_days == 0)).all()
    apart = np.abs(moved - given_days)[given_days > 0]
    assert (np.minimum(apart, 365 - apart) <= 6).all()
    assert moved.max(initial=0) <= 366


def test_light_changes_by_a_factor_and_a_constant_of_their_deviations() -> None:
    """Each is the mean of a draw for the date and one for the band: 1 / sqrt(2) of the deviation given.

    3,000 dates tell a deviation to 5 parts in 100 (four times 1 / sqrt(2 n)).
    """
    one = sample((1, 1), dates=4500)
    s2 = one.series["s2"]
    one = replace(one, series={"s2": replace(s2, pixels=np.full_like(s2.pixels, 1000))})
    for gain, offset, expected in ((0.1, 0.0, 100), (0.0, 30.0, 30)):
        config = AugmentConfig(0, 0.0, {"s2": gain}, {"s2": offset})
        view, _ = two_views(one, np.random.default_rng(0), config, window_cells=1, max_dates={"s2": 3000})
        light = view.series["s2"].pixels[..., 0, 0]  # (T, C)
        assert light.std(axis=0) == pytest.approx(expected / 2**0.5, rel=0.05)
        assert light.mean(axis=0) == pytest.approx(1000, abs=4 * expected / 3000**0.5)
        assert np.corrcoef(light.T)[0, 1:] == pytest.approx(0.5, abs=0.06)
