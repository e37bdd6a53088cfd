"""How like one vector each pixel of a raster of vectors is: the cosine, as a COG, block by block."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from numpy.typing import NDArray
from rasterio.windows import Window as RasterWindow

from ..grid import PixelGrid, hull, parse_crs
from ..sample import InputError
from .pixel_cells import Window, inside
from .pooling import STRIP_PX
from .vector_raster import VectorRaster

BLOCK_PX = 512
SAME_PIXEL = 1e-3  # of a pixel: grids further apart are two


def write_heat(
    rasters: Sequence[VectorRaster],
    vector: NDArray[np.floating],  # (d,) # type: ignore[type-arg]
    out: Path,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[int, int]:
    """Write the cosine of each pixel to a vector as a north-up COG of float32, NaN where there is no data.

    Rasters of one grid become one file, where they overlap the last one's; memory is that of a block. Returns
    its (height, width).

    Raises:
        InputError: rasters of several grids, vectors of another dimension, or a part that cannot be read.
    """
    wrong = [raster for raster in rasters if raster.dimension != len(vector)]
    if wrong:
        raise InputError(
            f"{wrong[0].href} has vectors of {wrong[0].dimension} dimensions, asked for was {len(vector)}"
        )
    grid = _common_grid(rasters)
    query = np.asarray(vector, np.float32) / np.float32(np.linalg.norm(vector))
    total, done = sum(raster.extent.pixels for raster in rasters), 0
    with tempfile.TemporaryDirectory(dir=out.absolute().parent) as folder:
        strips = Path(folder, "heat.tif")
        with rasterio.open(strips, "w+", **_profile(grid)) as target:
            for raster in rasters:
                for block in raster.blocks(raster.extent):
                    _write_block(target, grid, raster, block, query)
                    done += block.pixels
                    if progress is not None:
                        progress(done, total)
        whole = Path(folder, "heat-cog.tif")
        rasterio.shutil.copy(
            strips, whole, driver="COG", compress="DEFLATE", predictor="YES", blocksize=BLOCK_PX
        )
        whole.replace(out)
    return grid.shape


def cosines(raster: VectorRaster, block: Window, query: NDArray[np.float32]) -> NDArray[np.float32]:
    """(h, w) cosine of each pixel of a block to a vector (d,) of length 1; NaN where there is no data."""
    codes = raster.read(block)
    valid = codes.valid
    if raster.box is not None and (owned := inside(raster.grid, block, raster.box)) is not None:
        valid = valid & owned
    cosine = np.full((block.height, block.width), np.nan, np.float32)
    rows_at_once = max(STRIP_PX // block.width, 1)
    for top in range(0, block.height, rows_at_once):
        rows = slice(top, min(top + rows_at_once, block.height))
        if not valid[rows].any():
            continue
        dot = np.zeros((rows.stop - top, block.width), np.float32)
        squares = np.zeros_like(dot)
        for band, weight in enumerate(query):
            terms = codes.terms(band, rows).astype(np.float32)
            dot += weight * terms
            squares += np.square(terms, out=terms)
        good = valid[rows] & (squares > 0)
        np.divide(dot, np.sqrt(squares, out=squares), out=cosine[rows], where=good)
    return np.clip(cosine, -1, 1, out=cosine)


def _write_block(
    target: rasterio.io.DatasetWriter,
    grid: PixelGrid,
    raster: VectorRaster,
    block: Window,
    query: NDArray[np.float32],
) -> None:
    values = cosines(raster, block, query)
    a, _, c, _, e, f = raster.grid.transform
    step, left, top = grid.transform[0], grid.transform[2], grid.transform[5]
    if e > 0:
        values = values[::-1]
    if a < 0:
        values = values[:, ::-1]
    north = max(f + e * block.row, f + e * block.end_row)
    west = min(c + a * block.col, c + a * block.end_col)
    window = RasterWindow(
        round((west - left) / step), round((top - north) / abs(grid.transform[4])), block.width, block.height
    )
    before = target.read(1, window=window)
    target.write(np.where(np.isnan(values), before, values), 1, window=window)


def _common_grid(rasters: Sequence[VectorRaster]) -> PixelGrid:
    """The north-up grid that holds every raster. Raises InputError where they are not of one grid."""
    first = rasters[0].grid
    bounds = [raster.grid.bounds for raster in rasters]
    step_x, step_y = abs(first.transform[0]), abs(first.transform[4])
    left, bottom, right, top = hull(bounds)
    for raster, own in zip(rasters, bounds, strict=True):
        a, b, _, d, e, _ = raster.grid.transform
        off = (own[0] - bounds[0][0]) / step_x, (own[3] - bounds[0][3]) / step_y
        if (
            parse_crs(raster.grid.crs) != parse_crs(first.crs)
            or b or d
            or not math.isclose(abs(a), step_x)
            or not math.isclose(abs(e), step_y)
            or max(abs(value - round(value)) for value in off) > SAME_PIXEL
        ):  # fmt: skip
            raise InputError(
                f"{raster.href} is not on the grid of {rasters[0].href} (another projection, pixel size or "
                "phase): write a file for each"
            )
    shape = round((top - bottom) / step_y), round((right - left) / step_x)
    return PixelGrid(first.crs, (step_x, 0.0, left, 0.0, -step_y, top), shape)


def _profile(grid: PixelGrid) -> dict[str, object]:
    height, width = grid.shape
    return {
        "driver": "GTiff", "height": height, "width": width, "count": 1, "dtype": "float32",
        "crs": parse_crs(grid.crs), "transform": Affine(*grid.transform), "nodata": np.nan,
        "tiled": True, "blockxsize": BLOCK_PX, "blockysize": BLOCK_PX, "compress": "zstd",
        "BIGTIFF": "IF_SAFER", "SPARSE_OK": True,
    }  # fmt: skip
