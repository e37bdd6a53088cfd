"""One STAC item as a `Scene`: its modality, bands, pixel grid, dates and units.

Follows STAC 1.0 and 1.1 with the projection, eo, raster, processing and sat extensions, and the rows of
`dialects.py` for what an item leaves unsaid. An item may hold all bands in one raster or one raster per band.
A raster is opened only where metadata leave a wanted band or the grid unknown.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlparse

import pystac
from pystac.utils import str_to_datetime

from .dialects import Dialect, dialect_of, matches, spelled_in_name
from .eopf import is_zarr
from .grid import PixelGrid
from .item_grid import item_grid
from .licence import attribution_of, licence_of
from .modality import MODALITIES
from .raster import open_raster
from .s2_offset import baseline_of, s2_offset, s2_offset_reason
from .sample import InputError
from .scene import BandSource, Scene, modality_by_bands, standard_band
from .time_series import utc

# Roles and keys of assets that hold no band. `visual` holds the colours of a high-resolution image alone.
NOT_PIXELS = {"labels", "thumbnail", "overview", "metadata", "cloud-mask", "snow-ice", "data-mask", "scl"}
COLOURS = ("visual*", "tci*", "*true_color*", "*truecolor*")
RASTER_SUFFIXES = (".tif", ".tiff", ".jp2", ".vrt")
S2_SCALE = 1e-4  # reflectance of one digital number
HR_GSD_M = 10.0  # optical imagery coarser than this, without Sentinel-2's bands, is no high-resolution image
MONTH = timedelta(days=31)  # a range no longer than this is a date: its middle
_NAMED_BY = ("name", "eo:common_name", "common_name", "description")  # fields that name a band
_SIZE = re.compile(r"_\d+m$")  # of `B02_10m`: a band in one of several pixel sizes
_POLARISATION = re.compile(r"(?:^|[_.\-])(VV|VH)$", re.IGNORECASE)  # of `OPERA_..._v1.0_VV`


@dataclass(frozen=True)
class _Layer:
    """One band of one asset, by the names it goes by."""

    asset: pystac.Asset
    index: int  # 1-based
    names: tuple[str | None, ...]


@dataclass(frozen=True)
class _Reading:
    """An item, and what is asked of it more than once."""

    item: pystac.Item

    @cached_property
    def dialect(self) -> Dialect:
        item = self.item
        return dialect_of(item.collection_id or "", self.craft, item.assets, item.properties, self.files)

    @property
    def craft(self) -> list[str]:
        """Constellation and platform, as the item says them."""
        return [_text(self.item.properties.get(key)) for key in ("constellation", "platform")]

    @cached_property
    def assets(self) -> dict[str, pystac.Asset]:
        """Those that may hold bands, the preferred first."""
        holders = {key: asset for key, asset in self.item.assets.items() if self._may_hold_bands(key, asset)}
        return dict(sorted(holders.items(), key=lambda entry: _rank(*entry)))

    def _may_hold_bands(self, key: str, asset: pystac.Asset) -> bool:
        roles = {role.lower() for role in asset.roles or ()}
        is_other = key.lower() in NOT_PIXELS or ("data" not in roles and roles & NOT_PIXELS)
        return _is_raster(asset) and not is_other and not matches(key, self.dialect.others)

    @cached_property
    def layers(self) -> dict[str, list[_Layer]]:
        """By key of asset, those whose names metadata tell."""
        by_key = {key: self._named(key, asset) for key, asset in self.assets.items()}
        return {key: layers for key, layers in by_key.items() if layers}

    def _named(self, key: str, asset: pystac.Asset) -> list[_Layer]:
        described = asset.extra_fields.get("bands") or asset.extra_fields.get("eo:bands") or []
        by_row = next((names for pattern, names in self.dialect.bands.items() if matches(key, [pattern])), ())
        if any(band.get(field) for band in described for field in _NAMED_BY):
            alone = (key, *by_row) if len(described) == 1 else ()
            return [
                _Layer(asset, i, (*(band.get(field) for field in _NAMED_BY), *alone))
                for i, band in enumerate(described, start=1)
            ]
        if by_row:
            return [_Layer(asset, i, (name,)) for i, name in enumerate(by_row, start=1)]
        plain = _plain(key)
        known = modality_by_bands([plain]) or standard_band("s2", [plain]) or standard_band("s1", [plain])
        return [_Layer(asset, 1, (plain,))] if known else []

    @cached_property
    def opened(self) -> tuple[dict[str, list[_Layer]], list[str]]:
        """Layers of assets that only their rasters can name, and what could not be opened."""
        layers: dict[str, list[_Layer]] = {}
        failures: list[str] = []
        for key, asset in self.assets.items():
            if key not in self.layers:
                try:
                    names = open_raster(asset_href(asset)).band_names
                except InputError as error:
                    failures.append(str(error))
                    continue
                layers[key] = [_Layer(asset, i, (name,)) for i, name in enumerate(names, start=1)]
        return layers, failures

    @cached_property
    def modality(self) -> str:
        if self.dialect.modality:
            return self.dialect.modality
        said = " ".join([self.item.collection_id or "", *self.craft]).lower().replace("_", "-")
        for prefix, modality in (("sentinel-1", "s1"), ("sentinel-2", "s2")):
            if prefix in said:
                return modality
        return modality_by_bands(_names(self.layers)) or self._modality_of_rasters()

    def _modality_of_rasters(self) -> str:
        opened, failures = self.opened
        names = [*_names(self.layers), *_names(opened)]
        modality = modality_by_bands(names)
        if modality is None:
            listed = ", ".join(dict.fromkeys(names)) or "none named"
            more = f" ({'; '.join(failures)})" if failures else ""
            raise InputError(
                f"item {self.item.id} is no known modality; its bands: {listed}{more};"
                " expected RGB, Sentinel-2 or -1"
            )
        return modality

    def sources(self) -> dict[str, _Layer]:
        """The modality's bands, each from the first asset that holds it."""
        by_band = self._sources_in(self.layers)
        if set(by_band) != set(MODALITIES[self.modality].bands) and len(self.layers) < len(self.assets):
            by_band = self._sources_in(self.opened[0]) | by_band
        if not by_band:
            modality = MODALITIES[self.modality]
            more = "; ".join(["", *self.opened[1]]) if len(self.layers) < len(self.assets) else ""
            raise InputError(
                f"item {self.item.id} names none of the bands {', '.join(modality.bands)}"
                f" of {modality.title}{more}"
            )
        return by_band

    def _sources_in(self, layers: Mapping[str, Sequence[_Layer]]) -> dict[str, _Layer]:
        """High-resolution colours come from one asset where one has all; Sentinel's may lie in one each."""
        if self.modality == "hr":
            keys = sorted(layers, key=lambda key: _depth(key, self.assets[key], self.dialect))
            whole = [self._bands_of(layers[key]) for key in keys]
            every = self._bands_of(layer for key in keys for layer in layers[key])
            return next((colours for colours in whole if len(colours) == len(MODALITIES["hr"].bands)), every)
        colourless = (layer for key in layers if not matches(key, COLOURS) for layer in layers[key])
        return self._bands_of(colourless)

    def _bands_of(self, layers: Iterable[_Layer]) -> dict[str, _Layer]:
        by_band: dict[str, _Layer] = {}
        for layer in layers:
            band = standard_band(self.modality, layer.names)
            if band is not None:
                by_band.setdefault(band, layer)
        return by_band

    @cached_property
    def files(self) -> str:
        """Id and names of the rasters, in one text."""
        hrefs = (PurePosixPath(urlparse(asset.href).path).name for asset in self.item.assets.values())
        return " ".join([self.item.id, *hrefs])


