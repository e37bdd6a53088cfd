"""What a year looked like: the values of a sensor at fixed days of the year, smoothed over dates (ours).

No part of it is trained, so it is as good where nobody trained; the encoder's own vector stands beside it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .config import SeasonConfig
from .precision import wide, without_autocast

YEAR_DAYS = 365
DARK = 300.0  # reflectance x 10000 that is added before the logarithm: shadows and noise tell little


def season(
    pixels: Tensor, valid: Tensor | None, seen: Tensor, day_of_year: Tensor, config: SeasonConfig
) -> Tensor:
    """Means over the year of a series of images, cell by cell.

    A day of the year is the mean of all dates, each weighted by how far it is on the circle of the year. The
    mean of all dates, known or not, counts as much as `prior` dates of that very day.

    Args:
        pixels: (B, T, C, H, W) standardised as the model takes them.
        valid: (B, T, H, W) bool; None where all are.
        seen: (B, T, h, w) bool, the cells whose dates count.
        day_of_year: (B, T), 1-366; 0 = unknown.
        config: Days, and how far a date reaches.

    Returns:
        (B, days * C, h, w); zero where nothing was seen.
    """
    with without_autocast(pixels.device.type):
        cells = _cell_means(_values(pixels, config), valid, seen.shape[2:])  # (B, T, C, h, w)
        counts = seen.to(cells.dtype)
        reach = _reach(day_of_year, config).to(cells.dtype)  # (B, T, days)
        total = torch.einsum("btk,btyx,btcyx->bkcyx", reach, counts, cells)
        weight = torch.einsum("btk,btyx->bkyx", reach, counts)[:, :, None]
        every = (counts[:, :, None] * cells).sum(dim=1) / counts.sum(dim=1)[:, None].clamp(min=1)
        made = (total + config.prior * every[:, None]) / (weight + config.prior)
    return made.flatten(1, 2)


def _values(pixels: Tensor, config: SeasonConfig) -> Tensor:
    """In the sensor's unit, or their logarithms: (B, T, C, H, W)."""
    x = wide(pixels)
    mean, std = (torch.tensor(values).to(x)[:, None, None] for values in (config.mean, config.std))
    if not config.logarithm:
        return torch.addcmul(mean, x, std)
    return torch.addcmul(mean + DARK, x, std).clamp_(min=DARK).log_()


def _cell_means(values: Tensor, valid: Tensor | None, shape: torch.Size) -> Tensor:
    """Means over the valid pixels of each cell: (B, T, C, h, w)."""
    px = values.shape[-1] // shape[-1]
    if valid is None:
        return F.avg_pool2d(values.flatten(0, 1), px).reshape(*values.shape[:3], *shape)
    share = valid[:, :, None].to(values.dtype)
    sums = F.avg_pool2d((values * share).flatten(0, 1), px)
    means = sums / F.avg_pool2d(share.flatten(0, 1), px).clamp(min=1 / (2 * px**2))
    return means.reshape(*values.shape[:3], *shape)


def _reach(day_of_year: Tensor, config: SeasonConfig) -> Tensor:
    """How much each date (B, T) tells of each day of the year: (B, T, days), zero where it is unknown."""
    days = (torch.arange(config.days, device=day_of_year.device) + 0.5) * YEAR_DAYS / config.days
    apart = (day_of_year[:, :, None] - days).abs()
    apart = torch.minimum(apart, YEAR_DAYS - apart)
    return torch.exp(-0.5 * (apart / config.reach_days).square()) * (day_of_year > 0)[:, :, None]
