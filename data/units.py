"""In which unit a scene's numbers are: from metadata, and from the scene's own values as witness.

Decided once for a scene, never for one window of it, so that all its windows are read alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from .modality import MODALITIES
from .raster import file_stamp
from .sample import InputError
from .scene import Scene
from .scene_values import SceneValues, scene_values

FILLS = (-32768.0, -9999.0, 65535.0)  # written where there is no data, often without saying so
# An offset that is still there leaves next to nothing below 1000: reflectance below -0.02 is no ground.
WITNESS_DN, WITNESS_SHARE, WITNESS_COUNT = 800, 0.05, 20
EIGHT_BIT_TOP, WATER_TOP = 255, 100  # of the 99.9th percentile over all bands
WHITE_REFLECTANCE = 0.3558  # shown as 255, as in ESA's true-colour images of Level-1C (product definition)
DB, POWER, AMPLITUDE = "dB", "power", "amplitude"
_UNIT_WORDS = {
    **dict.fromkeys(("db", "decibel", "decibels"), DB),
    **dict.fromkeys(("linear", "linear power", "power", "intensity", "1", "natural"), POWER),
    **dict.fromkeys(("amplitude", "linear amplitude"), AMPLITUDE),
}
FLOOR_POWER = 1e-5  # -50 dB, far below what Sentinel-1 can measure: stands for power of zero and below


@dataclass(frozen=True)
class Units:
    """How the raw numbers of a scene become the modality's unit: raw * scale + offset, and dB of `kind`."""

    scale: float = 1.0
    offset: float = 0.0
    kind: str = ""  # of radar: DB, POWER or AMPLITUDE
    fills: tuple[float, ...] = ()  # values without data that nobody declared
    zero_is_fill: bool = False  # of radar in dB: 0 in all bands
    notes: tuple[str, ...] = ()
    contradiction: str = ""  # what the values prove against the metadata
    as_told: "Units | None" = field(default=None, repr=False)  # what the metadata say in that case


def units_of(scene: Scene, *, trust_metadata: bool = False) -> Units:
    """The units of a scene.

    Raises InputError when nothing tells them, when its rasters cannot be read, and when values and metadata
    contradict each other, unless `trust_metadata`.
    """
    files = dict.fromkeys(band.href for band in scene.bands)
    units = _decided(scene, tuple(file_stamp(href) for href in files))
    if not units.contradiction:
        return units
    if not trust_metadata:
        raise InputError(f"{units.contradiction}: left out; --on-contradiction trust believes the metadata")
    assert units.as_told is not None, "a contradiction is one between two readings"
    return replace(units.as_told, notes=(*units.as_told.notes, f"{units.contradiction}: metadata believed"))


@lru_cache(maxsize=1024)
def _decided(scene: Scene, stamps: tuple[tuple[int, int], ...]) -> Units:
    return decide(scene, scene_values(scene))


def decide(scene: Scene, values: SceneValues) -> Units:
    """The units that metadata and values tell; of a contradiction, those that the values prove."""
    return {"s2": _reflectance, "s1": _backscatter, "hr": _colours}[scene.modality](scene, values)


# Sentinel-2


def _reflectance(scene: Scene, values: SceneValues) -> Units:
    if values.dtype.itemsize == 1:
        raise InputError(
            f"Sentinel-2 numbers of {scene.href} have 8 bits, which is a picture for the eye;"
            " expected surface reflectance x 10000 in 16 bits"
        )
    fills, bands = _without_fills([np.where(band == 0, np.float32(np.nan), band) for band in values.bands])
    known = _known(bands)
    scale = (_declared_scale(scene, values) or 1e-4) * 1e4
    units = Units(1.0 if abs(scale - 1) < 1e-6 else scale, float(scene.offset or 0), fills=fills)
    units = replace(units, notes=_fill_notes(fills))
    if not known.size:
        return units
    _check_reflectance(scene, bands, units.scale)
    witness = _offset_is_gone(bands)
    if witness and scene.offset:
        told = f"Sentinel-2 numbers of {scene.item_id} contradict their metadata, which say +1000 is in them"
        return replace(units, offset=0.0, contradiction=f"{told}: {witness}", as_told=units)
    if witness and scene.offset is None:
        return replace(units, notes=(*units.notes, f"offset unknown; no +1000 is in them: {witness}"))
    return units