def scene_of(item: pystac.Item) -> Scene:
    """The scene that an item describes. Raises InputError when it has none of a known modality."""
    reading = _Reading(item)
    _refuse_look_alike(reading)
    if not reading.assets:
        raise InputError(f"item {item.id} has no GeoTIFF asset of pixels; expected one with the role `data`")
    modality, dialect = reading.modality, reading.dialect
    sources = reading.sources()
    bands = tuple(
        BandSource(name, asset_href(sources[name].asset), sources[name].index)
        for name in MODALITIES[modality].bands
        if name in sources
    )
    assets = {id(sources[band.name].asset): sources[band.name].asset for band in bands}
    grid, note, finest = _finest_grid(item, list(assets.values()))
    if modality == "hr" and grid.gsd_m > HR_GSD_M:
        raise InputError(
            f"item {item.id} has pixels of {grid.gsd_m:.0f} m; expected {HR_GSD_M:.0f} m at most of HR images"
        )
    date, start, end = acquisition_time(item.datetime, item.properties)
    offset, offset_why = _offset(item, dialect, finest) if modality == "s2" else (0, "")
    mask_href, mask_kind = _mask(reading) if modality == "s2" else (None, "scl")
    unit = _text(_raster_field(finest, "unit"))
    usual, backscatter = _radar(reading, unit) if modality == "s1" else ("", "")
    scene = Scene(
        item_id=item.id,
        place=_text(item.properties.get("place")) or None,
        modality=modality,
        level=_level(item, modality) or dialect.level,
        bands=bands,
        grid=grid,
        date=date,
        start=start,
        end=end,
        cloud_percent=cloud_percent(item.properties.get("eo:cloud_cover")),
        scl_href=mask_href,
        offset=offset,
        unit=unit,
        nodata=_nodata(finest, dialect),
        orbit=_text(item.properties.get("sat:orbit_state")),
        baseline=baseline_of(item.properties, item.id) if modality == "s2" else 0.0,
        mask_kind=mask_kind,
        usual_unit="" if unit else usual,
        backscatter=backscatter,
        scale=_scale(finest, dialect, modality),
        collection=item.collection_id or "",
        provider=dialect.provider,
        licence=licence_of(item),
        attribution=attribution_of(item, modality, date.year if date else None),
    )
    return replace(scene, decisions=_decisions(scene, offset_why, note))


