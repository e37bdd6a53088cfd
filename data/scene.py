"""One acquisition of one modality, as its metadata describes it, and the names that bands go by."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import shapely

from .grid import PixelGrid
from .modality import MODALITIES


@dataclass(frozen=True)
class BandSource:
    """Where the pixels of one band lie."""

    name: str  # as in Modality.bands
    href: str
    index: int  # 1-based


@dataclass(frozen=True)
class Scene:
    """A raster, or one raster per band, of one date."""

    item_id: str
    place: str | None
    modality: str  # "hr", "s2" or "s1"
    level: str  # "L2A", "L1C", "GRD", "RTC", or "" where unknown
    bands: tuple[BandSource, ...]  # those of the modality that are there, in its order
    grid: PixelGrid  # of the finest band
    date: datetime | None  # UTC; the middle of a range of at most a month; None = unknown
    start: datetime  # UTC; date, or the range in which it lies
    end: datetime
    cloud_percent: float | None = None
    scl_href: str | None = None  # scene classification of Sentinel-2 L2A
    offset: int | None = 0  # to add to Sentinel-2 digital numbers; None = unknown, taken as 0
    unit: str = ""  # as the metadata gives it
    nodata: float | None = None  # for rasters that declare none themselves
    orbit: str = ""  # "ascending", "descending" or ""
    baseline: float = 0.0  # Sentinel-2 processing baseline; 0 = unknown

    @property
    def missing_bands(self) -> tuple[str, ...]:
        present = {band.name for band in self.bands}
        return tuple(name for name in MODALITIES[self.modality].bands if name not in present)

    @property
    def href(self) -> str:
        """Of the raster, or of the first of several."""
        return self.bands[0].href

    @property
    def footprint(self) -> shapely.Polygon:
        """Outline of the raster in lon/lat."""
        return self.grid.footprint()


_S2_NAMES = {
    "BLUE": "B02",
    "GREEN": "B03",
    "RED": "B04",
    "REDEDGE1": "B05",
    "REDEDGE071": "B05",
    "REDEDGE2": "B06",
    "REDEDGE075": "B06",
    "REDEDGE3": "B07",
    "REDEDGE078": "B07",
    "NIR": "B08",
    "NIR08": "B8A",
    "SWIR16": "B11",
    "SWIR22": "B12",
    **{f"B{number}": f"B{number:02}" for number in range(1, 10)},
}
_BAND_NAMES = {
    "hr": {"RED": "R", "GREEN": "G", "BLUE": "B"},
    "s2": _S2_NAMES,
    "s1": {},
}
# What tells a modality by its bands alone: Sentinel-2 any red edge or narrow near infrared, HR all colours.
_TELLTALE_BANDS = {"s1": {"VV"}, "s2": {"B05", "B06", "B07", "B8A"}, "hr": {"R", "G", "B"}}


def standard_band(modality: str, names: Iterable[str | None]) -> str | None:
    """The modality's own name of a band that goes by any of `names` (of band, asset or colour), or None."""
    for name in names:
        key = (name or "").upper()
        key = _BAND_NAMES[modality].get(key, key)
        if key in MODALITIES[modality].bands:
            return key
    return None


def modality_by_bands(names: Iterable[str | None]) -> str | None:
    """The modality that has bands of these names, or None."""
    known = list(names)
    for modality, telltale in _TELLTALE_BANDS.items():
        found = {standard_band(modality, [name]) for name in known}
        if (telltale <= found) if modality == "hr" else (telltale & found):
            return modality
    return None
