"""Open rasters: each once per thread, and what cannot be reached left alone a while."""

import atexit
import math
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import rasterio
from affine import Affine
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp, Interleaving, MaskFlags
from rasterio.errors import CRSError, RasterioError

from .access import REMOTE, Access, UnreachableError, current, inside_archive, plain_href, unsigned
from .eopf import ZarrBand, is_zarr
from .gdal_files import RangeFile, open_files
from .grid import PixelGrid
from .remote import RemoteFile
from .sample import InputError
from .vrt import driver_of, is_vrt, read_head, vrt_files

OPEN_RASTERS = 96  # kept open by one thread of one process, at most
LARGEST_READ_BYTES = 2**31  # of one window of one raster, as it is stored; larger ones are refused
LEFT_ALONE = 9  # times the wait for a file that could not be reached, until it is asked for again
_COLOURS = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)


@dataclass(frozen=True)
class Raster:
    """An open raster and what every read of it needs."""

    dataset: rasterio.DatasetReader
    grid: PixelGrid
    has_mask: bool  # an internal mask or a true alpha band
    files: tuple[RangeFile, ...] = ()  # those that lie elsewhere

    @property
    def band_names(self) -> tuple[str | None, ...]:
        """Descriptions, or the colours of an image of 3 or 4 bands that has none."""
        names: tuple[str | None, ...] = tuple(self.dataset.descriptions)
        if any(names) or len(names) not in (3, 4) or tuple(self.dataset.colorinterp[:3]) != _COLOURS:
            return names
        return "red", "green", "blue", *names[3:]

    def raise_fault(self) -> None:
        """Raise what went wrong in reading its files, if anything did."""
        for file in self.files:
            if file.fault is not None:
                raise file.fault


@contextmanager
def image_faults(href: str, raster: Raster | None = None) -> Iterator[None]:
    """Turn what GDAL, NumPy and the system raise over one image into an InputError that says so.

    A fault of the network comes first: it raises UnreachableError.
    """
    try:
        yield
        if raster is not None:
            raster.raise_fault()
    except (RasterioError, CPLE_BaseError, CRSError, OSError, UnicodeError) as error:
        if raster is not None:
            raster.raise_fault()
        raise InputError(f"{unsigned(href)} is truncated or corrupt: {error}") from error
    except MemoryError as error:
        raise InputError(f"{unsigned(href)} needs more memory than there is") from error


def open_raster(href: str) -> Raster:
    """Open a path or an http(s), s3, gs or az address, and keep it open for the next call.

    Raises InputError when it is missing, broken, without CRS or not `current` access's to read;
    UnreachableError when its host does not answer.
    """
    href, access = plain_href(href), current()
    access.check(inside_archive(href) or href)
    with _leaving_alone(href):
        return _kept.get(_Key(href, access, file_stamp(href), os.getpid()))


_left_alone: dict[tuple[str, Access], tuple[float, str]] = {}  # what was not reached: until when, and why


@contextmanager
def _leaving_alone(href: str) -> Iterator[None]:
    """A file that cannot be reached is not asked for again at once: what shares it does not wait again."""
    key = href, current()
    until, reason = _left_alone.get(key, (0.0, ""))
    began = time.monotonic()
    if began < until:
        raise UnreachableError(reason)
    try:
        yield
    except UnreachableError as error:
        now = time.monotonic()
        _left_alone[key] = now + LEFT_ALONE * (now - began), str(error)
        raise


class _Key(NamedTuple):
    """A GDAL handle belongs to the file as it was and to one process, and `_Kept` to one thread."""

    href: str
    access: Access
    stamp: tuple[int, int]
    process: int


class _Kept(threading.local):
    """The rasters that a thread keeps open, the latest used last. It closes them itself."""

    def __init__(self) -> None:
        self.rasters: dict[_Key, Raster] = {}

    def get(self, key: _Key) -> Raster:
        raster = self.rasters.pop(key, None) or _open(key.href, key.access)
        self.rasters[key] = raster
        if len(self.rasters) > OPEN_RASTERS:
            self._close(next(iter(self.rasters)))
        return raster

    def forget(self, raster: Raster) -> None:
        """One whose files have failed is opened anew the next time."""
        for key in [key for key, kept in self.rasters.items() if kept is raster]:
            self._close(key)

    def clear(self) -> None:
        for key in list(self.rasters):
            self._close(key)

    def _close(self, key: _Key) -> None:
        self.rasters.pop(key).dataset.close()


_kept = _Kept()
atexit.register(_kept.clear)