def _finest_grid(item: pystac.Item, assets: Sequence[pystac.Asset]) -> tuple[PixelGrid, str, pystac.Asset]:
    """The finest that metadata tell, with its note and asset; where they tell none, that of the first raster.

    Bands come in the modality's order, which begins with the finest.
    """
    told = [(*grid_and_note, asset) for asset in assets if (grid_and_note := item_grid(item, asset))]
    if told:
        return min(told, key=lambda place: place[0].gsd_m)
    return open_raster(asset_href(assets[0])).grid, "", assets[0]


def _decisions(scene: Scene, offset_why: str, grid_note: str) -> tuple[str, ...]:
    """What was decided from metadata, and why, in words."""
    said: list[str] = []
    if scene.modality == "s2":
        offset = "unknown, taken as 0" if scene.offset is None else scene.offset
        mask = scene.mask_kind if scene.scl_href else "none"
        said += [f"offset {offset}: {offset_why}", f"cloud mask {mask}"]
    if scene.modality == "s1":
        usual = f"unit {scene.usual_unit}, usual of its product" if scene.usual_unit else "unit by its values"
        said += [f"unit {scene.unit}, as the asset says" if scene.unit else usual]
        said += [scene.backscatter or "sigma0 or gamma0 not told"]
    if scene.scale:
        said.append(f"scale {scene.scale:g}")
    return (*said, *([grid_note] if grid_note else []))


def _refuse_look_alike(reading: _Reading) -> None:
    if reading.dialect.refused:
        names = ", ".join(dict.fromkeys(_names(reading.layers))) or "none named"
        raise InputError(f"item {reading.item.id} is left out: {reading.dialect.refused}; its bands: {names}")


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _is_raster(asset: pystac.Asset) -> bool:
    media = asset.media_type or ""
    is_known = any(word in media for word in ("tiff", "jp2", "zarr")) or is_zarr(asset.href)
    return is_known or urlparse(asset.href).path.lower().endswith(RASTER_SUFFIXES)


def _rank(key: str, asset: pystac.Asset) -> tuple[float, bool]:
    """The finest pixel first, and GeoTIFF before JPEG 2000; where these are equal, the item's order holds."""
    is_jp2 = "jp2" in (asset.media_type or "") or urlparse(asset.href).path.lower().endswith(".jp2")
    sized = _SIZE.search(key)
    return float(sized.group()[1:-1]) if sized else 0.0, is_jp2


def _depth(key: str, asset: pystac.Asset, dialect: Dialect) -> tuple[bool, bool, bool]:
    """Of high-resolution images: the dialect's choice first, then those of eight bits."""
    deep = "analytic" in key.lower() or _text(_raster_field(asset, "data_type")) not in ("", "uint8")
    return not matches(key, dialect.prefer), deep, matches(key, COLOURS)


def asset_href(asset: pystac.Asset) -> str:
    """Absolute href of an asset; a path where it is a local file."""
    href = asset.get_absolute_href() or asset.href
    return unquote(urlparse(href).path) if href.startswith("file://") else href


def _plain(key: str) -> str:
    """`B02_10m` -> `B02`; `OPERA_..._v1.0_VV` -> `VV`."""
    polarisation = _POLARISATION.search(key)
    return polarisation.group(1) if polarisation else _SIZE.sub("", key)


