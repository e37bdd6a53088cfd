"""AlphaEarth Foundations: Google's annual tiles, copies and mosaics of them, and embeddings made to order.

Codes are 8-bit signed square roots, vector = (code / 127.5)**2 with the code's sign; -128 in any band is no
data (https://developers.google.com/earth-engine/datasets/catalog/GOOGLE_SATELLITE_EMBEDDING_V1_ANNUAL). Rows
of the published tiles run from south to north, those of copies made with GDAL mostly from north to south: the
transform says which. Lengths after de-quantising are 1 to 0.8 % only.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from ..grid import PixelGrid, parse_crs
from ..raster import Raster
from ..sample import InputError
from . import stores
from .raster import GdalRaster, gdal_raster, nominal_zone, open_vectors, settled_year
from .stores import StoreRaster
from .vector_raster import Product, VectorRaster, year_period

DIMENSION = 64
NODATA = -128
MANIFEST = "image_manifest.json"
DATES = re.compile(r"(\d{8})_(\d{8})")
VERSION = re.compile(r"/(v\d+(?:\.\d+)*)/annual/")

ANNUAL = Product(
    "alphaearth-foundations",
    "v1",
    licence="CC-BY-4.0",
    attribution=(
        "The AlphaEarth Foundations Satellite Embedding dataset is produced by Google and Google DeepMind."
    ),
    comparable_years=True,
)
TO_ORDER = Product("alphaearth-custom", licence="other")

Period = tuple[datetime, datetime]


def read_alphaearth(href: str, *, year: int | None = None) -> list[VectorRaster]:
    """A tile, or one year of a mosaic in Zarr. Raises InputError."""
    return [_mosaic(href, year)] if stores.is_store(href) else [read_tile(href, year=year)]


def _mosaic(href: str, year: int | None) -> StoreRaster:
    """One year of the mosaic, which is in degrees. Columns beyond a turn around the globe repeat others."""
    root = stores.open_group(href)
    if "embeddings" not in root:
        raise InputError(f"{href} has {', '.join(sorted(root)) or 'nothing'}: expected an array embeddings")
    array = root["embeddings"]
    sizes = stores.axis_sizes(array)
    if sizes.get("band") != DIMENSION or str(array.dtype) != "int8":
        raise InputError(f"{href} has {sizes.get('band')} bands of {array.dtype}: AlphaEarth has 64 of int8")
    index, settled = stores.year_index(root, href, year)
    crs = str(root.attrs.get("proj:code") or array.attrs.get("proj:code") or "EPSG:4326")
    grid = stores.grid_of(root, crs, href)
    height, width = grid.shape
    if parse_crs(crs).is_geographic:
        width = min(width, round(360 / abs(grid.transform[0])))
    start, end = year_period(settled)
    return StoreRaster(
        href=href, name="alphaearth-mosaic", product=ANNUAL, start=start, end=end,
        grid=PixelGrid(grid.crs, grid.transform, (height, width)), dimension=DIMENSION,
        block=stores.block_of(array), bytes_per_pixel=stores.COMPRESSED * DIMENSION,
        requests_per_block=DIMENSION, time=index, signed_square=True, nodata=NODATA,
    )  # fmt: skip


def read_tile(href: str, *, year: int | None = None) -> GdalRaster:
    """One tile: an annual one, or one made to order, which has its manifest or its dates beside it.

    Raises:
        InputError: not a raster of AlphaEarth's codes, of another year than was asked for, or of no year.
    """
    raster = open_vectors(href)
    _check(href, raster)
    nameless = not any(raster.band_names)
    ordered = _made_to_order(href, raster, year)
    if ordered is not None:
        return replace(ordered, told_by_length=nameless)
    version = VERSION.search(href)
    product = replace(ANNUAL, version=version.group(1)) if version else ANNUAL
    return gdal_raster(
        href, raster, product=product, year=settled_year(href, year), box=nominal_zone(raster.grid.crs),
        formula="signed-square", nodata=NODATA, told_by_length=nameless,
    )  # fmt: skip


def _check(href: str, raster: Raster) -> None:
    """Refuse what cannot be AlphaEarth's codes. Raises InputError."""
    dataset = raster.dataset
    kind = f"{dataset.count} bands of {dataset.dtypes[0]}"
    if dataset.count != DIMENSION or set(dataset.dtypes) != {"int8"}:
        hint = "; vectors that are floats already come in with --from raster" if "float" in kind else ""
        raise InputError(f"{href} has {kind}: AlphaEarth has {DIMENSION} bands of int8{hint}")
    if dataset.nodata not in (None, NODATA):
        raise InputError(f"{href} says that {dataset.nodata:g} is no data: in AlphaEarth it is {NODATA}")
    named = [name for name in raster.band_names if name]
    if named and named != [f"A{band:02}" for band in range(DIMENSION)]:
        raise InputError(f"{href} has bands {named[0]} to {named[-1]}: expected A00 to A63")


def _made_to_order(href: str, raster: Raster, year: int | None) -> GdalRaster | None:
    """A tile with a manifest, or in a folder named by two dates; None for an annual one."""
    said = _manifest(href)
    period = _said_period(said, href) or _folder_period(href)
    if not said and period is None:
        return None
    if period is None:
        raise InputError(f"{href}: its {MANIFEST} says no system:time_start and system:time_end")
    if year is not None and period[0].year != year:
        raise InputError(f"{href} is of {period[0]:%Y-%m-%d} to {period[1]:%Y-%m-%d}, asked for was {year}")
    version = str(said.get("MODEL_VERSION") or "")
    unknown = f"{href}: no MODEL_VERSION is said, so nothing keeps vectors of two models apart"
    product = replace(TO_ORDER, version=version, notes=() if version else (unknown,))
    name = str(said.get("IMAGE_ID") or PurePosixPath(href.replace("\\", "/")).parent.name)
    tile = gdal_raster(
        href, raster, name=name, product=product, year=period[0].year, box=nominal_zone(raster.grid.crs),
        formula="signed-square", nodata=NODATA,
    )  # fmt: skip
    return replace(tile, start=period[0], end=period[1])


def _manifest(href: str) -> dict[str, Any]:
    """The properties of the manifest beside a local tile; nothing where there is none."""
    file = Path(href).parent / MANIFEST
    if "://" in href or not file.is_file():
        return {}
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{file} is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise InputError(f"{file} is no JSON object")
    properties = document.get("properties")
    return {**document, **(properties if isinstance(properties, dict) else {})}


def _said_period(said: dict[str, Any], href: str) -> Period | None:
    start, end = (said.get(f"system:time_{word}") for word in ("start", "end"))
    if start is None or end is None:
        return None
    return _moment(start, href), _moment(end, href)


def _moment(value: Any, href: str) -> datetime:
    """ISO 8601 text, or milliseconds since 1970, which the fields are said to hold."""
    try:
        if isinstance(value, int | float) or str(value).isdecimal():
            return datetime.fromtimestamp(float(value) / 1000, UTC)
        moment = datetime.fromisoformat(str(value))
    except (ValueError, OverflowError, OSError) as error:
        raise InputError(f"{href}: its {MANIFEST} says time {value!r}: expected ISO 8601") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _folder_period(href: str) -> Period | None:
    for folder in reversed(href.replace("\\", "/").split("/")[:-1]):
        dates = DATES.fullmatch(folder)
        if dates:
            try:
                start, end = (
                    datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC) for text in dates.groups()
                )
            except ValueError:
                continue
            return start, end
    return None
