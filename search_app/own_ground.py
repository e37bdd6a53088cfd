"""A background of one's own, from a file: a GeoTIFF, cut into tiles as they are looked at, or PMTiles."""

import io
from functools import lru_cache
from pathlib import Path

import numpy as np
import rasterio
from PIL import Image
from rasterio.enums import ColorInterp, Resampling
from rasterio.transform import from_origin
from rasterio.vrt import WarpedVRT

from indexer.errors import QueryError

TILE_PX = 256
HALF_M = 20_037_508.342789244  # of the square of web maps, EPSG:3857
SAMPLED_PX = 512  # along a side, to stretch by
PERCENT = 2, 98  # of the values, that are black and white
PMTILES, TILES = "ground.pmtiles", "ground/{z}/{x}/{y}.png"  # addresses
RGB = ColorInterp.red, ColorInterp.green, ColorInterp.blue
PMTILES_BEGIN = b"PMTiles\x03"


def address_of(ground: str) -> str:
    """Where the map finds a background, below the page's addresses; nothing for none."""
    return "" if not ground else PMTILES if Path(ground).suffix == ".pmtiles" else TILES


def check(ground: Path) -> None:
    """Raises QueryError for a file that is no background: neither PMTiles nor a raster with a place."""
    try:
        if ground.suffix == ".pmtiles":
            with ground.open("rb") as file:
                if file.read(len(PMTILES_BEGIN)) != PMTILES_BEGIN:
                    raise QueryError(f"{ground} is no PMTiles of version 3")
        else:
            with rasterio.open(ground) as raster:
                if raster.crs is None:
                    raise QueryError(f"{ground} does not say where it lies: expected a GeoTIFF with a CRS")
    except (OSError, rasterio.RasterioIOError) as error:
        raise QueryError(f"{ground} is no background ({error}): expected a GeoTIFF or .pmtiles") from error


def tile(ground: Path, z: int, x: int, y: int) -> bytes:
    """A tile as PNG, transparent where the raster has nothing. Raises QueryError for one that cannot be."""
    if not (0 <= z <= 30 and 0 <= x < 2**z and 0 <= y < 2**z):
        raise QueryError(f"there is no tile {z}/{x}/{y}")
    side = 2 * HALF_M / 2**z
    west, north = x * side - HALF_M, HALF_M - y * side
    with rasterio.open(ground) as raster:
        placed = {"crs": "EPSG:3857", "transform": from_origin(west, north, side / TILE_PX, side / TILE_PX)}
        size = {"width": TILE_PX, "height": TILE_PX, "add_alpha": not _has_alpha(raster)}
        with WarpedVRT(raster, **placed, **size, resampling=Resampling.bilinear) as web:
            read = web.read((*_shown(raster), web.count), out_dtype="float32")  # (4, H, W), alpha last
    low, high = stretch_of(ground)
    colours = np.clip((read[:3] - low[:, None, None]) / (high - low)[:, None, None], 0, 1) * 255
    pixels = np.moveaxis(np.concatenate([colours, (read[3:] > 0) * 255]), 0, -1).round().astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(file, "PNG")
    return file.getvalue()


@lru_cache(maxsize=4)
def stretch_of(ground: Path) -> tuple[np.ndarray, np.ndarray]:
    """What is black and what is white of the three colours: 0 and 255 of bytes, PERCENT of other values."""
    with rasterio.open(ground) as raster:
        if raster.dtypes[0] == "uint8":
            return np.zeros(3), np.full(3, 255.0)
        shape = (3, min(SAMPLED_PX, raster.height), min(SAMPLED_PX, raster.width))
        seen = raster.read(_shown(raster), out_shape=shape, masked=True, out_dtype="float32").filled(np.nan)
    if not np.isfinite(seen).any():
        return np.zeros(3), np.ones(3)
    low, high = np.nanpercentile(seen.reshape(3, -1), PERCENT, axis=1)
    return low, np.maximum(high, low + 1e-6)


def _has_alpha(raster: rasterio.DatasetReader) -> bool:
    return raster.colorinterp[-1] is ColorInterp.alpha


def _shown(raster: rasterio.DatasetReader) -> tuple[int, int, int]:
    """The bands that are red, green and blue: as they are said to be, the first three, or the first alone."""
    said = [raster.colorinterp.index(colour) + 1 for colour in RGB if colour in raster.colorinterp]
    if len(said) == 3:
        return said[0], said[1], said[2]
    colours = raster.count - _has_alpha(raster)
    return (1, 2, 3) if colours >= 3 else (1, 1, 1)
