"""The pixel grid that an item's metadata tell, held against where the item says it lies."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pystac
import shapely
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from .grid import PixelGrid
from .sample import InputError

MAX_SIDE_PX = 2_000_000  # a longer side is a slip of the metadata: the equator at 20 m
NEAR_DEG = 1.0  # bbox and footprint may lie this far apart: some bboxes are of a place, or of whole degrees
LARGE_DEG = 8.0  # a footprint wider than this must not be far larger than the bbox
FAR_LARGER = 8


def item_grid(item: pystac.Item, asset: pystac.Asset) -> tuple[PixelGrid, str] | None:
    """From the projection extension, of the asset or else of the item; None where it is silent.

    Also a note where `proj:transform` stands in GDAL's order and is read so, as bbox or geometry prove it.
    Raises InputError when the grid contradicts them, or is no grid.
    """
    projection = {
        key: asset.extra_fields.get(f"proj:{key}", item.properties.get(f"proj:{key}"))
        for key in ("code", "epsg", "wkt2", "transform", "shape")
    }
    crs = projection["code"] or (f"EPSG:{projection['epsg']}" if projection["epsg"] else projection["wkt2"])
    if not (crs and projection["transform"] and projection["shape"]):
        return None
    values = [float(value) for value in projection["transform"][:6]]
    height, width = (int(value) for value in projection["shape"])
    if not (0 < height <= MAX_SIDE_PX and 0 < width <= MAX_SIDE_PX):
        raise InputError(
            f"item {item.id} has proj:shape {height} x {width}; expected pixels, {MAX_SIDE_PX:,} at most"
        )
    said = _said(item)
    affine = _grid_at(crs, values, (height, width), said)
    if affine is not None:
        return affine, ""
    c, a, b, f, d, e = values
    gdal = _grid_at(crs, [a, b, c, d, e, f], (height, width), said) if said is not None else None
    if gdal is not None:
        return gdal, "proj:transform stands in GDAL's order: read so, as bbox and geometry prove it"
    raise InputError(
        f"item {item.id} has a proj:transform {values} that contradicts its bbox or geometry"
        f" ({_bounds(said)}); expected the affine order (a, b, c, d, e, f) of the projection extension"
    )


def _grid_at(
    crs: str, values: Sequence[float], shape: tuple[int, int], said: shapely.Geometry | None
) -> PixelGrid | None:
    """The grid, or None where it is none or lies elsewhere than the item says."""
    a, b, c, d, e, f = values
    if a * e - b * d == 0:
        return None
    grid = PixelGrid(crs, (a, b, c, d, e, f), shape)
    try:
        with np.errstate(invalid="ignore"):
            footprint = grid.footprint()
    except (RasterioError, CPLE_BaseError, shapely.errors.ShapelyError):
        return None  # beyond where its projection is defined
    if not shapely.is_valid(footprint) or not footprint.area > 0:
        return None
    _, south, _, north = footprint.bounds
    if south < -90.001 or north > 90.001:
        return None
    return grid if said is None or _agree(footprint, said) else None


def _agree(footprint: shapely.Polygon, said: shapely.Geometry) -> bool:
    """Whether they touch, anywhere around the globe, and neither is out of all proportion."""
    turns = [shapely.transform(footprint, lambda xy, by=by: xy + np.array([by, 0])) for by in (-360, 0, 360)]
    if min(shapely.distance(turn, said) for turn in turns) > NEAR_DEG:
        return False
    west, south, east, north = footprint.bounds
    left, bottom, right, top = said.bounds
    width, height = east - west, north - south
    wide = width > LARGE_DEG and width > FAR_LARGER * (right - left)
    return not (wide or (height > LARGE_DEG and height > FAR_LARGER * (top - bottom)))


def _said(item: pystac.Item) -> shapely.Geometry | None:
    """Where geometry, or else bbox, put the item; None where neither says anything."""
    geometry: dict[str, Any] | None = item.geometry
    if geometry:
        return shapely.geometry.shape(geometry)
    box = item.bbox
    if not box:
        return None
    west, south, east, north = box if len(box) == 4 else (box[0], box[1], box[3], box[4])
    return shapely.box(west, south, east if east >= west else east + 360, north)


def _bounds(said: shapely.Geometry | None) -> str:
    if said is None:
        return "none given"
    return "W {:.3f} S {:.3f} E {:.3f} N {:.3f}".format(*said.bounds)