def _offset_is_gone(bands: list[np.ndarray]) -> str:
    """A one-sided witness: many values well below 1000 prove it; their absence proves nothing."""
    medians = [float(np.nanmedian(band)) if np.isfinite(band).any() else np.inf for band in bands]
    darkest = int(np.argmin(medians))
    dark = int(np.count_nonzero(bands[darkest] < WITNESS_DN))
    known = int(np.isfinite(bands[darkest]).sum())
    if dark < WITNESS_COUNT or dark < WITNESS_SHARE * known:
        return ""
    return f"{dark / known:.0%} of its darkest band lie below {WITNESS_DN}"


def _check_reflectance(scene: Scene, bands: list[np.ndarray], scale: float) -> None:
    """Raise InputError for reflectance 0 to 1, percent, eight bits, and numbers that are no reflectance."""
    known = _known(bands) * np.float32(scale)
    top = float(np.percentile(known, 99.9))
    if top < 2:
        raise _out_of_range(scene, known, "; it looks like reflectance 0-1: multiply by 10000")
    if top <= EIGHT_BIT_TOP and not _is_water(scene, bands, top):
        what = "reflectance in percent, or a picture of 8 bits"
        raise _out_of_range(scene, known, f"; its highest values are near {top:.0f} in all bands: {what}")
    _check_median(scene, known)


def _is_water(scene: Scene, bands: list[np.ndarray], top: float) -> bool:
    """Dark as only water and shadow are: brightest in the visible, half of it in the short-wave infrared."""
    tops = {
        source.name: float(np.nanpercentile(band, 99.9))
        for source, band in zip(scene.bands, bands, strict=False)
        if np.isfinite(band).any()
    }
    visible = max((tops[name] for name in ("B02", "B03", "B04") if name in tops), default=0.0)
    infrared = max((tops[name] for name in ("B11", "B12") if name in tops), default=np.inf)
    return top > WATER_TOP and visible >= 2 * infrared


def _declared_scale(scene: Scene, values: SceneValues) -> float | None:
    """What one digital number is, by the item or by the raster itself; 1 says nothing."""
    if scene.scale:
        return scene.scale
    return values.raster_scale if values.raster_scale not in (0.0, 1.0) else None


# Sentinel-1


def _backscatter(scene: Scene, values: SceneValues) -> Units:
    scale = _declared_scale(scene, values) or 1.0
    fills, bands = _without_fills(list(values.bands))
    told = _UNIT_WORDS.get(scene.unit.strip().lower(), "") if scene.unit else ""
    zeros = _zero_everywhere(bands)
    bands = [np.where(zeros, np.float32(np.nan), band) for band in bands] if zeros.any() else bands
    known = _known(bands) * np.float32(scale)
    units = Units(scale, kind=told or scene.usual_unit or DB, fills=fills, notes=_fill_notes(fills))
    if not known.size:
        return units
    proven = _proven_kind(known)
    kind = told or _usual_if_fitting(scene, proven) or _kind_by_values(scene, proven, known)
    if kind == DB and zeros.any():
        note = "0 in all bands is taken as no data: in dB that is no backscatter"
        units = replace(units, zero_is_fill=True, notes=(*units.notes, note))
    units = replace(units, kind=kind)
    if told and proven and (told == DB) != (proven == DB):
        seen = replace(units, kind=proven)
        why = f"Sentinel-1 numbers of {scene.item_id} contradict their unit {scene.unit!r}"
        range_ = f"{np.percentile(known, 1):.3g} to {np.percentile(known, 99):.3g}"
        return replace(seen, contradiction=f"{why}: they go from {range_}", as_told=units)
    below = float(np.mean(known < 0)) if kind != DB else 0.0
    if below:
        note = (
            f"power below 0 is noise, set to {10 * np.log10(FLOOR_POWER):.0f} dB ({below:.2%} of the scene)"
        )
        units = replace(units, notes=(*units.notes, note))
    if kind != DB:
        known = to_db(known[known > 0], kind)
    _check_median(scene, known)
    return units


