"""Raw pixels of a window to the modality's unit, as `units.py` decided for its scene."""

import numpy as np

from .modality import MODALITIES
from .scene import Scene
from .scene_values import window_values
from .units import DB, FLOOR_POWER, Units, decide, to_db


def to_unit(
    scene: Scene, raw: np.ndarray, has_data: np.ndarray, units: Units | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (C, H, W) in the modality's dtype and unit, and where there is data (H, W) bool; same shapes in.

    Without `units` the window's own values stand for the scene's; they raise InputError when they do not fit.
    """
    if not has_data.any():
        modality = MODALITIES[scene.modality]
        return np.full(raw.shape, _nothing(modality.dtype), modality.dtype), has_data
    units = units or decide(scene, window_values(scene, raw, has_data))
    if units.fills:
        join = np.all if scene.modality == "s2" else np.any
        has_data = has_data & ~join(np.isin(raw, units.fills), axis=0)
    convert = {"s2": _reflectance, "s1": _decibel, "hr": _eight_bit}[scene.modality]
    pixels, has_data = convert(units, raw, has_data)
    pixels[:, ~has_data] = _nothing(pixels.dtype)
    return pixels, has_data


def _nothing(dtype: str | np.dtype) -> float:
    """What stands where there is no data: NaN, or 0 in integers."""
    return np.nan if np.dtype(dtype).kind == "f" else 0


def _linear(units: Units, raw: np.ndarray) -> np.ndarray:
    """raw * scale + offset, as float32 where that changes anything."""
    if units.scale == 1 and not units.offset:
        return raw
    return raw.astype(np.float32) * np.float32(units.scale) + np.float32(units.offset)


def _reflectance(units: Units, raw: np.ndarray, has_data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sentinel-2 digital numbers less the offset. 0 in all bands is no data, in some it becomes 1."""
    has_data = has_data & (raw != 0).any(axis=0)
    return np.clip(_linear(units, raw), 1, np.iinfo(np.uint16).max).astype(np.uint16), has_data


def _decibel(units: Units, raw: np.ndarray, has_data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sentinel-1 backscatter in dB. Of linear values 0 in any band is no data, and below 0 lies noise."""
    pixels = _linear(units, raw)
    if units.kind == DB:
        if units.zero_is_fill:
            has_data = has_data & (raw != 0).any(axis=0)
        return pixels.astype(np.float32), has_data
    has_data = has_data & (raw != 0).all(axis=0)
    floored = np.where(has_data, np.maximum(pixels, FLOOR_POWER), 1)
    return to_db(floored, units.kind).astype(np.float32), has_data


def _eight_bit(units: Units, raw: np.ndarray, has_data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if raw.dtype == np.uint8:
        return raw, has_data
    pixels = np.where(has_data, _linear(units, raw), 0)
    return np.rint(np.clip(pixels, 0, 255)).astype(np.uint8), has_data