def _names(layers: Mapping[str, Sequence[_Layer]]) -> list[str]:
    return [name for of in layers.values() for layer in of for name in layer.names if name]


def _level(item: pystac.Item, modality: str) -> str:
    fields = ("processing:level", "s2:product_type", "sar:product_type", "s2:product_uri")
    said = " ".join(
        [item.collection_id or "", *(_text(item.properties.get(f)) for f in fields), item.id]
    ).upper()
    pattern = r"L2A|L1C" if modality == "s2" else r"RTC|GRD"
    match = re.search(pattern, said) if modality != "hr" else None
    return match.group() if match else ""


def acquisition_time(
    at: datetime | None, properties: dict[str, Any]
) -> tuple[datetime | None, datetime, datetime]:
    """(date, start, end) in UTC. A range of a month at most counts as its middle; a longer one is no date."""
    if at is not None:
        at = utc(at)
        return at, at, at
    start, end = (utc(str_to_datetime(properties[key])) for key in ("start_datetime", "end_datetime"))
    return (start + (end - start) / 2 if end - start <= MONTH else None), start, end


def cloud_percent(value: object) -> float | None:
    """`eo:cloud_cover` as a number of 0 to 100; None for what is none, as -1, "" or null."""
    try:
        percent = float(str(value))
    except ValueError:
        return None
    return percent if 0 <= percent <= 100 else None


def _offset(item: pystac.Item, dialect: Dialect, asset: pystac.Asset) -> tuple[int | None, str]:
    if dialect.offset is not None:
        return dialect.offset, f"{dialect.provider} corrects it"
    declared = _number(_raster_field(asset, "offset"))
    said = item.properties, item.id, declared
    return s2_offset(*said), s2_offset_reason(*said)


def _mask(reading: _Reading) -> tuple[str | None, str]:
    """Href and kind of the finest raster that tells cloud and shadow."""
    named = [(reading.dialect.mask.asset, reading.dialect.mask.kind)] if reading.dialect.mask else []
    for pattern, kind in (*named, ("scl", "scl"), ("scl_*m", "scl")):
        masks = {k: a for k, a in reading.item.assets.items() if matches(k, [pattern])}
        if masks:
            key = min(masks, key=lambda key: _rank(key, masks[key]))
            return asset_href(masks[key]), kind
    return None, "scl"


def _radar(reading: _Reading, unit: str) -> tuple[str, str]:
    """Unit and backscatter that the collection, the product's name or its type say."""
    item, dialect = reading.item, reading.dialect
    spelled = spelled_in_name(dialect, reading.files)
    is_rtc = _level(item, "s1") == "RTC"
    usual = spelled.get("unit") or dialect.unit or ("power" if is_rtc else "")
    said = " ".join([*item.assets, *(role for a in item.assets.values() for role in a.roles or ()), unit])
    by_words = next((word for word in ("gamma0", "sigma0") if word in said.lower()), "")
    backscatter = spelled.get("backscatter") or dialect.backscatter or by_words
    return usual, backscatter or ("gamma0" if is_rtc else "")


def _scale(asset: pystac.Asset, dialect: Dialect, modality: str) -> float | None:
    """Reflectance of one digital number; a declared 1 says nothing (NICFI on Planetary Computer).

    None, too, where that is Sentinel-2's own 0.0001.
    """
    declared = _number(_raster_field(asset, "scale"))
    scale = dialect.scale if declared in (None, 0.0, 1.0) else declared
    return None if modality == "s2" and scale == S2_SCALE else scale


def _raster_field(asset: pystac.Asset, field: str) -> object:
    """A field of the asset, of its first band (STAC 1.1) or of its first raster:band (1.0)."""
    fields = asset.extra_fields
    first_bands = [(fields.get(key) or [{}])[0] for key in ("bands", "raster:bands")]
    names = (field, f"raster:{field}")
    every = (
        holder[name] for holder in (fields, *first_bands) for name in names if holder.get(name) is not None
    )
    return next(every, None)


def _number(value: object) -> float | None:
    return None if value is None else float(str(value))


def _nodata(asset: pystac.Asset, dialect: Dialect) -> float | None:
    number = _number(_raster_field(asset, "nodata"))
    if number is None:
        return dialect.nodata
    return None if math.isnan(number) else number  # NaN says of itself that it is no data