def _proven_kind(known: np.ndarray) -> str:
    """DB where most values are such as no power can be, POWER where next to none is, "" in between.

    Noise that was subtracted leaves power a little below 0, never below -1; nearly all ground is below -1 dB.
    """
    share = float(np.mean(known < -1))
    return DB if share >= 0.5 else POWER if share <= 1e-3 else ""


def _usual_if_fitting(scene: Scene, proven: str) -> str:
    """What the collection usually is, unless the values prove another."""
    usual = scene.usual_unit
    return usual if usual and (not proven or (usual == DB) == (proven == DB)) else ""


def _kind_by_values(scene: Scene, proven: str, known: np.ndarray) -> str:
    if proven == DB:
        return DB
    raise InputError(
        f"Sentinel-1 values of {scene.href} are {known.min():.3g} and more, which looks like amplitude or"
        " linear power; expected backscatter in dB: convert with 20 or 10 log10, or set the asset's `unit`"
        " to `amplitude` or `power`"
    )


def _zero_everywhere(bands: list[np.ndarray]) -> np.ndarray:
    """(n,) where all bands are exactly 0; nowhere where they were not sampled at one set of pixels."""
    if len({len(band) for band in bands}) != 1:
        return np.zeros(1, bool)
    return np.asarray(np.logical_and.reduce([band == 0 for band in bands]))


def to_db(linear: np.ndarray, kind: str) -> np.ndarray:
    """10 log10 of power, 20 log10 of amplitude."""
    return np.asarray((20 if kind == AMPLITUDE else 10) * np.log10(linear))


# High-resolution optical


def _colours(scene: Scene, values: SceneValues) -> Units:
    if values.dtype == np.uint8:
        return Units()
    scale = _declared_scale(scene, values)
    if scale is None:
        _check_eight_bits(scene, values)
        return Units()
    note = f"reflectance x {1 / scale:g} shown as 0-255, white at {WHITE_REFLECTANCE:g}"
    return Units(255 * scale / WHITE_REFLECTANCE, notes=(note,))


def _check_eight_bits(scene: Scene, values: SceneValues) -> None:
    known = _known(values.bands)
    if not known.size:
        return
    low, high = float(known.min()), float(known.max())
    if high > 255 or low < 0 or (0 < high <= 1 and bool((known % 1).any())):
        raise InputError(
            f"values of {scene.href} lie in {low:g}..{high:g} and nothing says what one is; expected digital"
            " numbers 0-255, or the asset's `raster:scale`"
        )


# All


def _known(bands: Sequence[np.ndarray]) -> np.ndarray:
    """(n,) all values of all bands that are data."""
    return np.concatenate([band[np.isfinite(band)] for band in bands])


def _without_fills(bands: list[np.ndarray]) -> tuple[tuple[float, ...], list[np.ndarray]]:
    """The fills that occur, and the bands with NaN in their place."""
    fills = tuple(fill for fill in FILLS if any(np.any(band == np.float32(fill)) for band in bands))
    return fills, [
        np.where(np.isin(band, np.array(fills, np.float32)), np.float32(np.nan), band) for band in bands
    ]


def _fill_notes(fills: tuple[float, ...]) -> tuple[str, ...]:
    return tuple(f"{fill:g} is taken as no data, though nothing declares it" for fill in fills)


def _check_median(scene: Scene, known: np.ndarray) -> None:
    low, high = MODALITIES[scene.modality].valid_range
    if known.size and not low <= float(np.median(known)) <= high:
        raise _out_of_range(scene, known, "")


def _out_of_range(scene: Scene, known: np.ndarray, hint: str) -> InputError:
    modality = MODALITIES[scene.modality]
    low, high = modality.valid_range
    return InputError(
        f"{modality.title} of {scene.href} has the median {float(np.median(known)):.6g}; expected {low:g} to"
        f" {high:g} ({modality.unit}){hint}"
    )
