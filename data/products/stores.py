"""Zarr v3 stores and Icechunk repositories of vectors: their groups, grids, years, and windows of them.

Needs the packages of the `zarr` extra, and says so where they are missing.
"""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import numpy as np
from numpy.typing import NDArray

from ..access import current
from ..bucket import patience
from ..grid import PixelGrid
from ..sample import InputError
from .pixel_cells import Window
from .raster import has_data
from .vector_raster import Codes, VectorRaster

AXES = {"y": "y", "northing": "y", "lat": "y", "latitude": "y",
        "x": "x", "easting": "x", "lon": "x", "longitude": "x", "time": "time", "band": "band"}  # fmt: skip
PUBLIC_BUCKETS = {"tessera-embeddings": "us-west-2", "us-west-2.opendata.source.coop": "us-west-2"}
COMPRESSED = 0.7  # stored bytes of a byte of codes, about


@dataclass(frozen=True)
class StoreRaster(VectorRaster):
    """One year of one group: `embeddings` with axes time, band, y and x in any order, maybe `scales`."""

    group: str = ""
    time: int = 0  # index of the year
    signed_square: bool = False
    nodata: float | None = None
    scaled: bool = False

    def read(self, window: Window) -> Codes:
        group = open_group(self.href, self.group)
        values = _read(group["embeddings"], self.time, window, f"{self.href}: {self.group}")  # (d, h, w)
        if self.signed_square:
            return Codes(values, has_data(values, self.nodata), "signed-square")
        if not self.scaled:
            return Codes(values, has_data(values, self.nodata))
        scale = _read(group["scales"], self.time, window, f"{self.href}: {self.group}")  # (h, w)
        return scaled_codes(values, scale)

    @property
    def stamp(self) -> str:
        return version_of(self.href)


def scaled_codes(values: NDArray[Any], scale: NDArray[Any]) -> Codes:
    """Codes (d, h, w) with a scale for each pixel (h, w), or for each value (d, h, w).

    A scale that is not finite, or not between 0 and 1, says that there is no data.
    """
    with np.errstate(invalid="ignore"):
        good = np.asarray((scale > 0) & (scale < 1))  # NaN and infinity are neither
    scale = np.where(good, scale, 0).astype(np.float32)
    if scale.ndim == 3:
        return Codes(values * scale, np.asarray(good.all(axis=0)))
    return Codes(values, np.asarray(good), scale=scale)


def open_group(href: str, path: str = "") -> Any:
    """A group of a store, the root by default.

    Raises:
        InputError: no such store or group, or the package that reads it is not installed.
    """
    root = _root(href, os.getpid(), version_of(href))
    if not path:
        return root
    if path not in root:
        raise InputError(f"{href} has no group {path}: it has {', '.join(sorted(root)) or 'none'}")
    return root[path]


def years_of(group: Any, href: str) -> list[int]:
    """The calendar years along the time axis of a group."""
    if "time" not in group:
        raise InputError(f"{href} has no time axis: expected years")
    array = group["time"]
    values = np.asarray(array[:])
    if values.dtype.kind in "iu" and str(array.attrs.get("units", "")).startswith("nanoseconds since 1970"):
        values = values.astype("datetime64[ns]")
    if values.dtype.kind == "M":
        return [int(year) + 1970 for year in values.astype("datetime64[Y]").astype(np.int64)]
    if values.dtype.kind in "iu" and ((values > 1900) & (values < 2200)).all():
        return [int(year) for year in values]
    raise InputError(f"{href}: its times {values[:3].tolist()} are neither years nor dates")


def year_index(group: Any, href: str, year: int | None) -> tuple[int, int]:
    """(index, year) of the year asked for, or of the only one. Raises InputError."""
    years = years_of(group, href)
    if year is None and len(years) == 1:
        year = years[0]
    if year not in years:
        asked = "give one with --year" if year is None else f"asked for was {year}"
        raise InputError(f"{href} holds the years {', '.join(map(str, years))}: {asked}")
    return years.index(year), year


def grid_of(group: Any, crs: str, href: str) -> PixelGrid:
    """The pixel grid of a group, by the centres along its axes, or by its `spatial:transform`.

    `spatial:transform` is in the order of an affine matrix, (a, b, c, d, e, f). Raises InputError.
    """
    shape = axis_sizes(group["embeddings"])
    size = (shape["y"], shape["x"])
    centres = {AXES[name]: group[name] for name in group if AXES.get(name) in ("x", "y")}
    if {"x", "y"} <= centres.keys() and min(size) > 1:
        step = {axis: _step(values, f"{href}: {axis}") for axis, values in centres.items()}
        left, top = (float(centres[axis][0]) - step[axis] / 2 for axis in ("x", "y"))
        return PixelGrid(crs, (step["x"], 0.0, left, 0.0, step["y"], top), size)
    transform = group.attrs.get("spatial:transform")
    if not isinstance(transform, list) or len(transform) < 6:
        raise InputError(f"{href} has neither axes x and y nor a spatial:transform")
    a, b, c, d, e, f = (float(value) for value in transform[:6])
    return PixelGrid(crs, (a, b, c, d, e, f), size)


