"""A year of a series without training, against a plain reading of its definition."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from encoder.config import SeasonConfig
from encoder.season import season

pytestmark = pytest.mark.float32
BANDS, PX = 2, 4
MEAN, STD = (1000.0, 2000.0), (400.0, 800.0)
CONFIG = SeasonConfig(MEAN, STD, True, days=12, reach_days=18.0, prior=0.1, weight=1.0)


def drawn(
    seed: int, dates: int = 5, shape: tuple[int, int] = (2, 3)
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pixels, valid, seen and days of the year of two samples; some of each are missing."""
    draw = np.random.default_rng(seed)
    h, w = shape
    pixels = draw.normal(size=(2, dates, BANDS, h * PX, w * PX))
    valid = draw.random((2, dates, h * PX, w * PX)) > 0.3
    seen = draw.random((2, dates, h, w)) > 0.3
    seen[0, :, 0, 0] = False  # a cell that is never seen
    days = draw.integers(1, 367, size=(2, dates))
    days[1, 0] = 0  # a date that is unknown
    pixels = np.where(valid[:, :, None], pixels, 0.0)
    return torch.from_numpy(pixels), torch.from_numpy(valid), torch.from_numpy(seen), torch.from_numpy(days)


def plain(
    pixels: Tensor, valid: Tensor, seen: Tensor, days: Tensor, config: SeasonConfig, b: int, y: int, x: int
) -> list[float]:
    """The definition, for one cell of one sample: days times bands."""
    box = (slice(y * PX, (y + 1) * PX), slice(x * PX, (x + 1) * PX))
    values, dated = [], []
    for t in range(pixels.shape[1]):
        there = valid[b, t][box]
        if not bool(seen[b, t, y, x]):
            continue
        bands = []
        for c in range(BANDS):
            unit = pixels[b, t, c][box][there] * config.std[c] + config.mean[c]
            bands.append(float((unit.clamp(min=0) + 300).log().mean() if config.logarithm else unit.mean()))
        values.append(bands)
        dated.append(int(days[b, t]))
    out = []
    for day in range(config.days):
        middle = (day + 0.5) * 365 / config.days
        apart = [min(abs(d - middle), 365 - abs(d - middle)) for d in dated]
        weights = [
            math.exp(-0.5 * (a / config.reach_days) ** 2) if d else 0.0
            for a, d in zip(apart, dated, strict=True)
        ]
        for c in range(BANDS):
            every = sum(v[c] for v in values) / len(values) if values else 0.0
            total = sum(w * v[c] for w, v in zip(weights, values, strict=True)) + config.prior * every
            out.append(total / (sum(weights) + config.prior))
    return out


@pytest.mark.parametrize("logarithm", [True, False])
def test_it_is_its_definition(logarithm: bool) -> None:
    config = SeasonConfig(MEAN, STD, logarithm, days=4, reach_days=60.0, prior=0.5, weight=1.0)
    pixels, valid, seen, days = drawn(0)
    found = season(pixels, valid, seen, days, config)
    assert found.shape == (2, config.width, 2, 3)
    for b in range(2):
        for y in range(2):
            for x in range(3):
                wanted = plain(pixels, valid, seen, days, config, b, y, x)
                np.testing.assert_allclose(
                    found[b, :, y, x].tolist(), wanted, rtol=1e-6
                )  # weights of dates are float32


def test_a_date_tells_of_its_own_days_and_round_the_turn_of_the_year() -> None:
    valid, seen = torch.ones(1, 2, PX, PX, dtype=torch.bool), torch.ones(1, 2, 1, 1, dtype=torch.bool)
    pixels = torch.zeros(1, 2, BANDS, PX, PX, dtype=torch.float64)
    pixels[:, 1] = 1.0  # 1000 and 1400 of the first band
    found = season(pixels, valid, seen, torch.tensor([[183, 365]]), CONFIG)[0, :, 0, 0].reshape(12, BANDS)
    assert found[6, 0].item() == pytest.approx(math.log(1300), abs=0.02)  # July is the first date
    assert found[0, 0].item() == pytest.approx(math.log(1700), abs=0.04)  # January is the second
    assert found[0, 0].item() == pytest.approx(found[11, 0].item(), abs=0.005)  # as is December
    swapped = season(pixels.flip(1), valid, seen, torch.tensor([[365, 183]]), CONFIG)
    torch.testing.assert_close(swapped[0, :, 0, 0].reshape(12, BANDS), found)


def test_one_date_and_one_pixel_tell_of_the_whole_year() -> None:
    pixels = torch.zeros(1, 1, BANDS, PX, PX, dtype=torch.float64)
    pixels[..., 1, 2] = 2.5  # 2000 and 4000
    valid = torch.zeros(1, 1, PX, PX, dtype=torch.bool)
    valid[..., 1, 2] = True
    seen = torch.ones(1, 1, 1, 1, dtype=torch.bool)
    found = season(pixels, valid, seen, torch.tensor([[100]]), CONFIG)[0, :, 0, 0].reshape(12, BANDS)
    wanted = torch.tensor([2300.0, 4300.0], dtype=torch.float64).log()
    torch.testing.assert_close(found, wanted.expand(12, BANDS), rtol=1e-6, atol=0)


def test_dates_that_are_unknown_tell_of_every_day_alike() -> None:
    pixels, valid, seen, _ = drawn(1)
    found = season(pixels, valid, seen, torch.zeros(2, 5, dtype=torch.long), CONFIG)
    by_day = found.reshape(2, 12, BANDS, 2, 3)
    torch.testing.assert_close(by_day, by_day[:, :1].expand_as(by_day))


def test_padded_dates_and_windows_change_nothing() -> None:
    pixels, valid, seen, days = drawn(2)
    found = season(pixels, valid, seen, days, CONFIG)
    later = (
        torch.cat([pixels, torch.zeros_like(pixels[:, :2])], dim=1),
        torch.cat([valid, torch.zeros_like(valid[:, :2])], dim=1),
        torch.cat([seen, torch.zeros_like(seen[:, :2])], dim=1),
        torch.cat([days, torch.zeros_like(days[:, :2])], dim=1),
    )
    torch.testing.assert_close(season(*later, CONFIG), found)
    wider = torch.nn.functional.pad(pixels, (0, PX)), torch.nn.functional.pad(valid, (0, PX))
    more = season(*wider, torch.nn.functional.pad(seen, (0, 1)), days, CONFIG)
    torch.testing.assert_close(more[..., :3], found)
    assert not more[..., 3].any()  # where nothing was seen


def test_no_mask_is_a_mask_of_all() -> None:
    pixels, valid, seen, days = drawn(3)
    torch.testing.assert_close(
        season(pixels, None, seen, days, CONFIG), season(pixels, torch.ones_like(valid), seen, days, CONFIG)
    )
