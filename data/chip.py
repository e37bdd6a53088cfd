"""A lone GeoTIFF, with no catalog to describe it, as a `Scene`."""

from collections.abc import Sequence

import numpy as np

from .dialects import UNNAMED_BANDS, unnamed_bands
from .modality import MODALITIES
from .raster import Raster, open_raster
from .sample import ANY_TIME, InputError
from .scene import BandSource, Scene, modality_by_bands, standard_band
from .scene_values import scene_values


def scene_of_raster(href: str, modality: str | None = None) -> Scene:
    """The scene in one raster; its date and processing are unknown, and Sentinel-2 is taken as corrected.

    The modality is told by the names of the bands, else by their number and type. Raises InputError when it
    cannot be told, when a band is missing, and when the raster cannot be read.
    """
    raster = open_raster(href)
    names = raster.band_names
    modality = modality or modality_by_bands(names) or _modality_by_count(raster)
    if modality not in MODALITIES:
        raise InputError(
            f"{href} has {len(names)} bands ({_named(names)}) of {raster.dataset.dtypes[0]}, which tell no"
            " modality; expected those of hr, s2 or s1, named in the band descriptions: name the modality"
        )
    if not any(standard_band(modality, [name]) for name in names):
        names = unnamed_bands(modality, _medians(href, raster))
    band_index = {
        standard_band(modality, [name]): index for index, name in reversed(list(enumerate(names, start=1)))
    }
    bands = tuple(
        BandSource(name, href, band_index[name]) for name in MODALITIES[modality].bands if name in band_index
    )
    scene = Scene(href, None, modality, "", bands, raster.grid, None, *ANY_TIME)
    if scene.missing_bands:
        raise InputError(
            f"{href} is taken as {MODALITIES[modality].title} and lacks {' '.join(scene.missing_bands)};"
            f" its bands: {_named(raster.band_names)}"
        )
    return scene


def _medians(href: str, raster: Raster) -> list[float]:
    """Of each layer, over a sample of the raster."""
    layers = tuple(BandSource(str(i), href, i) for i in range(1, raster.dataset.count + 1))
    values = scene_values(Scene(href, None, "s2", "", layers, raster.grid, None, *ANY_TIME)).bands
    return [float(np.median(band[np.isfinite(band)])) if np.isfinite(band).any() else 0.0 for band in values]


def _modality_by_count(raster: Raster) -> str | None:
    count, dtype = raster.dataset.count, raster.dataset.dtypes[0]
    if any(raster.band_names):
        return None
    fitting = [m for m in UNNAMED_BANDS if count in UNNAMED_BANDS[m] and (m == "hr") == (dtype == "uint8")]
    return fitting[0] if len(fitting) == 1 else None


def _named(names: Sequence[str | None]) -> str:
    return " ".join(name or "?" for name in names)
