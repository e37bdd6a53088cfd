"""Images, masks and box files of published sets -> arrays; what is not as it should be is named."""

import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import rasterio
from PIL import Image
from rasterio.errors import NotGeoreferencedWarning
from rasterio.warp import transform

from data.modality import MODALITIES
from data.sample import InputError

from .scene import Imagery, nowhere

COLOUR_SLACK = 8  # per channel: masks that were compressed or resampled stray so far
LARGEST_IMAGE_PX = 20_000**2  # beyond it an image is not one of these sets'
S2_ORDERS = {  # usual orders of Sentinel-2 files, by number of bands
    10: ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"),
    12: ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12"),
    13: ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12"),
}


def read_image(path: Path, mode: str = "RGB") -> np.ndarray:
    """An 8-bit image: (C, H, W) of `mode`, or (H, W) of mode L and P.

    Raises:
        InputError: no such image, or one that cannot be read.
    """
    try:
        with Image.open(path) as image:
            if image.width * image.height > LARGEST_IMAGE_PX:
                raise InputError(f"{path} has {image.width} x {image.height} px; expected fewer.")
            kept = image if image.mode == mode else image.convert(mode)
            pixels = np.asarray(kept)
    except (OSError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} cannot be read ({error}); expected an image.") from error
    return pixels.transpose(2, 0, 1) if pixels.ndim == 3 else pixels


def read_raster(path: Path) -> tuple[np.ndarray, tuple[str | None, ...]]:
    """A GeoTIFF: (C, H, W) and the names of its bands.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # many of these sets have no position
            with rasterio.open(path) as raster:
                return raster.read(), raster.descriptions
    except rasterio.errors.RasterioError as error:
        raise InputError(f"{path} cannot be read ({error}); expected a GeoTIFF.") from error


def centre_of(raster: rasterio.DatasetReader) -> tuple[float, float]:
    """Longitude and latitude of a raster's centre; NaN where it does not say where it lies."""
    if raster.crs is None:
        return nowhere()
    x, y = raster.transform * (raster.width / 2, raster.height / 2)
    (lon,), (lat,) = transform(raster.crs, "OGC:CRS84", [x], [y])
    return lon, lat


def s2_bands(path: Path, pixels: np.ndarray, names: Sequence[str | None]) -> np.ndarray:
    """The ten bands of data/modality.py out of 10, 12 or 13, by name where files give names.

    Raises:
        InputError: another number of bands, or one that is missing.
    """
    known = tuple(str(name) for name in names if name)
    order = known if len(known) == len(pixels) else S2_ORDERS.get(len(pixels), ())
    missing = [band for band in MODALITIES["s2"].bands if band not in order]
    if missing:
        raise InputError(
            f"{path} has {len(pixels)} bands ({', '.join(known) or 'unnamed'}), not {', '.join(missing)}; "
            "expected 10, 12 or 13 Sentinel-2 bands in their usual order, or named."
        )
    return pixels[[order.index(band) for band in MODALITIES["s2"].bands]]


def s2_imagery(pixels: np.ndarray, days: np.ndarray, where: str) -> Imagery:
    """Reflectance x 10000 (T, 10, H, W); a pixel is valid where some band is above zero.

    Raises:
        InputError: values in another unit.
    """
    valid = np.asarray((pixels > 0).any(axis=1))
    check_unit("s2", pixels, valid, where)
    return Imagery(np.clip(pixels, 0, 65535).astype(np.uint16), valid, days.astype(np.int16))


def s1_imagery(pixels: np.ndarray, days: np.ndarray, where: str) -> Imagery:
    """Backscatter in dB (T, 2, H, W): VV, VH; a pixel is valid where both are finite.

    Raises:
        InputError: values in another unit.
    """
    pixels = pixels.astype(np.float32)
    valid = np.asarray(np.isfinite(pixels).all(axis=1))
    check_unit("s1", pixels, valid, where)
    return Imagery(pixels, valid, days.astype(np.int16))


def check_unit(name: str, pixels: np.ndarray, valid: np.ndarray, where: str) -> None:
    """Medians of bands outside what the unit can be are a mix-up, not a scene."""
    if not valid.any():
        return
    modality = MODALITIES[name]
    medians = np.median(pixels.swapaxes(0, 1)[:, valid], axis=1)
    low, high = modality.valid_range
    too_small = name == "s2" and medians.max() < 30  # reflectance of 0-1
    positive_db = name == "s1" and (medians > 0).all()  # linear power
    if medians.max() > high or medians.min() < low or too_small or positive_db:
        raise InputError(
            f"{where}: medians per band are {np.round(medians, 3).tolist()}; expected {modality.unit}."
        )


def colour_codes(path: Path, legend: Mapping[tuple[int, int, int], int]) -> np.ndarray:
    """A mask painted in colours -> (H, W) int16 codes.

    Raises:
        InputError: a colour that the legend does not have.
    """
    pixels = read_image(path).astype(np.int64)
    packed = (pixels[0] << 16) | (pixels[1] << 8) | pixels[2]
    colours, inverse = np.unique(packed, return_inverse=True)
    codes = np.empty(len(colours), dtype=np.int16)
    for i, colour in enumerate(colours):
        rgb = (int(colour) >> 16, int(colour) >> 8 & 255, int(colour) & 255)
        near = min(legend, key=lambda known: max(abs(a - b) for a, b in zip(known, rgb, strict=True)))
        if max(abs(a - b) for a, b in zip(near, rgb, strict=True)) > COLOUR_SLACK:
            at = int((inverse == i).sum())
            raise InputError(
                f"{path} has {at} pixels of colour {rgb}, which is in no class; expected {sorted(legend)}."
            )
        codes[i] = legend[near]
    return codes[inverse].reshape(packed.shape)


def known_codes(path: Path, mask: np.ndarray, allowed: Sequence[int]) -> np.ndarray:
    """The mask itself as int16.

    Raises:
        InputError: a code outside the legend.
    """
    strange = sorted(set(np.unique(mask).tolist()) - set(allowed))
    if strange:
        raise InputError(f"{path} has the codes {strange}; expected {sorted(allowed)}.")
    return mask.astype(np.int16)


def read_xml(path: Path) -> ElementTree.Element:
    """The root of a box file.

    Raises:
        InputError: it is not there, or no XML, or declares entities of its own.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}); expected the boxes of an image.") from error
    if "<!ENTITY" in text or "<!DOCTYPE" in text:
        raise InputError(f"{path} declares entities; expected a plain box file.")
    try:
        return ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise InputError(f"{path} is no XML ({error}); expected the boxes of an image.") from error


def numbers(path: Path, node: ElementTree.Element | None, names: Sequence[str]) -> list[float]:
    """Values of a node's children.

    Raises:
        InputError: one is missing or no number.
    """
    texts = [node.findtext(name) for name in names] if node is not None else []
    present = [text for text in texts if text is not None]
    if len(present) < len(names):
        raise InputError(f"{path}: a box lacks some of {', '.join(names)}.")
    try:
        return [float(text) for text in present]
    except ValueError as error:
        raise InputError(f"{path}: {error}; expected numbers in {', '.join(names)}.") from error


def class_code(path: Path, name: str | None, classes: Mapping[str, int]) -> int:
    """Position of a class.

    Raises:
        InputError: the name is in no legend.
    """
    if name is None or name.strip() not in classes:
        raise InputError(f"{path} names the class {name!r}; expected one of {', '.join(classes)}.")
    return classes[name.strip()]
