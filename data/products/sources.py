"""What an import is asked to read -> rasters of vectors, and what cannot be used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

import shapely

from ..access import UnreachableError
from ..sample import InputError
from ..site import Skip
from .alphaearth import read_alphaearth
from .raster import nominal_zone, open_vectors, read_raster
from .stores import is_store
from .tessera import read_tessera
from .tile_index import select_tiles
from .vector_raster import Formula, Product, VectorRaster

Layout = Literal["alphaearth", "tessera", "raster"]
FILES = ("*.tif", "*.tiff")  # of a folder; arrays of TESSERA besides, without their scales


@dataclass(frozen=True)
class Reading:
    """How files are to be read, where they do not say it themselves."""

    layout: Layout
    year: int | None = None  # files of another year are left out
    period: tuple[datetime, datetime] | None = None  # [start, end) UTC of layout "raster", instead of a year
    dataset: str | None = None  # of TESSERA: "1.1/cambridge"
    landmask: str | None = None  # of one array of TESSERA
    model: str | None = None  # the following of layout "raster" alone
    licence: str | None = None
    formula: Formula = "linear"
    scale: float = 1.0
    offset: float = 0.0
    nodata: float | None = None
    own_zone: bool = False  # only pixels in the nominal UTM zone of their grid count


def open_rasters(
    files: Sequence[str], reading: Reading, *, index: str | None = None, area: shapely.Geometry | None = None
) -> tuple[list[VectorRaster], list[Skip]]:
    """The rasters of files, folders and stores, or of a list of tiles where it meets an area.

    Raises:
        InputError: neither files nor a list, or a list that cannot be read or has no such tile.
    """
    if bool(files) == (index is not None):
        raise InputError("Give files, or a list of tiles with --index: one of the two.")
    hrefs = [one for file in files for one in _expanded(file)]
    if index is not None:
        if area is None:
            raise InputError("A list of tiles needs an area: --bbox W S E N or --aoi FILE.")
        hrefs = select_tiles(index, reading.year, area)
    rasters: list[VectorRaster] = []
    skipped: list[Skip] = []
    for href in hrefs:
        try:
            rasters += _reader(reading)(href)
        except (InputError, UnreachableError) as error:
            skipped.append(Skip(href, str(error)))
    return rasters, skipped


def _reader(reading: Reading) -> Callable[[str], Sequence[VectorRaster]]:
    if reading.layout == "alphaearth":
        return lambda href: read_alphaearth(href, year=reading.year)
    if reading.layout == "tessera":
        return lambda href: read_tessera(
            href, year=reading.year, dataset=reading.dataset, landmask=reading.landmask
        )
    return lambda href: [_any_raster(href, reading)]


def _any_raster(href: str, reading: Reading) -> VectorRaster:
    if reading.model is None or reading.licence is None:
        raise InputError("a raster does not say its model and licence: give them with --model and --licence")
    raster = read_raster(
        href,
        product=Product(reading.model, licence=reading.licence),
        year=reading.year if reading.period is None else reading.period[0].year,
        formula=reading.formula,
        scale=reading.scale,
        offset=reading.offset,
        nodata=reading.nodata,
        box=nominal_zone(open_vectors(href).grid.crs) if reading.own_zone else None,
    )
    return (
        raster if reading.period is None else replace(raster, start=reading.period[0], end=reading.period[1])
    )


def _expanded(file: str) -> list[str]:
    """The tiles in a local folder, which is no store; any other address as it is."""
    folder = Path(file)
    if "://" in file or not folder.is_dir() or is_store(file):
        return [file]
    arrays = [one for one in folder.rglob("grid_*.npy") if not one.stem.endswith("_scales")]
    tiffs = [one for kind in FILES for one in folder.rglob(kind)] if not arrays else []
    tiles = sorted(map(str, [*arrays, *tiffs]))
    if not tiles:
        raise InputError(f"{file} holds no tile: expected .tif, .tiff or grid_*.npy in it")
    return tiles
