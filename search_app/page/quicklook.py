"""A small picture of one row, drawn on demand from the rasters that the row was made from."""

import hashlib
import io
import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, radians
from pathlib import Path

import numpy as np
import rasterio
import shapely
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.warp import transform_bounds
from rasterio.windows import from_bounds

TITLES = {"hr": "Aerial", "s2": "Sentinel-2", "s1": "Sentinel-1"}  # in order of preference
DRIVER = "GTiff"  # a table may come from anyone: no VRT or XML that points elsewhere
MAX_DATES_TRIED = 4  # Sentinel-2 dates read in search of a clear one
GAMMA = 1 / 1.4
TRUE_COLOUR = ("B04", "B03", "B02")
INFRARED = ("B12", "B8A", "B05")  # what is left where the 10 m bands are missing
S1_RANGES_DB = ((-20.0, 0.0), (-27.0, -7.0), (2.0, 14.0))  # VV, VH, VV - VH as red, green, blue


@dataclass(frozen=True)
class Subject:
    """What a quicklook is of."""

    footprint_wkb: bytes  # polygon in lon/lat degrees
    source_items: tuple[str, ...]  # hrefs of rasters

    def key(self, modality: str, size_px: int) -> str:
        """Digest of everything the picture is made from."""
        parts = (self.footprint_wkb.hex(), *self.source_items, modality, str(size_px))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Quicklook:
    """A PNG, and what it shows; `found` is False for a placeholder."""

    png: bytes
    caption: str
    found: bool = True


@dataclass(frozen=True)
class _Source:
    """One raster that could be opened."""

    href: str
    modality: str  # "hr", "s2", "s1" or "" for bands that are none of these
    bands: tuple[str | None, ...]


def quicklook(subject: Subject, folder: Path | None, modality: str = "", size_px: int = 128) -> Quicklook:
    """The picture of a row, from `folder` if it was drawn before.

    Args:
        subject: footprint and rasters of the row.
        folder: where pictures are kept; None, or a folder that cannot be written, keeps nothing.
        modality: "hr", "s2" or "s1"; empty takes the first there is, in that order.
        size_px: length of the picture's longer side.
    """
    kept = folder / f"{subject.key(modality, size_px)}.png" if folder else None
    if kept and (found := _read_kept(kept, size_px)):
        return found
    drawn = draw(subject, modality, size_px)
    if kept and drawn.found:
        _keep(kept, drawn.png)
    return drawn


def draw(subject: Subject, modality: str = "", size_px: int = 128) -> Quicklook:
    """The picture of a row from its rasters, or a placeholder that says why there is none."""
    if not subject.source_items:
        return placeholder("no source named", size_px)
    found = [source for source in map(_describe, subject.source_items) if source]
    if not found:
        return placeholder("source is gone", size_px)
    for name in [modality] if modality else TITLES:
        sources = [source for source in found if source.modality == name]
        if sources:
            rgb, source, kind = _DRAW[name](sources, subject, size_px)
            caption = " · ".join(filter(None, (TITLES[name], kind, date_in(source.href))))
            return Quicklook(_png(rgb, caption), caption)
    return placeholder("no bands to show", size_px)


def modalities(subject: Subject) -> list[str]:
    """Which of "hr", "s2", "s1" the row's rasters can show."""
    found = {source.modality for source in map(_describe, subject.source_items) if source}
    return [name for name in TITLES if name in found]


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
    return Quicklook(_png(np.asarray(image), reason), reason, found=False)


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
    rgb = _read(sources[-1], (1, 2, 3), subject, size_px)
    return _bytes(rgb / 255), sources[-1], ""


def _draw_s2(sources: Sequence[_Source], subject: Subject, size_px: int) -> tuple[np.ndarray, _Source, str]:
    """The clearest of a few dates: cloud, haze and snow all brighten the shortest wavelength."""
    tried = [
        sources[i] for i in np.linspace(0, len(sources) - 1, min(len(sources), MAX_DATES_TRIED)).astype(int)
    ]
    bands = TRUE_COLOUR if set(TRUE_COLOUR) <= set(tried[0].bands) else INFRARED
    usable = [source for source in tried if set(bands) <= set(source.bands)]
    read = [(_read(s, [s.bands.index(b) + 1 for b in bands], subject, size_px), s) for s in usable]
    pixels, source = min(read, key=lambda pair: _murk(pair[0]))
    return stretch_reflectance(pixels), source, "" if bands is TRUE_COLOUR else "infrared " + "/".join(bands)


def _draw_s1(sources: Sequence[_Source], subject: Subject, size_px: int) -> tuple[np.ndarray, _Source, str]:
    source = sources[-1]
    vv, vh = _read(source, [source.bands.index(band) + 1 for band in ("VV", "VH")], subject, size_px)
    return stretch_backscatter(vv, vh), source, "VV/VH"


_DRAW = {"hr": _draw_hr, "s2": _draw_s2, "s1": _draw_s1}


def _murk(pixels: np.ndarray) -> float:
    """How cloudy or empty (3, H, W) looks: the upper quartile of its last band, plus much for each hole."""
    return float(np.percentile(pixels[-1], 75) + 20000 * (pixels[-1] == 0).mean())


def _describe(href: str) -> _Source | None:
    """What a raster holds; None where it cannot be opened."""
    try:
        with rasterio.open(href, driver=DRIVER) as raster:
            bands = tuple(raster.descriptions)
            return _Source(href, _modality(bands, raster.dtypes[0]), bands)
    except RasterioError:
        return None


def _modality(bands: tuple[str | None, ...], dtype: str) -> str:
    if {"VV", "VH"} <= set(bands):
        return "s1"
    if set(TRUE_COLOUR) <= set(bands) or set(INFRARED) <= set(bands):
        return "s2"
    return "hr" if dtype == "uint8" and len(bands) >= 3 else ""


def _read(source: _Source, indexes: Sequence[int], subject: Subject, size_px: int) -> np.ndarray:
    """Bands (C, H, W) float32 over the footprint, the longer side `size_px`; 0 or NaN outside the raster."""
    footprint = shapely.from_wkb(subject.footprint_wkb)
    shape = _shape_px(footprint.bounds, size_px)
    with rasterio.open(source.href, driver=DRIVER) as raster:
        bounds = transform_bounds("OGC:CRS84", raster.crs, *footprint.bounds)
        pixels: np.ndarray = raster.read(
            list(indexes),
            window=from_bounds(*bounds, transform=raster.transform),
            out_shape=(len(indexes), *shape),
            boundless=True,
            fill_value=raster.nodata or 0,
            resampling=Resampling.bilinear,
            out_dtype="float32",
        )
    return pixels


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
