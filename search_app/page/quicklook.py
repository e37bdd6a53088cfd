"""A small picture of one row, drawn on demand from its own rasters, or from scenes attached to the table."""

import hashlib
import io
import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import cos, radians
from pathlib import Path

import numpy as np
import rasterio
import shapely
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo
from rasterio.enums import Resampling
from rasterio.warp import transform_bounds
from rasterio.windows import Window, from_bounds

from data.access import EVERYTHING, Access, UnreachableError, inside_archive, plain_href, using
from data.eopf import is_zarr
from data.modality import HR
from data.raster import check_bands, reading
from data.sample import InputError
from data.scene import BandSource
from pipeline.attached_scenes import AttachedScene

from .stand_in import Hexagon, draw_hexagons

TITLES = {"hr": "Aerial", "s2": "Sentinel-2", "s1": "Sentinel-1"}  # in order of preference
LARGEST_PX = 2**26  # of a band of a raster, read for one picture
MAX_DATES_TRIED = 4  # Sentinel-2 dates read in search of a clear one
GAMMA = 1 / 1.4
TRUE_COLOUR = ("B04", "B03", "B02")
INFRARED = ("B12", "B8A", "B05")  # what is left where the 10 m bands are missing
S1_RANGES_DB = ((-20.0, 0.0), (-27.0, -7.0), (2.0, 14.0))  # VV, VH, VV - VH as red, green, blue


@dataclass(frozen=True)
class Subject:
    """What a quicklook is of."""

    footprint_wkb: bytes  # polygon in lon/lat degrees
    source_items: tuple[str, ...]  # hrefs of rasters that the row was made from
    access: Access = EVERYTHING  # which of them may be read
    attached: tuple[AttachedScene, ...] = ()  # others of its place and period, where it names none
    ground: str = ""  # the map's background, where there are none either
    hexagons: tuple[Hexagon, ...] = ()  # and what there is without that

    @property
    def hrefs(self) -> tuple[str, ...]:
        """Rasters that the picture may be read from."""
        beside = (band.href for scene in self.attached for band in scene.bands)
        return self.source_items or (*beside,) or ((self.ground,) if self.ground else ())

    def key(self, modality: str, size_px: int) -> str:
        """Digest of everything the picture is made from."""
        parts = (self.footprint_wkb.hex(), *(self.hrefs or map(repr, self.hexagons)), modality, str(size_px))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Quicklook:
    """A PNG, and what it shows; `is_drawn` is False for a placeholder."""

    png: bytes
    caption: str
    is_drawn: bool = True


@dataclass(frozen=True)
class _Source:
    """One date of one sensor, in one raster or in one a band."""

    modality: str  # "hr", "s2", "s1" or "" for bands that are none of these
    date: str
    bands: Mapping[str, BandSource]  # by name
    offset: int = 0  # to add to Sentinel-2 digital numbers
    scale: float = 1.0  # to multiply them by, then

    def band(self, *names: str) -> list[BandSource]:
        return [self.bands[name] for name in names]


def quicklook(subject: Subject, folder: Path | None, modality: str = "", size_px: int = 128) -> Quicklook:
    """The picture of a row, from `folder` if it was drawn before.

    Args:
        subject: footprint and rasters of the row.
        folder: where pictures are kept; None, or a folder that cannot be written, keeps nothing.
        modality: "hr", "s2" or "s1"; empty takes the first there is, in that order.
        size_px: length of the picture's longer side.
    """
    kept = folder / f"{subject.key(modality, size_px)}.png" if folder else None
    if kept and (picture := _read_kept(kept, size_px)):
        return picture
    drawn = draw(subject, modality, size_px)
    if kept and drawn.is_drawn:
        _keep(kept, drawn.png)
    return drawn


