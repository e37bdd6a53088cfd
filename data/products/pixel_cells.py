"""Which H3 cell each pixel centre of a window lies in: exact, at a fraction of the cost of asking for each.

The cells of one resolution on one face of H3's icosahedron are a regular hexagonal lattice in that face's
gnomonic plane (https://h3geo.org/docs/core-library/overview). The lattice is fitted to the centres of a few
cells; where a pixel lies in it is a smooth function of row and column, so it is projected at a few nodes and
interpolated (to 1e-9 m for windows of 100 km). H3 is then asked once for each lattice point. Windows on
several faces, or on a grid that is not smooth, are cut until they are neither, and at last asked pixel by
pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import h3
import numpy as np
import pyarrow as pa
from h3ronpy import grid_disk
from h3ronpy.vector import cells_to_coordinates, coordinates_to_cells
from numpy.polynomial.chebyshev import chebvander
from numpy.typing import NDArray

from ..grid import LONLAT, PixelGrid, project
from ..sphere import EARTH_RADIUS_M, on_sphere

NODES = 8  # a side; polynomials of degree 7
SMALLEST_PX = 32  # a window this small is asked pixel by pixel
STRIP_PX = 1 << 16  # rounded at a time: temporaries stay in the processor's cache
LATTICE_TOLERANCE = 1e-3  # of a cell: a fit that is worse is of no lattice
SMOOTH_TOLERANCE = 1e-7  # of a cell: an interpolation that is worse is of no smooth grid

Floats = NDArray[np.float64]
Cells = NDArray[np.uint64]


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels, which may reach beyond its raster."""

    row: int
    col: int
    height: int
    width: int

    @property
    def end_row(self) -> int:
        return self.row + self.height

    @property
    def end_col(self) -> int:
        return self.col + self.width

    @property
    def pixels(self) -> int:
        return self.height * self.width


@dataclass(frozen=True)
class LonLatBox:
    """The pixels that a raster owns: half-open in both directions, in one piece across the antimeridian."""

    middle_lon_deg: float
    half_width_deg: float
    south_deg: float = -90.0
    north_deg: float = 91.0  # beyond the pole, so that the pole itself is in


@dataclass(frozen=True)
class PixelCells:
    """The cells of a window's pixels."""

    labels: NDArray[np.int32]  # (h, w) index into `cells`
    cells: Cells  # (n,), in no order


def pixel_cells(grid: PixelGrid, window: Window, resolution: int) -> PixelCells:
    """The cell of each pixel centre of a window."""
    labels = _lattice_labels(grid, window, resolution)
    if labels is not None:
        return labels
    if window.pixels <= SMALLEST_PX**2:
        return _asked(grid, window, resolution)
    return _joined(window, [(part, pixel_cells(grid, part, resolution)) for part in _halves(window)])


def inside(grid: PixelGrid, window: Window, box: LonLatBox) -> NDArray[np.bool_] | None:
    """Which pixel centres lie in a box, (h, w); None where all do."""
    field = _Interpolation(window)
    lon, lat = _lonlat(grid, *field.nodes)  # (NODES, NODES)
    turn = (lon - box.middle_lon_deg + 180) % 360 - 180  # east of the middle, without a jump near it
    margin = 1e-6 + 0.1 * (np.ptp(turn) + np.ptp(lat))
    if (
        np.abs(turn).max() + margin < box.half_width_deg
        and lat.min() - margin > box.south_deg
        and lat.max() + margin < box.north_deg
    ):
        return None
    if np.abs(turn).max() > 90:  # around a pole: not smooth
        rows, cols = np.mgrid[window.row : window.end_row, window.col : window.end_col] + 0.5
        lon, lat = _lonlat(grid, rows, cols)
        turn = (lon - box.middle_lon_deg + 180) % 360 - 180
    else:
        turn, lat = field.everywhere(turn), field.everywhere(lat)
    is_in = (turn >= -box.half_width_deg) & (turn < box.half_width_deg)
    return np.asarray(is_in & (lat >= box.south_deg) & (lat < box.north_deg))


