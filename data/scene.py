"""One acquisition of one modality, as its metadata describes it, and the names that bands go by."""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import datetime

import shapely

from .dialects import BAND_NAMES, TELLTALE_BANDS
from .grid import PixelGrid
from .licence import NOT_TOLD
from .modality import MODALITIES
from .sample import Imagery


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
    scl_href: str | None = None  # raster that tells cloud and shadow, of `mask_kind`
    offset: int | None = 0  # to add to Sentinel-2 digital numbers; None = unknown, taken as 0
    unit: str = ""  # of radar, as the metadata gives it
    nodata: float | None = None  # for rasters that declare none themselves
    orbit: str = ""  # "ascending", "descending" or ""
    baseline: float = 0.0  # Sentinel-2 processing baseline; 0 = unknown
    # What came later stays out of repr, which chunk keys of older tables hold; see `key_text`.
    mask_kind: str = field(default="scl", repr=False)  # of cloud_mask.MASK_KINDS
    usual_unit: str = field(default="", repr=False)  # of radar, from its collection or product type
    scale: float | None = field(default=None, repr=False)  # reflectance of one digital number
    # What no pixel depends on takes no part in comparing scenes either.
    backscatter: str = field(default="", repr=False, compare=False)  # "gamma0", "sigma0" or "" = unknown
    collection: str = field(default="", repr=False, compare=False)
    provider: str = field(default="", repr=False, compare=False)  # the row of dialects.py it was read by
    decisions: tuple[str, ...] = field(default=(), repr=False, compare=False)  # from metadata, and why
    licence: str = field(default="", repr=False, compare=False)  # of the imagery
    attribution: tuple[str, ...] = field(default=(), repr=False, compare=False)  # whom its terms ask to name

    @property
    def key_text(self) -> str:
        """All that its pixels depend on; of a scene that an earlier version read alike, as it was then."""
        later = [f for f in fields(self) if f.compare and not f.repr]
        changed = [f"{f.name}={getattr(self, f.name)!r}" for f in later if getattr(self, f.name) != f.default]
        return "\n".join([repr(self), *changed])

    @property
    def imagery(self) -> Imagery:
        """Its terms and decisions."""
        said = self.licence or NOT_TOLD
        return Imagery(self.collection, self.provider, said, self.attribution, self.decisions)

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


def standard_band(modality: str, names: Iterable[str | None]) -> str | None:
    """The modality's own name of a band that goes by any of `names` (of band, asset or colour), or None."""
    for name in names:
        key = (name or "").upper()
        key = BAND_NAMES[modality].get(key, key)
        if key in MODALITIES[modality].bands:
            return key
    return None


def modality_by_bands(names: Iterable[str | None]) -> str | None:
    """The modality that has bands of these names, or None."""
    known = list(names)
    for modality, telltale in TELLTALE_BANDS.items():
        bands = {standard_band(modality, [name]) for name in known}
        if (telltale <= bands) if modality == "hr" else (telltale & bands):
            return modality
    return None