def draw(subject: Subject, modality: str = "", size_px: int = 128) -> Quicklook:
    """The picture of a row from its rasters, or a placeholder that says why there is none."""
    if not subject.hrefs:
        if not subject.hexagons:
            return placeholder("no source named", size_px)
        caption = "Its neighbourhood in false colours of the vectors"
        return Quicklook(_png(draw_hexagons(subject.hexagons, size_px), caption), caption)
    sources = _sources(subject)
    if isinstance(sources, str):
        return placeholder(sources, size_px)
    beside = "" if subject.source_items else "not what the vector is of"
    for name in [modality] if modality else TITLES:
        dates = [source for source in sources if source.modality == name]
        if dates:
            try:
                rgb, source, kind = _DRAW[name](dates, subject, size_px)
            except (InputError, UnreachableError, shapely.errors.GEOSException):
                return placeholder("cannot be read", size_px)
            title = TITLES[name] if subject.source_items or subject.attached else "The map's background"
            caption = " · ".join(filter(None, (title, kind, source.date, beside)))
            return Quicklook(_png(rgb, caption), caption)
    return placeholder("no bands to show", size_px)


def modalities(subject: Subject) -> list[str]:
    """Which of "hr", "s2", "s1" its rasters can show; "" alone where false colours stand in."""
    if not subject.hrefs and subject.hexagons:
        return [""]
    sources = _sources(subject)
    held = set() if isinstance(sources, str) else {source.modality for source in sources}
    return [name for name in TITLES if name in held]


def is_allowed(href: str, access: Access) -> bool:
    """Whether a raster may be read."""
    try:
        href = plain_href(href)
        access.check(inside_archive(href) or href)
    except InputError:
        return False
    return True