def pixel_size_m(grid: PixelGrid, window: Window) -> tuple[float, float]:
    """Height and width of a pixel in the middle of a window, on the ground."""
    row, col = window.row + window.height / 2, window.col + window.width / 2
    points = on_sphere(*_lonlat(grid, np.array([row, row + 1, row]), np.array([col, col, col + 1])))  # (3, 3)
    down, right = np.linalg.norm(points[1:] - points[0], axis=1) * EARTH_RADIUS_M
    return float(down), float(right)


class _Interpolation:
    """Smooth functions of row and column over a window, from their values at Chebyshev-Lobatto nodes."""

    def __init__(self, window: Window) -> None:
        t = np.cos(np.pi * np.arange(NODES) / (NODES - 1))
        rows = window.row + 0.5 + (t + 1) / 2 * (window.height - 1)
        cols = window.col + 0.5 + (t + 1) / 2 * (window.width - 1)
        self.nodes = np.meshgrid(rows, cols, indexing="ij")  # row and column of pixel centres, (NODES, NODES)
        self._to_coefficients = np.linalg.inv(chebvander(t, NODES - 1))
        self._down = chebvander(_minus_one_to_one(window.height), NODES - 1)  # (h, NODES)
        self._across = chebvander(_minus_one_to_one(window.width), NODES - 1)  # (w, NODES)

    def everywhere(self, at_nodes: Floats, rows: slice = slice(None)) -> Floats:
        """Values at the pixel centres of some rows: (NODES, NODES) -> (h, w)."""
        return np.asarray(self._down[rows] @ self._coefficients(at_nodes) @ self._across.T)

    def at(self, at_nodes: Floats, row: NDArray[np.int64], col: NDArray[np.int64]) -> Floats:
        """Values at some pixels of the window: (..., NODES, NODES) -> (..., n)."""
        rows = self._down @ self._coefficients(at_nodes)  # (..., h, NODES)
        return np.asarray(np.einsum("...ni,ni->...n", rows[..., row, :], self._across[col]))

    def _coefficients(self, at_nodes: Floats) -> Floats:
        return np.asarray(self._to_coefficients @ at_nodes @ self._to_coefficients.T)


def _minus_one_to_one(count: int) -> Floats:
    return np.linspace(-1, 1, count) if count > 1 else np.zeros(1)


def _lattice_labels(grid: PixelGrid, window: Window, resolution: int) -> PixelCells | None:
    """None where the window is on several faces, or is not a smooth piece of one lattice."""
    field = _Interpolation(window)
    points = on_sphere(*_lonlat(grid, *field.nodes))  # (NODES, NODES, 3)
    faces = _faces()
    nearest = np.argmax(points.reshape(-1, 3) @ faces.T, axis=1)
    if not np.isfinite(points).all() or np.ptp(nearest):
        return None
    plane = _Plane(faces[nearest[0]])
    lattice = _fit_lattice(plane, points.reshape(-1, 3), resolution)
    if lattice is None:
        return None
    i, j = (lattice @ plane.coordinates(points)).reshape(2, NODES, NODES)
    if not _is_smooth(grid, window, field, plane, lattice, (i, j)):
        return None
    return _rounded(window, field, points, (i, j), resolution)