def file_stamp(href: str) -> tuple[int, int]:
    """(size, time of change) of a local file, zeros of a remote one. Raises InputError when it is missing."""
    if href.startswith((*REMOTE, "/vsi")):
        return 0, 0
    try:
        status = Path(href).stat()
    except (OSError, ValueError) as error:
        raise InputError(f"no such raster: {href}") from error
    return status.st_size, status.st_mtime_ns


def _open(href: str, access: Access) -> Raster:
    files: tuple[RangeFile, ...] = ()
    try:
        with image_faults(href):
            dataset, files = _dataset(href, access)
            return _described(unsigned(href), dataset, files)
    except InputError:
        for file in files:
            if isinstance(file.fault, UnreachableError):
                raise file.fault from None
        raise


def _dataset(href: str, access: Access) -> tuple[rasterio.DatasetReader, tuple[RangeFile, ...]]:
    if is_zarr(href):
        return ZarrBand(href), ()
    if href.startswith(REMOTE):
        file = RemoteFile(href, access)
        return open_files({"image": file}, "image", driver_of(unsigned(href), file.head)), (file,)
    if inside_archive(href):
        driver = "JP2OpenJPEG" if href.lower().endswith((".jp2", ".j2k")) else "GTiff"
        return rasterio.open(href, driver=driver), ()
    head = read_head(href)
    if not is_vrt(href, head):
        return rasterio.open(href, driver=driver_of(href, head)), ()
    files = vrt_files(href, access)
    return open_files(files, "image", "VRT"), tuple(files.values())


def _described(href: str, dataset: rasterio.DatasetReader, files: tuple[RangeFile, ...]) -> Raster:
    _check_georeference(href, dataset)
    a, b, _, d, e, _ = tuple(dataset.transform)[:6]
    if not (math.isfinite(a * e - b * d) and a * e - b * d):
        raise InputError(f"{href} has a transform {tuple(dataset.transform)[:6]} that places no pixel")
    authority = dataset.crs.to_authority()
    crs = ":".join(authority) if authority else dataset.crs.to_wkt()
    grid = PixelGrid(crs, tuple(dataset.transform)[:6], dataset.shape)
    return Raster(dataset, grid, _has_mask(dataset), files)


def _check_georeference(href: str, dataset: rasterio.DatasetReader) -> None:
    """Raise InputError for a raster whose pixels cannot be placed on a map."""
    if dataset.transform != Affine.identity() and dataset.crs is not None:
        return
    if dataset.gcps[0]:
        raise InputError(
            f"{href} is placed by {len(dataset.gcps[0])} ground control points, as Sentinel-1 GRD is"
            " delivered, and lies on no map grid; expected a terrain-corrected raster: of Sentinel-1 take a"
            " product called RTC"
        )
    if dataset.crs is None:
        raise InputError(
            f"{href} has no CRS; expected a georeferenced raster: one whose pixels already lie on a map grid"
            " can be given its CRS with `rio edit-info --crs`"
        )
    raise InputError(
        f"{href} has the CRS {dataset.crs.to_string()} and no transform, so its pixels lie nowhere;"
        " expected a georeferenced raster"
    )


def _has_mask(dataset: rasterio.DatasetReader) -> bool:
    """Near infrared stored as the fourth band is often tagged as alpha: only an unnamed one or `alpha` is."""
    flags = dataset.mask_flag_enums[0]
    names = [
        name or "alpha"
        for name, role in zip(dataset.descriptions, dataset.colorinterp, strict=True)
        if role == ColorInterp.alpha
    ]
    return MaskFlags.per_dataset in flags and all(name.lower() == "alpha" for name in names)


@contextmanager
def reading(href: str) -> Iterator[Raster]:
    """An open raster, with `image_faults` inside; one that cannot be reached is let go."""
    raster = open_raster(href)
    try:
        with _leaving_alone(plain_href(href)), image_faults(href, raster):
            yield raster
    except UnreachableError:
        _kept.forget(raster)
        raise


def check_bands(href: str, raster: Raster, bands: Sequence[int]) -> None:
    """Raise InputError for a band (1-based) that is not there, and for blocks too large to be read."""
    count = raster.dataset.count
    if max(bands) > count:
        raise InputError(
            f"{unsigned(href)} has {count} bands; expected band {max(bands)}, which its item names"
        )
    dataset = raster.dataset
    block_h, block_w = dataset.block_shapes[bands[0] - 1]
    together = count if dataset.interleaving == Interleaving.pixel else 1
    size = block_h * block_w * together * np.dtype(dataset.dtypes[bands[0] - 1]).itemsize
    if size > LARGEST_READ_BYTES:
        raise InputError(
            f"{unsigned(href)} is stored in blocks of {block_h} x {block_w}, {size / 1e9:,.0f} GB each;"
            f" {LARGEST_READ_BYTES / 1e9:.0f} GB at most: store it in tiles"
        )
