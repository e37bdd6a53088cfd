"""One STAC item as a `Scene`: its modality, bands, pixel grid, dates and units.

Follows STAC 1.0 and 1.1 with the projection, eo, raster, processing and sat extensions. An item may hold all
bands in one raster or one raster per band. A raster is opened only where the item does not describe it.
"""

import math
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlparse

import pystac
from pystac.utils import str_to_datetime

from .grid import PixelGrid
from .modality import MODALITIES
from .raster import open_raster
from .sample import InputError
from .scene import BandSource, Scene, modality_by_bands, standard_band
from .time_series import utc

NOT_PIXELS = {
    "labels",
    "thumbnail",
    "overview",
    "visual",
    "metadata",
    "cloud-mask",
    "snow-ice",
    "data-mask",
    "scl",
}
RASTER_SUFFIXES = (".tif", ".tiff", ".jp2", ".vrt")
S2_OFFSET = -1000  # BOA_ADD_OFFSET since processing baseline 04.00, digital numbers
HR_GSD_M = 10.0  # optical imagery coarser than this, without Sentinel-2's bands, is no high-resolution image
MONTH = timedelta(days=31)  # a range no longer than this is a date: its middle


def scene_of(item: pystac.Item) -> Scene:
    """The scene that an item describes. Raises InputError when it has none of a known modality."""
    assets = {key: asset for key, asset in item.assets.items() if _holds_pixels(key, asset)}
    if not assets:
        raise InputError(f"item {item.id} has no GeoTIFF asset of pixels; expected one with the role `data`")
    names = {key: _band_names(key, asset) for key, asset in assets.items()}
    modality = _modality(item, [alias for bands in names.values() for aliases in bands for alias in aliases])
    sources = _band_sources(modality, assets, names)
    if not sources:
        wanted = ", ".join(MODALITIES[modality].bands)
        raise InputError(f"item {item.id} names none of the bands {wanted} of {MODALITIES[modality].title}")
    bands = tuple(sources[name][0] for name in MODALITIES[modality].bands if name in sources)
    grid, finest = min(
        ((_grid(item, asset), asset) for asset in {id(a): a for _, a in sources.values()}.values()),
        key=lambda found: found[0].gsd_m,
    )
    if modality == "hr" and grid.gsd_m > HR_GSD_M:
        raise InputError(
            f"item {item.id} has pixels of {grid.gsd_m:.0f} m; expected {HR_GSD_M:.0f} m at most of HR images"
        )
    date, start, end = acquisition_time(item.datetime, item.properties)
    return Scene(
        item_id=item.id,
        place=_text(item.properties.get("place")) or None,
        modality=modality,
        level=_level(item, modality),
        bands=bands,
        grid=grid,
        date=date,
        start=start,
        end=end,
        cloud_percent=item.properties.get("eo:cloud_cover"),
        scl_href=_scl_href(item) if modality == "s2" else None,
        offset=s2_offset(item.properties) if modality == "s2" else 0,
        unit=_text(_raster_field(finest, "unit")),
        nodata=_nodata(finest),
        orbit=_text(item.properties.get("sat:orbit_state")),
        baseline=_baseline(item.properties),
    )


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _holds_pixels(key: str, asset: pystac.Asset) -> bool:
    roles = {role.lower() for role in asset.roles or ()}
    is_raster = "tiff" in (asset.media_type or "") or urlparse(asset.href).path.lower().endswith(
        RASTER_SUFFIXES
    )
    is_other = key.lower() in NOT_PIXELS or ("data" not in roles and roles & NOT_PIXELS)
    return is_raster and not is_other


def _href(asset: pystac.Asset) -> str:
    href = asset.get_absolute_href() or asset.href
    return unquote(urlparse(href).path) if href.startswith("file://") else href


def _band_names(key: str, asset: pystac.Asset) -> list[tuple[str | None, ...]]:
    """Per band of the asset's raster, the names it goes by."""
    described = asset.extra_fields.get("bands") or asset.extra_fields.get("eo:bands")
    if described:
        alone = (key,) if len(described) == 1 else ()
        common = ("name", "eo:common_name", "common_name", "description")
        return [(*(band.get(field) for field in common), *alone) for band in described]
    if modality_by_bands([key]) or standard_band("s2", [key]) or standard_band("s1", [key]):
        return [(key,)]
    return [(name,) for name in open_raster(_href(asset)).band_names]


