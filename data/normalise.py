"""Raw pixels to the modality's unit: the offset once, decibels, and a check that the numbers fit the unit."""

import numpy as np

from .modality import MODALITIES
from .sample import InputError
from .scene import Scene

_LINEAR_UNITS = {"linear", "linear power", "power", "intensity", "1"}


def to_unit(scene: Scene, raw: np.ndarray, has_data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (C, H, W) in the modality's dtype and unit, and where there is data (H, W) bool; same shapes in.

    Raises InputError when the median lies outside what the unit allows (`Modality.valid_range`).
    """
    if not has_data.any():
        modality = MODALITIES[scene.modality]
        return np.full(raw.shape, _nothing(modality.dtype), modality.dtype), has_data
    convert = {"s2": _reflectance, "s1": _decibel, "hr": _eight_bit}[scene.modality]
    pixels, has_data = convert(scene, raw, has_data)
    pixels[:, ~has_data] = _nothing(pixels.dtype)
    return pixels, has_data


def _nothing(dtype: str | np.dtype) -> float:
    """What stands where there is no data: NaN, or 0 in integers."""
    return np.nan if np.dtype(dtype).kind == "f" else 0


def _reflectance(scene: Scene, raw: np.ndarray, has_data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sentinel-2 digital numbers less the offset. 0 in all bands is no data, in some it becomes 1."""
    has_data = has_data & (raw != 0).any(axis=0)
    _check_range(scene, raw, has_data)
    corrected = raw.astype(np.float32) + scene.offset if scene.offset else raw
    return np.clip(corrected, 1, np.iinfo(np.uint16).max).astype(np.uint16), has_data


def _decibel(scene: Scene, raw: np.ndarray, has_data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sentinel-1 backscatter in dB; linear power is converted where the metadata says that it is."""
    if scene.unit.lower() in _LINEAR_UNITS:
        has_data = has_data & (raw > 0).all(axis=0)
        raw = 10 * np.log10(raw, where=has_data, out=np.full(raw.shape, np.nan, np.float32))
    elif has_data.any() and (lowest := raw[:, has_data].min()) >= 0:
        raise InputError(
            f"Sentinel-1 values of {scene.href} are {lowest:.3g} and more, which looks like linear power;"
            " expected backscatter in dB: convert with 10 log10, or set the asset's `unit` to `linear`"
        )
    _check_range(scene, raw, has_data)
    return raw.astype(np.float32), has_data


def _eight_bit(scene: Scene, raw: np.ndarray, has_data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if raw.dtype == np.uint8:
        return raw, has_data
    known = raw[:, has_data]
    if known.max() > 255 or known.min() < 0 or (0 < known.max() <= 1 and (known % 1).any()):
        raise InputError(
            f"values of {scene.href} lie in {known.min():g}..{known.max():g}; expected digital numbers 0-255:"
            " scale them"
        )
    return np.rint(np.where(has_data, raw, 0)).astype(np.uint8), has_data


def _check_range(scene: Scene, pixels: np.ndarray, has_data: np.ndarray) -> None:
    """Raise InputError when the median of the data lies outside the modality's range.

    Counting tells that without sorting; the median itself is only for the message.
    """
    modality = MODALITIES[scene.modality]
    low, high = modality.valid_range
    known = pixels if has_data.all() else pixels[:, has_data]
    if 2 * max(np.count_nonzero(known < low), np.count_nonzero(known > high)) <= known.size:
        return
    median = float(np.median(known))
    hint = (
        "; it looks like reflectance 0-1: multiply by 10000" if scene.modality == "s2" and median < 2 else ""
    )
    raise InputError(
        f"{modality.title} of {scene.href} has the median {median:.6g}; expected {low:g} to {high:g}"
        f" ({modality.unit}){hint}"
    )
