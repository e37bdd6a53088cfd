"""Raw pixels to the modality's unit: the offset once, decibels, and a check that the numbers fit the unit."""

import math

import numpy as np

from .modality import MODALITIES
from .sample import InputError
from .scene import Scene

_LINEAR_UNITS = {"linear", "linear power", "power", "intensity", "1"}
LINEAR_FLOOR = 1e-10  # -100 dB: below any backscatter


def to_unit(scene: Scene, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels in the modality's dtype and unit, and where there are any.

    raw: (C, H, W) float32, NaN = no data -> pixels (C, H, W), has_data (H, W) bool.
    Raises InputError when the median lies outside what the unit allows (Modality.valid_range).
    """
    convert = {"s2": _reflectance, "s1": _decibel, "hr": _eight_bit}[scene.modality]
    pixels, has_data = convert(scene, raw)
    _check_range(scene, pixels[:, has_data])
    modality = MODALITIES[scene.modality]
    empty = np.nan if modality.dtype == "float32" else 0
    pixels = np.where(has_data, pixels, empty)
    return pixels.astype(modality.dtype), has_data


def _reflectance(scene: Scene, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sentinel-2 digital numbers less the offset, at least 1. 0 in all bands is no data, in some it is dark."""
    raw = np.nan_to_num(raw, nan=0.0)
    has_data = (raw != 0).any(axis=0)
    if not has_data.any():
        return raw, has_data
    _check_range(scene, raw[:, has_data])
    return np.clip(raw + (scene.offset or 0), 1, np.iinfo(np.uint16).max), has_data


def _decibel(scene: Scene, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sentinel-1 backscatter in dB; linear power is converted where the metadata says that it is."""
    has_data = np.isfinite(raw).all(axis=0)
    known = raw[:, has_data]
    linear_unit = scene.unit.lower() in _LINEAR_UNITS
    if known.size and not linear_unit and known.min() >= 0:
        raise InputError(
            f"Sentinel-1 values of {scene.href} lie in {known.min():.3g}..{known.max():.3g}, which looks like"
            " linear power; expected backscatter in dB: convert with 10 log10, or set the asset's `unit`"
            " to `linear`"
        )
    if not linear_unit:
        return raw, has_data
    with np.errstate(invalid="ignore"):
        has_data &= (raw > 0).all(axis=0)
        return 10 * np.log10(np.maximum(raw, LINEAR_FLOOR)), has_data


def _eight_bit(scene: Scene, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    has_data = np.isfinite(raw).all(axis=0)
    known = raw[:, has_data]
    if known.size and (known.max() > 255 or known.min() < 0 or (0 < known.max() <= 1 and (known % 1).any())):
        raise InputError(
            f"values of {scene.href} lie in {known.min():g}..{known.max():g}; expected digital numbers 0-255:"
            " scale them"
        )
    return np.rint(np.nan_to_num(raw, nan=0.0)), has_data


def _check_range(scene: Scene, known: np.ndarray) -> None:
    """known: (C, N), the pixels that have data."""
    if not known.size:
        return
    modality = MODALITIES[scene.modality]
    lowest, highest = modality.valid_range
    median = float(np.median(known))
    if lowest <= median <= highest and math.isfinite(median):
        return
    hint = (
        "; it looks like reflectance 0-1: multiply by 10000" if scene.modality == "s2" and median < 2 else ""
    )
    raise InputError(
        f"{modality.title} of {scene.href} has the median {median:.4g}; expected {lowest:g} to {highest:g}"
        f" ({modality.unit}){hint}"
    )