def axis_sizes(array: Any) -> dict[str, int]:
    """How long each axis of an array is."""
    return dict(zip(_axes(array), array.shape, strict=True))


def block_of(array: Any) -> tuple[int, int]:
    """(height, width) of an array's chunks."""
    chunk = dict(zip(_axes(array), array.chunks, strict=True))
    return chunk["y"], chunk["x"]


def version_of(href: str) -> str:
    """Changes when a store is written again, as far as can be told: remote ones are taken as they are."""
    if "://" in href:
        return ""
    try:
        status = Path(href).stat()
    except OSError as error:
        raise InputError(f"no such store: {href}") from error
    return f"{status.st_mtime_ns}"


def is_store(href: str) -> bool:
    """Whether an address is that of a store."""
    return href.rstrip("/").endswith((".zarr", ".icechunk")) or (
        "://" not in href and Path(href, "zarr.json").is_file()
    )


def _axes(array: Any) -> list[str]:
    names = array.metadata.dimension_names or ("time", "band", "y", "x")[-array.ndim :]
    return [AXES.get(name, name) for name in names]


def _step(values: Any, what: str) -> float:
    ends = np.asarray(values[:2]), float(values[values.shape[0] - 1])
    step = float(ends[0][1] - ends[0][0])
    mean = float((ends[1] - float(ends[0][0])) / (values.shape[0] - 1))
    if step == 0 or abs(step - mean) > 1e-6 * abs(step):
        raise InputError(
            f"{what} is not evenly spaced: steps of {step:g} at its start, of {mean:g} on average"
        )
    return mean


def _read(array: Any, time: int, window: Window, what: str) -> NDArray[Any]:
    """(d, h, w), or (h, w) of an array without bands."""
    axes = _axes(array)
    index = {
        "time": time,
        "band": slice(None),
        "y": slice(window.row, window.end_row),
        "x": slice(window.col, window.end_col),
    }
    unknown = [axis for axis in axes if axis not in index]
    if unknown:
        raise InputError(f"{what} has an axis {unknown[0]}: expected time, band, y and x")
    try:
        values = np.asarray(array[tuple(index[axis] for axis in axes)])
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{what} cannot be read: {error}") from error
    left = [axis for axis in axes if axis != "time"]
    order = [left.index(axis) for axis in ("band", "y", "x") if axis in left]
    return np.ascontiguousarray(values.transpose(order))


@lru_cache(maxsize=8)
def _root(href: str, process: int, version: str) -> Any:
    zarr = _package("zarr")
    try:
        store = _icechunk(href) if href.rstrip("/").endswith(".icechunk") else _zarr(href)
        return zarr.open_group(store, mode="r")
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(f"{href} is no store that can be read: {error}") from error


def _zarr(href: str) -> Any:
    if "://" not in href:
        return href
    from obstore.store import from_url

    options = patience(current())
    if href.startswith(("s3://", "gs://")):
        options["skip_signature"] = True
    region = PUBLIC_BUCKETS.get(urlparse(href).netloc)
    if region and href.startswith("s3://"):
        options["region"] = region
    return _package("zarr.storage").ObjectStore(from_url(href.rstrip("/"), **options), read_only=True)


def _icechunk(href: str) -> Any:
    icechunk = _package("icechunk")
    place = urlparse(href)
    if place.scheme == "s3":
        region = PUBLIC_BUCKETS.get(place.netloc)
        public = {"region": region, "anonymous": True} if region else {"from_env": True}
        storage = icechunk.s3_storage(bucket=place.netloc, prefix=place.path.strip("/"), **public)
    elif place.scheme:
        raise InputError(f"{href}: an Icechunk repository is read from s3:// or a local path")
    else:
        storage = icechunk.local_filesystem_storage(href)
    try:
        return icechunk.Repository.open(storage).readonly_session(branch="main").store
    except icechunk.IcechunkError as error:
        raise InputError(f"{href} is no Icechunk repository that can be read: {error}") from error


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(f"this needs the package {name}: install skyhex with its extra [zarr]") from error
