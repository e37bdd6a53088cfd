"""A sensor's year without training (`encoder/season.py`): settings, and the baseline that it is alone."""

from dataclasses import replace

import numpy as np
import torch

from data.modality import S1, S2
from encoder.config import SeasonConfig
from encoder.geometry import SEASON
from encoder.season import season

from .baselines import POWER, half_whitening
from .neighbours import unit

SEASONS = {
    "s2": SeasonConfig(S2.mean, S2.std, True, days=12, reach_days=18.0, prior=0.1, weight=1.0),
    "s1": SeasonConfig(S1.mean, S1.std, False, days=4, reach_days=90.0, prior=1.0, weight=0.4),
}
SEASON_OF = {name: SEASON.format(name) for name in SEASONS}  # its name among a sensor's parts
POWERS = {"s2": POWER, "s1": POWER, SEASON_OF["s2"]: 0.35, SEASON_OF["s1"]: 0.5}  # of the variance of an axis
WEIGHTS = {"hr": 0.5, "s2": 1.0, "s1": 0.3}  # of a sensor in the whole


def whitened_season(
    sensor: str, values: np.ndarray, day_of_year: np.ndarray, fit_on: np.ndarray
) -> np.ndarray:
    """The seasons of a set, whitened on some of its own rows as ours are on training rows, of norm 1.

    Args:
        sensor: "s1" or "s2".
        values: (n, T, C) in the sensor's unit, NaN where missing.
        day_of_year: (n, T), 0 = unknown.
        fit_on: Rows (unlabelled).

    Returns:
        (n, d); a row without a value is zero.
    """
    bands = values.shape[2]
    config = replace(SEASONS[sensor], mean=(0.0,) * bands, std=(1.0,) * bands)
    seen = np.isfinite(values).all(axis=2)
    pixels = torch.from_numpy(np.where(seen[:, :, None], values, 0.0))[..., None, None]
    cells = torch.from_numpy(seen)[..., None, None]
    made = season(pixels, cells, cells, torch.from_numpy(day_of_year.astype(np.int64)), config)
    there = seen.any(axis=1)
    features = made[:, :, 0, 0].double().numpy()
    rows = features[fit_on[there[fit_on]]]
    mean, axes = half_whitening(rows, np.ones(len(rows)), min(rows.shape), POWERS[SEASON_OF[sensor]])
    return unit(np.where(there[:, None], (features - mean) @ axes, 0.0))