def _rounded(
    window: Window,
    field: _Interpolation,
    points: Floats,
    lattice_at_nodes: tuple[Floats, Floats],
    resolution: int,
) -> PixelCells:
    i_nodes, j_nodes = lattice_at_nodes
    first_i, first_j = int(np.floor(i_nodes.min())) - 2, int(np.floor(j_nodes.min())) - 2
    i_count = int(np.ceil(i_nodes.max())) + 3 - first_i
    j_count = int(np.ceil(j_nodes.max())) + 3 - first_j
    raw = np.empty((window.height, window.width), np.int32)
    rows_at_once = max(STRIP_PX // window.width, 1)
    for top in range(0, window.height, rows_at_once):
        rows = slice(top, top + rows_at_once)
        i, j = _nearest(field.everywhere(i_nodes, rows), field.everywhere(j_nodes, rows))
        raw[rows] = (i - first_i) * j_count + (j - first_j)
    member = np.full(i_count * j_count, -1, np.int64)  # some pixel of each lattice point
    member[raw.ravel()] = np.arange(raw.size)
    points_met = np.flatnonzero(member >= 0)
    row, col = np.divmod(member[points_met], window.width)
    x, y, z = field.at(np.moveaxis(points, -1, 0), row, col)
    lon, lat = np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))
    index = np.zeros(len(member), np.int32)
    index[points_met] = np.arange(len(points_met), dtype=np.int32)
    return PixelCells(index[raw], _cells_at(lon, lat, resolution))


def _nearest(i: Floats, j: Floats) -> tuple[Floats, Floats]:
    """The nearest point of a hexagonal lattice, in coordinates along two axes 60 degrees apart."""
    k = -(i + j)
    i_near, j_near, k_near = np.rint(i), np.rint(j), np.rint(k)
    i_off, j_off, k_off = np.abs(i - i_near), np.abs(j - j_near), np.abs(k - k_near)
    i_worst = (i_off > j_off) & (i_off > k_off)
    j_worst = ~i_worst & (j_off > k_off)
    np.copyto(i_near, -(j_near + k_near), where=i_worst)
    np.copyto(j_near, -(i_near + k_near), where=j_worst)
    return i_near, j_near


class _Plane:
    """The gnomonic plane of one face."""

    def __init__(self, centre: Floats) -> None:
        self._centre = centre
        east = np.cross([0.0, 0.0, 1.0], centre)
        self._east = east / np.linalg.norm(east)
        self._north = np.cross(centre, self._east)

    def coordinates(self, points: Floats) -> Floats:
        """Unit vectors (..., 3) -> homogeneous coordinates in the plane (3, n): x, y, 1."""
        flat = points.reshape(-1, 3)
        height = flat @ self._centre
        return np.stack([flat @ self._east / height, flat @ self._north / height, np.ones(len(flat))])


def _fit_lattice(plane: _Plane, points: Floats, resolution: int) -> Floats | None:
    """The affine map (2, 3) from the plane to lattice coordinates, about a cell in the middle of `points`."""
    middle = points.sum(axis=0)
    start = _cells_of(middle[None] / np.linalg.norm(middle), resolution)
    ring = np.setdiff1d(np.asarray(pa.array(grid_disk(start, 1, flatten=True))), start)
    near = np.concatenate([start, ring])
    far = np.setdiff1d(_cells_of(points, resolution), near)
    centres = _centres(np.concatenate([near, far]))
    faces = _faces()
    on_face = np.argmax(centres @ faces.T, axis=1) == np.argmax(points[0] @ faces.T)
    if len(ring) != 6 or not on_face[:7].all():  # at a pentagon, or at the edge of a face
        return None
    xy = plane.coordinates(centres[on_face])  # (3, n)
    steps = xy[:2, 1:7] - xy[:2, :1]  # to the six neighbours
    steps = steps[:, np.argsort(np.arctan2(steps[1], steps[0]))]
    guess = np.linalg.solve(steps[:, :2], xy[:2] - xy[:2, :1])  # axes 60 degrees apart
    whole = np.rint(guess)
    if np.abs(guess - whole).max() > 0.1:
        return None
    lattice = np.linalg.lstsq(xy.T, whole.T, rcond=None)[0].T  # (2, 3)
    return lattice if np.abs(lattice @ xy - whole).max() < LATTICE_TOLERANCE else None


