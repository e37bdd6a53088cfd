"""Where to search. A row lies in an area when the centre of its H3 cell does, or its footprint if asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from ..errors import QueryError
from ..progress import Progress
from .cells import Cells, centres, parse_cell
from .footprints import Geometries
from .geojson import globe_polygons, read_polygons, turned
from .row_ranges import Mask, RowRanges
from .shapes import Area, Disc, Families, Shape

STRETCH = 2**16  # rows whose centres are compared with many shapes at once
DECIMALS = 12  # of a degree: a box that misses the whole globe by less is one that GEOS cannot join to itself


@dataclass(frozen=True)
class Region:
    """A search area: shapes that must all hold a row's centre, or meet its footprint; `a & b` narrows one."""

    shapes: tuple[Shape, ...]

    @staticmethod
    def from_bbox(west: float, south: float, east: float, north: float) -> Region:
        """Floats; west > east crosses the antimeridian. Raises `QueryError`."""
        if not (-90 <= south < north <= 90 and -360 <= west <= 360 and -360 <= east <= 360 and west != east):
            raise QueryError(
                f"the box {west} {south} {east} {north} is empty or not in degrees: "
                "expected west, south, east, north with south < north"
            )
        corners = np.round((west, south, east if east > west else east + 360, north), DECIMALS)
        return Region((Area(shapely.box(*corners)),))

    @staticmethod
    def from_geojson(source: str | Path | Mapping[str, Any]) -> Region:
        """A polygon or multipolygon, or features of them: a mapping or a file. Raises `QueryError`.

        An edge that spans more than 180 degrees of longitude is read as crossing the antimeridian, and a ring
        that winds around the globe as enclosing the pole it is nearer to.
        """
        return Region((Area(shapely.union_all(read_polygons(source))),))

    @staticmethod
    def from_cells(cells: Iterable[int | str]) -> Region:
        """H3 cells, ids or hex strings, and all their descendants. Raises `QueryError`."""
        ids = np.unique(np.array([parse_cell(cell) for cell in cells], dtype=np.uint64))
        if len(ids) == 0:
            raise QueryError("the area names no cell: expected at least one H3 cell")
        return Region((Families(ids),))

    @staticmethod
    def from_point(lon_deg: float, lat_deg: float, radius_m: float) -> Region:
        """All within a great-circle distance of a point. Raises `QueryError`."""
        if not (abs(lat_deg) <= 90 and abs(lon_deg) <= 360 and radius_m > 0):
            raise QueryError(
                f"{radius_m} m around {lon_deg} {lat_deg}: expected degrees and a distance above zero"
            )
        return Region((Disc(lon_deg, lat_deg, radius_m / 1000),))

    def __and__(self, other: Region) -> Region:
        return Region(self.shapes + other.shapes)

    def rows(self, cells: Cells) -> RowRanges:
        """The rows of a sorted key column (n,) that lie in the area."""
        return reduce(and_, [shape.rows(cells) for shape in self.shapes])

    def meets(self, footprints: Geometries) -> Mask:
        """Which footprints (n,), lon/lat, meet every shape of the area."""
        return np.asarray(np.all([shape.meets(footprints) for shape in self.shapes], axis=0))

    def box_sides(self, boxes: Geometries) -> tuple[Mask, Mask]:
        """Which lon/lat boxes (n,) are certainly inside, and which certainly outside."""
        inside, outside = zip(*(shape.box_sides(boxes) for shape in self.shapes), strict=True)
        return np.all(inside, axis=0), np.any(outside, axis=0)


def rows_of_each(
    shapes: Sequence[shapely.Geometry], cells: Cells, progress: Progress | None = None
) -> NDArray[np.int64]:
    """Which of a sorted key column's rows (n,) lie in which of many shapes, in lon/lat.

    As `Region.rows` of each, but each row's centre is looked up among all shapes at once.

    Args:
        progress: told (rows compared, rows).

    Returns:
        Shape and row of each pair, (2, m), in order of shape.

    Raises:
        QueryError: a shape that holds no polygon, or one that crosses itself.
    """
    areas = [shapely.union_all(globe_polygons(shape)) for shape in shapes]
    bounds = shapely.bounds(areas).reshape(-1, 4)
    over = (bounds[:, 0] < -180) | (bounds[:, 2] > 180)  # goes on beyond the antimeridian
    shape_of = np.repeat(np.arange(len(areas)), np.where(over, 3, 1))
    copies = np.array(
        [c for area, far in zip(areas, over, strict=True) for c in (turned(area) if far else [area])]
    )
    west, south, east, north = shapely.bounds(copies).reshape(-1, 4).T
    shapely.prepare(copies)
    pairs = [np.empty((2, 0), np.int64)]
    for first in range(0, len(cells), STRETCH):
        lon, lat = centres(cells[first : first + STRETCH])
        near = (west <= lon.max()) & (east >= lon.min()) & (south <= lat.max()) & (north >= lat.min())
        if near.any():
            shape, row = shapely.STRtree(shapely.points(lon, lat)).query(copies[near], "intersects")
            pairs.append(np.stack([shape_of[near][shape], row + first]))
        if progress:
            progress(min(first + STRETCH, len(cells)), len(cells))
    return np.unique(np.hstack(pairs), axis=1)