def placeholder(reason: str, size_px: int) -> Quicklook:
    """A hatched square that says why there is no picture."""
    image = Image.new("RGB", (size_px, size_px), (226, 232, 240))
    pen = ImageDraw.Draw(image)
    for start in range(-size_px, size_px, 12):
        pen.line([(start, size_px), (start + size_px, 0)], fill=(211, 218, 228))
    pen.text(
        (size_px / 2, size_px / 2),
        "\n".join(reason.rsplit(" ", 1)),
        fill=(71, 85, 105),
        anchor="mm",
        align="center",
        font_size=max(10, size_px // 9),
    )
    return Quicklook(_png(np.asarray(image), reason), reason, is_drawn=False)


def stretch_reflectance(pixels: np.ndarray) -> np.ndarray:
    """Reflectance x 10000 (3, H, W) to RGB (H, W, 3) uint8; 0 is nodata and black.

    White lies at 0.3, so that pictures compare; snow, sand and cloud move it up, as far as 1.
    """
    known = pixels[:, pixels.any(axis=0)]
    white = float(np.clip(np.percentile(known, 98), 3000, 10000)) if known.size else 3000.0
    return _bytes(np.clip(pixels / white, 0, 1) ** GAMMA)


def stretch_backscatter(vv: np.ndarray, vh: np.ndarray) -> np.ndarray:
    """VV and VH (H, W) in dB to the usual false colour (H, W, 3) uint8: VV, VH, their ratio; NaN is black."""
    channels = [
        np.clip((band - low) / (high - low), 0, 1)
        for band, (low, high) in zip((vv, vh, vv - vh), S1_RANGES_DB, strict=True)
    ]
    return _bytes(np.nan_to_num(np.stack(channels)))


def date_in(href: str) -> str:
    """`2018-08-02` where the file's name holds 20180802 or 2018-08-02, else an empty string."""
    match = re.search(r"((?:19|20)\d\d)-?(0[1-9]|1[0-2])-?([0-3]\d)(?!\d)", href.rsplit("/", 1)[-1])
    return "-".join(match.groups()) if match else ""


def _draw_hr(sources: Sequence[_Source], subject: Subject, size_px: int) -> tuple[np.ndarray, _Source, str]:
    rgb = _read(sources[-1].band(*HR.bands), subject, size_px)
    return _bytes(rgb / 255), sources[-1], ""


def _draw_s2(sources: Sequence[_Source], subject: Subject, size_px: int) -> tuple[np.ndarray, _Source, str]:
    """The clearest of a few dates: cloud, haze and snow all brighten the shortest wavelength."""
    tried = [
        sources[i] for i in np.linspace(0, len(sources) - 1, min(len(sources), MAX_DATES_TRIED)).astype(int)
    ]
    bands = TRUE_COLOUR if set(TRUE_COLOUR) <= set(tried[0].bands) else INFRARED
    usable = [source for source in tried if set(bands) <= set(source.bands)]
    read = [(_reflectance(s, bands, subject, size_px), s) for s in usable]
    pixels, source = min(read, key=lambda pair: _murk(pair[0]))
    return stretch_reflectance(pixels), source, "" if bands is TRUE_COLOUR else "infrared " + "/".join(bands)


def _draw_s1(sources: Sequence[_Source], subject: Subject, size_px: int) -> tuple[np.ndarray, _Source, str]:
    source = sources[-1]
    vv, vh = _decibel(_read(source.band("VV", "VH"), subject, size_px))
    return stretch_backscatter(vv, vh), source, "VV/VH"


_DRAW = {"hr": _draw_hr, "s2": _draw_s2, "s1": _draw_s1}


def _reflectance(source: _Source, bands: Sequence[str], subject: Subject, size_px: int) -> np.ndarray:
    """Reflectance x 10000 (3, H, W), 0 = nodata."""
    numbers = _read(source.band(*bands), subject, size_px)
    return np.where(numbers == 0, 0, np.maximum(numbers + source.offset, 1) * source.scale)


def _decibel(backscatter: np.ndarray) -> np.ndarray:
    """Backscatter in dB: land reflects less than all, so that a median above 0 is of power."""
    if not np.nanmedian(backscatter) > 0:
        return backscatter
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(backscatter > 0, 10 * np.log10(backscatter), np.nan)


def _murk(pixels: np.ndarray) -> float:
    """How cloudy or empty (3, H, W) looks: the upper quartile of its last band, plus much for each hole."""
    return float(np.percentile(pixels[-1], 75) + 20000 * (pixels[-1] == 0).mean())


def _sources(subject: Subject) -> list[_Source] | str:
    """What can be shown, or why there is none."""
    if subject.attached and not subject.source_items:
        sources = [_attached(scene) for scene in subject.attached]
        return [one for one in sources if _is_open(one, subject.access)] or "not allowed yet"
    allowed = [href for href in subject.hrefs if is_allowed(href, subject.access)]
    if not allowed:
        return "not allowed yet"
    described = [_describe(href, subject.access) for href in allowed]
    opened = [source for source in described if isinstance(source, _Source)]
    return opened or str(described[0])


def _describe(href: str, access: Access) -> _Source | str:
    """What a raster holds, or why it cannot be opened."""
    if is_zarr(href):
        return "no bands to show"
    try:
        with using(access), reading(href) as raster:
            named = raster.band_names
            modality = _modality(named, raster.dataset.dtypes[0])
            names = (*HR.bands, *named[3:]) if modality == "hr" else named
            bands = {name: BandSource(name, href, i) for i, name in enumerate(names, 1) if name}
            return _Source(modality, date_in(href), bands)
    except InputError:
        return "source is gone"
    except UnreachableError:
        return "not reached"


def _attached(scene: AttachedScene) -> _Source:
    scale = 1.0 if scene.scale is None else 10_000 * scene.scale
    return _Source(scene.modality, scene.date, {b.name: b for b in scene.bands}, scene.offset, scale)


def _is_open(source: _Source, access: Access) -> bool:
    return all(is_allowed(band.href, access) for band in source.bands.values())


def _modality(bands: tuple[str | None, ...], dtype: str) -> str:
    if {"VV", "VH"} <= set(bands):
        return "s1"
    if set(TRUE_COLOUR) <= set(bands) or set(INFRARED) <= set(bands):
        return "s2"
    return "hr" if dtype == "uint8" and len(bands) >= 3 else ""


def _read(bands: Sequence[BandSource], subject: Subject, size_px: int) -> np.ndarray:
    """Bands (C, H, W) float32 over the footprint, the longer side `size_px`; 0 or NaN outside the raster."""
    if len({band.href for band in bands}) == 1:
        return _read_raster(bands[0].href, [band.index for band in bands], subject, size_px)
    return np.concatenate([_read_raster(band.href, [band.index], subject, size_px) for band in bands])


def _read_raster(href: str, indexes: Sequence[int], subject: Subject, size_px: int) -> np.ndarray:
    footprint = shapely.from_wkb(subject.footprint_wkb)
    shape = _shape_px(footprint.bounds, size_px)
    with using(subject.access), reading(href) as raster:
        check_bands(href, raster, indexes)
        dataset = raster.dataset
        bounds = transform_bounds("OGC:CRS84", dataset.crs, *footprint.bounds)
        window = from_bounds(*bounds, transform=dataset.transform)
        pixels = np.full((len(indexes), *shape), dataset.nodata or 0, np.float32)
        part, place = _part_inside(dataset, window, shape)
        if part is not None:
            _check_size(href, dataset, part, pixels[place].shape[1:])
            pixels[place] = dataset.read(
                list(indexes),
                window=part,
                out_shape=pixels[place].shape,
                resampling=Resampling.bilinear,
                out_dtype="float32",
            )
    return pixels


def _part_inside(
    dataset: rasterio.DatasetReader, window: Window, shape: tuple[int, int]
) -> tuple[Window | None, tuple[slice, slice, slice]]:
    """What of a window lies in the raster, and where that is in a picture (C, H, W) of the window."""
    bounds, places = [], [slice(None)]
    for offset, length, count, size in (
        (window.row_off, window.height, dataset.height, shape[0]),
        (window.col_off, window.width, dataset.width, shape[1]),
    ):
        first, last = max(offset, 0.0), min(offset + length, float(count))
        place = slice(round((first - offset) / length * size), round((last - offset) / length * size))
        bounds += [first, last - first]
        places.append(place)
        if place.start >= place.stop:
            return None, (slice(0), slice(0), slice(0))
    row, height, col, width = bounds
    return Window(col, row, width, height), (places[0], places[1], places[2])


def _check_size(href: str, dataset: rasterio.DatasetReader, part: Window, shape: tuple[int, ...]) -> None:
    """Raises InputError where a large raster has no coarser copies to draw a small picture from."""
    factor = min(part.height / shape[0], part.width / shape[1])
    coarser = max([1, *(level for level in dataset.overviews(1) if level <= factor)])
    if part.height * part.width > LARGEST_PX * coarser**2:
        raise InputError(f"{href} has no overviews for a picture of {part.height:.0f} x {part.width:.0f}")


def _shape_px(bounds: tuple[float, float, float, float], size_px: int) -> tuple[int, int]:
    """(H, W) of a picture of the box in degrees, true to its sides in metres."""
    west, south, east, north = bounds
    width, height = (east - west) * cos(radians((south + north) / 2)), north - south
    scale = size_px / max(width, height)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _bytes(channels: np.ndarray) -> np.ndarray:
    """(3, H, W) in 0..1 to (H, W, 3) uint8."""
    return np.moveaxis(channels * 255, 0, -1).round().astype(np.uint8)


def _png(rgb: np.ndarray, title: str) -> bytes:
    file, info = io.BytesIO(), PngInfo()
    info.add_text("Title", title)
    Image.fromarray(rgb).save(file, "PNG", pnginfo=info)
    return file.getvalue()


def _read_kept(path: Path, size_px: int) -> Quicklook | None:
    """A picture that was kept; None where there is none, or a damaged one, which is drawn again."""
    try:
        png = path.read_bytes()
        image = Image.open(io.BytesIO(png), formats=["PNG"])
        image.verify()  # the checksums of its pieces
        caption = str(image.info.get("Title", ""))
        return Quicklook(png, caption) if max(image.size) == size_px else None
    except (OSError, SyntaxError, ValueError, zlib.error, struct.error, Image.DecompressionBombError):
        return None


def _keep(path: Path, png: bytes) -> None:
    """Write the picture if the folder can be written; a table may well be read-only."""
    try:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(png)
    except OSError:
        return
