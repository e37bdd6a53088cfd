"""TESSERA: the University of Cambridge's embeddings, as stores, GeoTIFFs and the older arrays with landmasks.

Vectors are code * scale of the pixel, and not of length 1. Versions and variants are different models
(https://github.com/ucam-eo/geotessera). What was made on the 10 m grid of a UTM zone is put back on it: tiles
are placed by a landmask whose corner is not on that grid, up to 10 m to the south-east of their pixels.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..grid import PixelGrid
from ..raster import file_stamp
from ..sample import InputError
from . import stores
from .pixel_cells import Window
from .raster import gdal_raster, nominal_zone, open_vectors, read_bands, settled_year
from .stores import StoreRaster, scaled_codes
from .vector_raster import Codes, Product, VectorRaster, year_period

DIMENSION = 128  # of versions 1
PIXEL_M = 10.0
TILE = re.compile(r"grid_(-?\d+(?:\.\d+)?)_(-?\d+(?:\.\d+)?)")
DATASET = re.compile(r"v?(\d+(?:\.\d+)?)(?:[-/](.+))?")
VARIANTS = {"cam": "cambridge"}
MASK_FOLDERS = ("global_0.1_degree_tiff_all", "landmasks", "landmask")

ANY = Product(
    "tessera",
    licence="CC0-1.0",
    attribution=(
        "TESSERA: Temporal Embeddings of Surface Spectra for Earth Representation and Analysis, "
        "University of Cambridge (arXiv:2506.20380)."
    ),
)


def read_tessera(
    href: str, *, year: int | None = None, dataset: str | None = None, landmask: str | None = None
) -> list[VectorRaster]:
    """The rasters of a store (one a zone), of a GeoTIFF, or of a tile's array.

    Args:
        dataset: "1.1/cambridge": version and variant, where the file does not say, or says it wrongly.
        landmask: of an array, where it does not lie in its usual place.

    Raises:
        InputError: none of these, or of another year than was asked for.
    """
    if stores.is_store(href):
        return _zones(href, year, dataset)
    if href.endswith(".npy"):
        return [_array_tile(href, year, dataset, landmask)]
    return [_geotiff(href, year, dataset)]


def product_of(*said: str | None) -> Product:
    """The dataset that the first of some names or paths says: "1.1/cambridge", ".../zarr/v1.1-dclimate"."""
    for text in said:
        dataset = _dataset_in(text or "")
        if dataset is not None:
            version, variant = dataset
            return replace(ANY, version=version, variant=variant, notes=() if variant else (_UNSAID,))
    return replace(ANY, notes=(_UNSAID,))


_UNSAID = (
    "the version or variant of TESSERA is not said, so nothing keeps vectors of two models apart: name it, "
    "as --dataset 1.1/cambridge"
)


def _dataset_in(text: str) -> tuple[str, str] | None:
    """(version, variant) by a name, or by the folders of a path."""
    whole = DATASET.fullmatch(text)
    if whole:
        return _dataset(whole.group(1), whole.group(2) or "")
    folders = text.replace("\\", "/").split("/")
    for i, folder in enumerate(folders):
        named = DATASET.fullmatch(folder)
        if not (named and folder.startswith("v")):
            continue
        following = folders[i + 1] if i + 1 < len(folders) else ""
        variant = named.group(2) or _variant_in(following.split(".")[0])
        if not variant and folder == "v1.1" and i and folders[i - 1] == "zarr":
            variant = "cambridge"
        return _dataset(named.group(1), variant)
    return None


def _variant_in(word: str) -> str:
    return word if word in ("cambridge", "cam", "dclimate", "vultr") else ""


def _dataset(version: str, variant: str) -> tuple[str, str]:
    number = version if "." in version else f"{version}.0"
    return number, VARIANTS.get(variant, variant) or ("vultr" if number == "1.0" else "")


def _zones(href: str, year: int | None, dataset: str | None) -> list[VectorRaster]:
    root = stores.open_group(href)
    said = root.attrs.get("geoemb:model")
    product = product_of(dataset, href, str(said).rstrip("/").split("/")[-1] if said else None)
    names = sorted(name for name in root if re.fullmatch(r"utm\d\d|\d\d[NS]", name))
    if not names:
        raise InputError(
            f"{href} has groups {', '.join(sorted(root)) or 'none'}: expected utm01 to utm60, or 01N"
        )
    zones = [_zone(href, name, root[name], year, product) for name in names]
    return [zone for zone in zones if zone is not None] or _no_zone(href, year)


def _no_zone(href: str, year: int | None) -> list[VectorRaster]:
    raise InputError(f"{href}: no zone is complete for {year}")


def _zone(href: str, name: str, group: Any, year: int | None, product: Product) -> StoreRaster | None:
    """None where the year of a zone was never filled."""
    where = f"{href}: {name}"
    index, settled = stores.year_index(group, where, year)
    complete = group.attrs.get("years_complete")
    if isinstance(complete, list) and settled not in [int(one) for one in complete]:
        return None
    one_hemisphere = name[-1] in "NS"
    zone = int(name[:2] if one_hemisphere else name[-2:])
    crs = str(group.attrs.get("proj:code") or f"EPSG:{(32700 if name[-1] == 'S' else 32600) + zone}")
    array = group["embeddings"]
    start, end = year_period(settled)
    return StoreRaster(
        href=href, name=f"{product.model}/{name}", product=product, start=start, end=end,
        grid=stores.grid_of(group, crs, where), dimension=stores.axis_sizes(array)["band"],
        block=stores.block_of(array), box=nominal_zone(crs, hemisphere=one_hemisphere),
        bytes_per_pixel=stores.COMPRESSED * (array.shape[-1] if one_hemisphere else array.shape[1]),
        group=name, time=index, scaled=True,
    )  # fmt: skip


@dataclass(frozen=True)
class ArrayTile(VectorRaster):
    """Codes (H, W, d), scales (H, W) or (H, W, d), and a landmask that has 0 for water."""

    scales: str = ""
    landmask: str = ""

    def read(self, window: Window) -> Codes:
        part = np.s_[window.row : window.end_row, window.col : window.end_col]
        values = np.moveaxis(_array(self.href)[part], 2, 0)
        scale = _array(self.scales)[part]
        codes = scaled_codes(values, np.moveaxis(scale, 2, 0) if scale.ndim == 3 else scale)
        return replace(codes, valid=codes.valid & (read_bands(self.landmask, window)[0] != 0))

    @property
    def stamp(self) -> str:
        return str([file_stamp(file) for file in (self.href, self.scales, self.landmask)])


def _array_tile(href: str, year: int | None, dataset: str | None, landmask: str | None) -> ArrayTile:
    file = Path(href)
    stem = file.name.removesuffix(".npy").removesuffix("_scales")
    if not TILE.fullmatch(stem):
        raise InputError(f"{href}: a tile's array is named by its centre, as grid_0.15_52.05.npy")
    codes, scales = file.with_name(f"{stem}.npy"), file.with_name(f"{stem}_scales.npy")
    for one in (codes, scales):
        if not one.is_file():
            raise InputError(f"{href}: {one.name} is missing beside it")
    mask = landmask or _find_landmask(codes, stem)
    values, scale, ground = _array(str(codes)), _array(str(scales)), open_vectors(mask)
    if values.ndim != 3 or values.dtype != np.int8:
        raise InputError(
            f"{href} is {values.dtype} of shape {values.shape}: expected int8 (rows, columns, bands)"
        )
    if scale.shape[:2] != values.shape[:2] or ground.grid.shape != values.shape[:2]:
        raise InputError(
            f"{href} is {values.shape[:2]} pixels, its scales are {scale.shape[:2]}, its landmask is "
            f"{ground.grid.shape}"
        )
    product = product_of(dataset, str(codes))
    start, end = year_period(settled_year(str(codes.parent / "x"), year))
    return ArrayTile(
        href=str(codes), name=f"{product.model}/{stem}", product=product, start=start, end=end,
        grid=on_its_grid(ground.grid), dimension=values.shape[2], block=values.shape[:2],
        box=nominal_zone(ground.grid.crs), bytes_per_pixel=values.shape[2] + 4.0,
        scales=str(scales), landmask=mask,
    )  # fmt: skip


def _find_landmask(codes: Path, stem: str) -> str:
    """Beside the array, or in one of the usual folders above it."""
    names = [f"{stem}.tiff", f"{stem}.tif", f"{stem}_landmask.tiff"]
    places = [codes.parent, *(above / folder for above in codes.parents[:5] for folder in MASK_FOLDERS)]
    for place in places:
        for name in names:
            files = (
                [place / name, *sorted(place.glob(f"*/{name}"))]
                if place.name == "landmasks"
                else [place / name]
            )
            for file in files:
                if file.is_file():
                    return str(file)
    raise InputError(
        f"{codes}: no landmask {names[0]} in it or above it, and only that says where it lies: give it"
    )


def _array(file: str) -> NDArray[Any]:
    try:
        return np.asarray(np.load(file, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError) as error:
        raise InputError(f"{file} is no NumPy array that can be read: {error}") from error


def _geotiff(href: str, year: int | None, dataset: str | None) -> VectorRaster:
    raster = open_vectors(href)
    tags = raster.dataset.tags()
    kind = f"{raster.dataset.count} bands of {raster.dataset.dtypes[0]}"
    version, variant = (tags.get(f"TESSERA_DATASET_{word}", "") for word in ("VERSION", "VARIANT"))
    product = product_of(dataset, f"{version}/{variant}" if variant else version, href)
    if set(raster.dataset.dtypes) != {"float32"}:
        raise InputError(f"{href} has {kind}: a GeoTIFF of TESSERA has float32, its scales multiplied in")
    if raster.dataset.count != DIMENSION and not product.version.startswith("2"):
        raise InputError(f"{href} has {kind}: TESSERA has {DIMENSION}, and some of them alone mean nothing")
    said = str(tags.get("TESSERA_YEAR", ""))
    tile = gdal_raster(
        href, raster, product=product, year=settled_year(href, year, int(said) if said.isdecimal() else None),
        box=nominal_zone(raster.grid.crs, hemisphere=False), nodata=math.nan,
    )  # fmt: skip
    return replace(tile, name=f"{product.model}/{tile.name}", grid=on_its_grid(raster.grid))


def on_its_grid(grid: PixelGrid) -> PixelGrid:
    """The same pixels on the 10 m grid they were made on: the corner moved west and north to it."""
    a, b, c, d, e, f = grid.transform
    if (a, b, d, e) != (PIXEL_M, 0, 0, -PIXEL_M):
        return grid
    left, top = math.floor(round(c / PIXEL_M, 6)) * PIXEL_M, math.ceil(round(f / PIXEL_M, 6)) * PIXEL_M
    return PixelGrid(grid.crs, (a, b, left, d, e, top), grid.shape)
