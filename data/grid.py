"""Where pixels lie: projections, a raster's pixel grid, a sample's window, and footprints on the globe.

Footprints are rings of lon/lat (OGC:CRS84) made contiguous and turned so that their centre lies in
[-180, 180). A footprint on the antimeridian therefore runs past +-180 rather than around the world.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import shapely
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.warp import transform, transform_bounds

from .sample import InputError

LONLAT = "OGC:CRS84"
EQUATOR_DEGREE_M = 111_320.0  # of longitude at the equator
UPS_NORTH, UPS_SOUTH = "EPSG:32661", "EPSG:32761"
Bounds = tuple[float, float, float, float]  # left, bottom, right, top


@lru_cache(maxsize=1024)
def parse_crs(text: str) -> CRS:
    """The projection that an EPSG code or WKT names. Raises InputError when it names none."""
    try:
        return CRS.from_user_input(text)
    except CRSError as error:
        raise InputError(f"unknown projection {text!r}; expected an EPSG code or WKT: {error}") from error


@lru_cache(maxsize=1024)
def is_utm(crs: str) -> bool:
    """Whether `crs` is a UTM zone (of any datum) or UPS, and has an EPSG code to be named by."""
    parsed = parse_crs(crs)
    code = parsed.to_epsg()
    return code is not None and ("UTM zone" in parsed.to_wkt() or f"EPSG:{code}" in (UPS_NORTH, UPS_SOUTH))


def utm_crs(lon_deg: float, lat_deg: float) -> str:
    """EPSG code of the UTM zone of a place, UPS beyond 84 N and 80 S (without Norway's widened zones)."""
    if lat_deg >= 84:
        return UPS_NORTH
    if lat_deg < -80:
        return UPS_SOUTH
    zone = int((lon_deg + 180) // 6) % 60 + 1
    return f"EPSG:{(32600 if lat_deg >= 0 else 32700) + zone}"


@dataclass(frozen=True)
class PixelGrid:
    """The pixels of one raster: projection, affine transform (a, b, c, d, e, f) and shape."""

    crs: str
    transform: tuple[float, float, float, float, float, float]
    shape: tuple[int, int]  # (height, width) in pixels

    @property
    def bounds(self) -> Bounds:
        a, b, c, d, e, f = self.transform
        height, width = self.shape
        xs = (c, c + a * width, c + b * height, c + a * width + b * height)
        ys = (f, f + d * width, f + e * height, f + d * width + e * height)
        return min(xs), min(ys), max(xs), max(ys)

    @property
    def gsd_m(self) -> float:
        """Pixel height in metres, good to a few percent on a geographic grid."""
        parsed = parse_crs(self.crs)
        metres_per_unit = EQUATOR_DEGREE_M if parsed.is_geographic else float(parsed.linear_units_factor[1])
        return math.hypot(self.transform[1], self.transform[4]) * metres_per_unit

    def rows_cols(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Fractional row and column of points in `crs`; (0, 0) is the upper left corner."""
        a, b, c, d, e, f = self.transform
        dx, dy = x - c, y - f
        return (a * dy - d * dx) / (a * e - b * d), (e * dx - b * dy) / (a * e - b * d)

    def bounds_in(self, crs: str) -> Bounds:
        """The rectangle in `crs` that holds all pixels."""
        return _bounds_in(self, crs)

    def footprint(self) -> shapely.Polygon:
        """Outline in lon/lat; a grid around a pole covers all longitudes."""
        return _footprint(self)


@lru_cache(maxsize=65536)
def _bounds_in(grid: PixelGrid, crs: str) -> Bounds:
    if grid.crs == crs:
        return grid.bounds
    left, bottom, right, top = transform_bounds(parse_crs(grid.crs), parse_crs(crs), *grid.bounds)
    return left, bottom, right, top


@lru_cache(maxsize=65536)
def _footprint(grid: PixelGrid) -> shapely.Polygon:
    ring = lonlat_rings(grid.crs, np.array([grid.bounds]), points_per_edge=16)[0]  # (P, 2)
    if encircles_pole(ring):
        nearest_equator = float(np.abs(ring[:, 1]).min())
        south, north = (nearest_equator, 90.0) if ring[0, 1] > 0 else (-90.0, -nearest_equator)
        return shapely.box(-180.0, south, 180.0, north)
    return shapely.Polygon(ring)


def project(crs: str, x: np.ndarray, y: np.ndarray, source: str = LONLAT) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates in `source`, lon/lat unless told, as coordinates in `crs`; any shape."""
    xs, ys = transform(parse_crs(source), parse_crs(crs), np.ravel(x), np.ravel(y))
    return np.reshape(xs, np.shape(x)), np.reshape(ys, np.shape(x))


def lonlat_rings(crs: str, bounds: np.ndarray, points_per_edge: int = 1) -> np.ndarray:
    """Closed counter-clockwise rings (N, 4 * points_per_edge + 1, 2) in lon/lat of bounds (N, 4) in `crs`."""
    steps = np.arange(points_per_edge) / points_per_edge
    u = np.concatenate([steps, np.ones_like(steps), 1 - steps, np.zeros_like(steps), [0.0]])
    v = np.concatenate([np.zeros_like(steps), steps, np.ones_like(steps), 1 - steps, [0.0]])
    left, bottom, right, top = bounds.T[:, :, None]
    lon, lat = project(LONLAT, left + (right - left) * u, bottom + (top - bottom) * v, source=crs)
    return _contiguous(np.stack([lon, lat], axis=-1))


def _contiguous(rings: np.ndarray) -> np.ndarray:
    """Undo jumps of 360 degrees along each ring, then turn it so that its middle lies in [-180, 180)."""
    rings[..., 0] = np.unwrap(rings[..., 0], period=360, axis=-1)
    middle = (rings[..., 0].min(axis=-1) + rings[..., 0].max(axis=-1)) / 2
    rings[..., 0] -= (360 * np.floor((middle + 180) / 360))[:, None]
    return rings


def encircles_pole(ring: np.ndarray) -> bool:
    """Whether a contiguous ring (P, 2) ends a turn away from where it began."""
    return bool(abs(ring[-1, 0] - ring[0, 0]) > 180)


@dataclass(frozen=True)
class Window:
    """The grid of squares of one sample; `width_m` and `height_m` are its true extent, without padding."""

    crs: str
    left_m: float
    top_m: float
    width_m: float
    height_m: float
    cell_m: float  # side of one grid square

    @property
    def bounds(self) -> Bounds:
        """Of the true extent."""
        return self.left_m, self.top_m - self.height_m, self.left_m + self.width_m, self.top_m

    @property
    def grid_shape(self) -> tuple[int, int]:
        """(grid_h, grid_w): whole squares that cover the extent; what they add right and below is padding."""
        return _squares(self.height_m, self.cell_m), _squares(self.width_m, self.cell_m)

    def extent_px(self, gsd_m: float) -> tuple[int, int]:
        """(height, width) of the true extent in pixels of `gsd_m`."""
        return max(1, round(self.height_m / gsd_m)), max(1, round(self.width_m / gsd_m))

    def tiles(self, largest: int) -> Iterator[tuple[int, int, "Window"]]:
        """(row, col, window) of the fewest tiles of at most `largest` squares a side, as equal as can be.

        Equal tiles (33 squares: 7, 7, 6, 7, 6) rather than full ones and a sliver (8, 8, 8, 8, 1).
        """
        grid_h, grid_w = self.grid_shape
        for row, (top, bottom) in enumerate(_even_split(grid_h, largest)):
            for col, (left, right) in enumerate(_even_split(grid_w, largest)):
                yield row, col, self._part(top, bottom, left, right)

    def tile_count(self, largest: int) -> int:
        """How many `tiles` there are, without making them."""
        grid_h, grid_w = self.grid_shape
        return math.ceil(grid_h / largest) * math.ceil(grid_w / largest)

    def middle(self, largest: int) -> "Window":
        """The part of at most `largest` squares a side around the centre."""
        grid_h, grid_w = self.grid_shape
        top, left = max(0, grid_h - largest) // 2, max(0, grid_w - largest) // 2
        return self._part(top, min(top + largest, grid_h), left, min(left + largest, grid_w))

    def _part(self, top: int, bottom: int, left: int, right: int) -> "Window":
        width_m = min(right * self.cell_m, self.width_m) - left * self.cell_m
        height_m = min(bottom * self.cell_m, self.height_m) - top * self.cell_m
        left_m, top_m = self.left_m + left * self.cell_m, self.top_m - top * self.cell_m
        return Window(self.crs, left_m, top_m, width_m, height_m, self.cell_m)


def _squares(length_m: float, side_m: float) -> int:
    return max(1, math.ceil(length_m / side_m - 1e-3))


def _even_split(count: int, largest: int) -> list[tuple[int, int]]:
    parts = math.ceil(count / largest)
    edges = [-(-count * part // parts) for part in range(parts + 1)]
    return list(pairwise(edges))


def snap(bounds: Bounds, grid: PixelGrid) -> Bounds:
    """`bounds`, given in the CRS of `grid`, moved to the nearest pixel edges of `grid`."""
    a, _, c, _, e, f = grid.transform

    def to_edge(value: float, origin: float, step: float) -> float:
        return origin + round((value - origin) / step) * step

    left, bottom, right, top = bounds
    return to_edge(left, c, a), to_edge(bottom, f, e), to_edge(right, c, a), to_edge(top, f, e)


def window_of(bounds: Bounds, crs: str, square_m: float) -> Window:
    left, bottom, right, top = bounds
    return Window(crs, left, top, right - left, top - bottom, square_m)


def common_bounds(bounds: Sequence[Bounds]) -> Bounds | None:
    """Intersection, or None where it is empty."""
    left, bottom = max(b[0] for b in bounds), max(b[1] for b in bounds)
    right, top = min(b[2] for b in bounds), min(b[3] for b in bounds)
    return (left, bottom, right, top) if right > left and top > bottom else None


def hull(bounds: Sequence[Bounds]) -> Bounds:
    """The smallest rectangle around all."""
    left, bottom = min(b[0] for b in bounds), min(b[1] for b in bounds)
    right, top = max(b[2] for b in bounds), max(b[3] for b in bounds)
    return left, bottom, right, top