def _is_smooth(
    grid: PixelGrid,
    window: Window,
    field: _Interpolation,
    plane: _Plane,
    lattice: Floats,
    at_nodes: tuple[Floats, Floats],
) -> bool:
    """Whether what lies between the nodes is what projecting it gives."""
    row = np.linspace(0, window.height - 1, 5).astype(np.int64)
    col = np.linspace(window.width - 1, 0, 5).astype(np.int64)
    rows, cols = (window.row + row + 0.5).astype(np.float64), (window.col + col + 0.5).astype(np.float64)
    exact = np.asarray(lattice @ plane.coordinates(on_sphere(*_lonlat(grid, rows, cols))))
    guess = field.at(np.stack(at_nodes), row, col)
    return bool(np.abs(exact - guess).max() < SMOOTH_TOLERANCE)


def _asked(grid: PixelGrid, window: Window, resolution: int) -> PixelCells:
    rows, cols = np.mgrid[window.row : window.end_row, window.col : window.end_col] + 0.5
    lon, lat = _lonlat(grid, rows.ravel(), cols.ravel())
    cells, labels = np.unique(_cells_at(lon, lat, resolution), return_inverse=True)
    return PixelCells(labels.reshape(rows.shape).astype(np.int32), cells)


def _halves(window: Window) -> tuple[Window, Window]:
    if window.height >= window.width:
        half = window.height // 2
        return (
            Window(window.row, window.col, half, window.width),
            Window(window.row + half, window.col, window.height - half, window.width),
        )
    half = window.width // 2
    return (
        Window(window.row, window.col, window.height, half),
        Window(window.row, window.col + half, window.height, window.width - half),
    )


def _joined(window: Window, parts: list[tuple[Window, PixelCells]]) -> PixelCells:
    cells, inverse = np.unique(np.concatenate([part.cells for _, part in parts]), return_inverse=True)
    labels, first = np.empty((window.height, window.width), np.int32), 0
    for place, part in parts:
        rows = slice(place.row - window.row, place.end_row - window.row)
        cols = slice(place.col - window.col, place.end_col - window.col)
        labels[rows, cols] = inverse[first : first + len(part.cells)][part.labels]
        first += len(part.cells)
    return PixelCells(labels, cells)


def _lonlat(grid: PixelGrid, rows: Floats, cols: Floats) -> tuple[Floats, Floats]:
    """Degrees of places in pixel coordinates, any shape; (0, 0) is the raster's first corner."""
    a, b, c, d, e, f = grid.transform
    return project(LONLAT, c + a * cols + b * rows, f + d * cols + e * rows, source=grid.crs)


def _cells_of(points: Floats, resolution: int) -> Cells:
    """The cells (m,) of unit vectors (n, 3), each once."""
    lon = np.degrees(np.arctan2(points[:, 1], points[:, 0]))
    return np.unique(_cells_at(lon, np.degrees(np.arcsin(np.clip(points[:, 2], -1, 1))), resolution))


def _cells_at(lon_deg: Floats, lat_deg: Floats, resolution: int) -> Cells:
    return np.asarray(pa.array(coordinates_to_cells(lat_deg, lon_deg, resolution)))


def _centres(cells: Cells) -> Floats:
    """Centres as unit vectors (n, 3)."""
    batch = pa.record_batch(cells_to_coordinates(cells))
    return on_sphere(np.asarray(batch.column("lng")), np.asarray(batch.column("lat")))


@lru_cache(maxsize=1)
def _faces() -> Floats:
    """Centres of the icosahedron's faces (20, 3): its corners are the centres of the twelve pentagons."""
    corners = np.array([on_sphere(*np.array(h3.cell_to_latlng(cell))[::-1]) for cell in h3.get_pentagons(0)])
    neighbours = corners @ corners.T > 0.4  # 63.4 degrees apart: 0.447; the others are further
    triples = [t for t in combinations(range(12), 3) if all(neighbours[a, b] for a, b in combinations(t, 2))]
    middles = np.array([corners[list(t)].sum(axis=0) for t in triples])
    return np.asarray(middles / np.linalg.norm(middles, axis=1, keepdims=True))