def _modality(item: pystac.Item, band_names: Iterable[str | None]) -> str:
    said = " ".join(_text(item.properties.get(key)) for key in ("constellation", "platform"))
    said = f"{item.collection_id or ''} {said}".lower().replace("_", "-")
    for prefix, modality in (("sentinel-1", "s1"), ("sentinel-2", "s2")):
        if prefix in said:
            return modality
    names = [name for name in band_names if name]
    by_bands = modality_by_bands(names)
    if by_bands is None:
        found = ", ".join(dict.fromkeys(names)) or "none named"
        raise InputError(
            f"item {item.id} is no known modality; its bands: {found}; expected RGB, Sentinel-2 or -1"
        )
    return by_bands


def _band_sources(
    modality: str, assets: dict[str, pystac.Asset], names: dict[str, list[tuple[str | None, ...]]]
) -> dict[str, tuple[BandSource, pystac.Asset]]:
    sources: dict[str, tuple[BandSource, pystac.Asset]] = {}
    for key, asset in assets.items():
        for index, aliases in enumerate(names[key], start=1):
            band = standard_band(modality, aliases)
            if band is not None and band not in sources:
                sources[band] = BandSource(band, _href(asset), index), asset
    return sources


def _grid(item: pystac.Item, asset: pystac.Asset) -> PixelGrid:
    """From the projection extension, of the asset or else of the item; from the raster where it is silent."""
    found = {
        key: asset.extra_fields.get(f"proj:{key}", item.properties.get(f"proj:{key}"))
        for key in ("code", "epsg", "wkt2", "transform", "shape")
    }
    crs = found["code"] or (f"EPSG:{found['epsg']}" if found["epsg"] else found["wkt2"])
    if not (crs and found["transform"] and found["shape"]):
        return open_raster(_href(asset)).grid
    a, b, c, d, e, f = (float(value) for value in found["transform"][:6])
    height, width = (int(value) for value in found["shape"])
    return PixelGrid(crs, (a, b, c, d, e, f), (height, width))


def _level(item: pystac.Item, modality: str) -> str:
    fields = ("processing:level", "s2:product_type", "sar:product_type", "s2:product_uri")
    said = " ".join(
        [item.collection_id or "", *(_text(item.properties.get(f)) for f in fields), item.id]
    ).upper()
    pattern = r"L2A|L1C" if modality == "s2" else r"RTC|GRD"
    found = re.search(pattern, said) if modality != "hr" else None
    return found.group() if found else ""


def acquisition_time(
    at: datetime | None, properties: dict[str, Any]
) -> tuple[datetime | None, datetime, datetime]:
    """(date, start, end) in UTC. A range of a month at most counts as its middle; a longer one is no date."""
    if at is not None:
        at = utc(at)
        return at, at, at
    start, end = (utc(str_to_datetime(properties[key])) for key in ("start_datetime", "end_datetime"))
    return (start + (end - start) / 2 if end - start <= MONTH else None), start, end


def s2_offset(properties: dict[str, Any]) -> int | None:
    """What is still to be added to Sentinel-2 digital numbers: 0, -1000, or None where nothing tells.

    Trusted in this order: `sample:boa_offset` (already corrected, or said to be unknown),
    `earthsearch:boa_offset_applied`, `s2:processing_baseline` (ESA added 1000 from 04.00 on).
    """
    noted = properties.get("sample:boa_offset")
    if noted is not None:
        return None if str(noted).upper().startswith("UNKNOWN") else 0
    if properties.get("earthsearch:boa_offset_applied") is True:
        return 0
    baseline = _baseline(properties)
    if not baseline:
        return None
    return S2_OFFSET if baseline >= 4 else 0


def _baseline(properties: dict[str, Any]) -> float:
    """4.0 for "04.00", "N0400" or 4.0; 0 where absent."""
    digits = re.search(r"(\d\d?)\.?(\d\d)?", _text(properties.get("s2:processing_baseline")))
    return float(f"{digits.group(1)}.{digits.group(2) or 0}") if digits else 0.0


def _scl_href(item: pystac.Item) -> str | None:
    return next((_href(asset) for key, asset in item.assets.items() if key.lower() == "scl"), None)


def _raster_field(asset: pystac.Asset, field: str) -> object:
    """A field of the asset, of its first band (STAC 1.1) or of its first raster:band (1.0)."""
    fields = asset.extra_fields
    first_bands = [(fields.get(key) or [{}])[0] for key in ("bands", "raster:bands")]
    return next((found[field] for found in (fields, *first_bands) if found.get(field) is not None), None)


def _nodata(asset: pystac.Asset) -> float | None:
    value = _raster_field(asset, "nodata")
    number = math.nan if value is None else float(str(value))
    return None if math.isnan(number) else number  # NaN says of itself that it is no data
