"""Rasters of vectors in files that GDAL reads: COGs and other GeoTIFFs, local or remote."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window as RasterWindow

from ..grid import parse_crs
from ..raster import Raster, file_stamp, open_raster, reading
from ..sample import InputError
from .pixel_cells import LonLatBox, Window
from .vector_raster import Codes, Formula, Product, VectorRaster, year_period

CACHE_MB = 64
_PATIENCE = {"GDAL_HTTP_CONNECTTIMEOUT": 10, "GDAL_HTTP_MAX_RETRY": 3, "GDAL_HTTP_RETRY_DELAY": 1}  # seconds
COMPRESSED = 0.7  # stored bytes of a byte of codes, where the file does not say
YEAR = re.compile(r"(?<!\d)(20[0-4]\d)(?!\d)")


@dataclass(frozen=True)
class GdalRaster(VectorRaster):
    """A file of one band a dimension."""

    formula: Formula = "linear"
    scale: float = 1.0
    offset: float = 0.0
    nodata: float | None = None

    def read(self, window: Window) -> Codes:
        values = read_bands(self.href, window)
        return Codes(values, has_data(values, self.nodata), self.formula, self.scale, self.offset)

    @property
    def stamp(self) -> str:
        return "-".join(map(str, file_stamp(self.href)))


def open_vectors(href: str) -> Raster:
    """Open a path or address, public buckets without credentials. Raises InputError."""
    with rasterio.Env(**_options()):
        return open_raster(gdal_path(href))


def read_raster(
    href: str,
    *,
    product: Product,
    year: int | None = None,
    formula: Formula = "linear",
    scale: float = 1.0,
    offset: float = 0.0,
    nodata: float | None = None,
    box: LonLatBox | None = None,
) -> GdalRaster:
    """Any raster of vectors, as its caller says to read it; the year from the path where it is not given.

    Raises:
        InputError: a raster that cannot be read, has one band, holds complex numbers, or says no year.
    """
    raster = open_vectors(href)
    dataset = raster.dataset
    if dataset.count < 2:
        raise InputError(f"{href} has {dataset.count} band: expected one for each dimension of its vectors")
    if "complex" in dataset.dtypes[0]:
        raise InputError(f"{href} holds {dataset.dtypes[0]}: expected real numbers")
    declared = dataset.nodata if nodata is None else nodata
    return gdal_raster(
        href, raster, product=product, year=settled_year(href, year), box=box, nodata=declared,
        formula=formula, scale=scale, offset=offset,
    )  # fmt: skip


def gdal_raster(href: str, raster: Raster, *, year: int, name: str | None = None, **known: Any) -> GdalRaster:
    """An open file as a raster of vectors of one calendar year."""
    dataset = raster.dataset
    start, end = year_period(year)
    values: dict[str, Any] = {
        "href": gdal_path(href),
        "name": name or Path(href).stem,
        "start": start,
        "end": end,
        "grid": raster.grid,
        "dimension": dataset.count,
        "block": dataset.block_shapes[0],
        "bytes_per_pixel": _bytes_per_pixel(raster, href),
        "requests_per_block": dataset.count
        if dataset.interleaving == rasterio.enums.Interleaving.band
        else 1,
    }
    return GdalRaster(**(values | known))


def settled_year(href: str, asked: int | None, said: int | None = None) -> int:
    """The year of a file, by what it or its folders say; never another one than was asked for.

    Raises:
        InputError: another year, or none at all.
    """
    said = said or year_in_path(href)
    if said is not None and asked is not None and said != asked:
        raise InputError(f"{href} is of {said}, asked for was {asked}")
    year = said or asked
    if year is None:
        raise InputError(f"{href} does not say its year: give it with --year")
    return year


def year_in_path(href: str) -> int | None:
    """The year that a folder is named after, or that the file's name holds once."""
    *folders, name = href.replace("\\", "/").split("/")
    whole = [int(folder.split("=")[-1]) for folder in folders if re.fullmatch(r"(year=)?20[0-4]\d", folder)]
    in_name = {int(year) for year in YEAR.findall(name)}
    return whole[-1] if whole else in_name.pop() if len(in_name) == 1 else None


def gdal_path(href: str) -> str:
    """How GDAL opens an address: gs:// and s3:// of public buckets without credentials."""
    for scheme, driver in (("gs://", "/vsigs/"), ("s3://", "/vsis3/")):
        if href.startswith(scheme):
            return driver + href.removeprefix(scheme)
    return href


def read_bands(href: str, window: Window) -> NDArray[Any]:
    """All bands of a window (d, h, w). Raises InputError for a part that cannot be read, UnreachableError."""
    part = RasterWindow(window.col, window.row, window.width, window.height)
    try:
        with rasterio.Env(**_options()), reading(gdal_path(href)) as raster:
            return np.asarray(raster.dataset.read(window=part))
    except InputError as error:
        raise InputError(
            f"{href} is truncated or corrupt in rows {window.row} to {window.end_row}, columns {window.col} "
            f"to {window.end_col}: {error}"
        ) from error


def has_data(values: NDArray[Any], nodata: float | None) -> NDArray[np.bool_]:
    """Where every band (d, h, w) has data: (h, w).

    Floats that are not finite are none. `nodata` in any band is none; but 0 is an ordinary value of a vector,
    so where it is the mark all bands must have it.
    """
    real = values.dtype.kind == "f"
    valid = np.ones(values.shape[1:], np.bool_)
    if nodata == 0:
        valid = np.any(values != 0, axis=0)
    elif nodata is not None and not math.isnan(nodata) and _can_hold(values.dtype, nodata):
        if values.dtype.kind == "i" and nodata == np.iinfo(values.dtype).min:
            valid = values.min(axis=0) != nodata
        else:
            valid = np.all(values != values.dtype.type(nodata), axis=0)
    if real:
        for band in values:
            valid &= np.isfinite(band)
    return valid


def nominal_zone(crs: str, hemisphere: bool = True) -> LonLatBox | None:
    """The ground that a UTM zone owns: its six degrees, and its half of the globe unless it serves both.

    None for other projections.
    """
    code = parse_crs(crs).to_epsg()
    if code is None or not (32601 <= code <= 32660 or 32701 <= code <= 32760):
        return None
    middle = (code % 100) * 6 - 183
    if not hemisphere:
        return LonLatBox(middle, 3.0)
    return LonLatBox(middle, 3.0, south_deg=0.0) if code < 32700 else LonLatBox(middle, 3.0, north_deg=0.0)


def _can_hold(dtype: np.dtype[Any], value: float) -> bool:
    if dtype.kind == "f":
        return True
    limits = np.iinfo(dtype)
    return float(value).is_integer() and limits.min <= value <= limits.max


def _bytes_per_pixel(raster: Raster, href: str) -> float:
    dataset = raster.dataset
    size, _ = file_stamp(gdal_path(href))
    if size:
        return float(size / (dataset.height * dataset.width))
    return float(COMPRESSED * dataset.count * np.dtype(dataset.dtypes[0]).itemsize)


def _options() -> dict[str, Any]:
    """Blocks are read once, so little is kept; public buckets are read unsigned, unless there are keys."""
    options: dict[str, Any] = {"GDAL_CACHEMAX": CACHE_MB, **_PATIENCE}
    if not {"AWS_ACCESS_KEY_ID", "AWS_PROFILE"} & os.environ.keys():
        options["AWS_NO_SIGN_REQUEST"] = "YES"
    if not {"GOOGLE_APPLICATION_CREDENTIALS", "GS_ACCESS_KEY_ID"} & os.environ.keys():
        options["GS_NO_SIGN_REQUEST"] = "YES"
    return options
