"""Where samples lie: windows on the pixel grid of their scenes, with footprint, centre and H3 cell."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import h3
import h3.api.numpy_int as h3_int
import numpy as np
import shapely

from .area import cell_centres
from .grid import (
    PixelGrid,
    Window,
    common_bounds,
    encircles_pole,
    hull,
    is_utm,
    lonlat_rings,
    project,
    snap,
    utm_crs,
    window_of,
)
from .sample import InputError, SampleSpec
from .scene import Scene

MAX_WINDOWS = 4  # a hexagon wider than this many of the model's windows is refused
_GRID_ORDER = ("s2", "s1", "hr")  # the first of these that is there lays down the sample's grid


@dataclass(frozen=True)
class Site:
    """A window with its name and its place on the globe."""

    sample_id: str
    window: Window
    footprint: tuple[tuple[float, float], ...]  # closed ring of (lon_deg, lat_deg), counter-clockwise
    lon_deg: float  # centroid of the footprint
    lat_deg: float
    h3_cell: int


@dataclass(frozen=True)
class Skip:
    """A place, tile or H3 cell that cannot be embedded, and why."""

    sample_id: str
    reason: str


def sites_of(windows: Mapping[str, Window], h3_resolution: int) -> list[Site | Skip]:
    """Sites of windows by sample id; those around a pole are skipped."""
    by_crs: dict[str, list[str]] = defaultdict(list)
    for name, window in windows.items():
        by_crs[window.crs].append(name)
    sites: list[Site | Skip] = []
    for crs, names in by_crs.items():
        rings = lonlat_rings(crs, np.array([windows[name].bounds for name in names]))  # (N, 5, 2)
        named = zip(names, rings, strict=True)
        sites += [_site(name, windows[name], ring, h3_resolution) for name, ring in named]
    return sites


def _site(sample_id: str, window: Window, ring: np.ndarray, h3_resolution: int) -> Site | Skip:
    if encircles_pole(ring):
        return Skip(sample_id, "a pole lies in the window; a lon/lat footprint cannot go around it")
    centre = shapely.Polygon(ring).centroid
    cell = h3_int.latlng_to_cell(centre.y, centre.x, h3_resolution)
    footprint = tuple((float(lon), float(lat)) for lon, lat in ring)
    return Site(sample_id, window, footprint, centre.x, centre.y, int(cell))


def chip_window(
    scenes: Mapping[str, Sequence[Scene]], square_m: float
) -> tuple[Window, tuple[tuple[str, str], ...]]:
    """The extent common to the scenes of all modalities, and (modality, reason) of those that lie apart.

    It follows the pixel grid of the first of Sentinel-2, Sentinel-1 and HR if that lies in a UTM zone; else
    it lies in the UTM zone of its centre.
    """
    reference = reference_grid(scenes)
    crs = reference.crs if is_utm(reference.crs) else _utm_of(reference)
    extents = {
        modality: hull([grid.bounds_in(crs) for grid in dict.fromkeys(s.grid for s in scenes[modality])])
        for modality in _GRID_ORDER
        if modality in scenes
    }
    first, *others = extents
    bounds, apart = extents[first], []
    for modality in others:
        common = common_bounds([bounds, extents[modality]])
        if common is None or min(common[2] - common[0], common[3] - common[1]) < reference.gsd_m:
            apart.append((modality, f"does not overlap the place's {first}"))
        else:
            bounds = common
    if crs == reference.crs:
        bounds = snap(bounds, reference)
    return window_of(bounds, crs, square_m), tuple(apart)


def reference_grid(scenes: Mapping[str, Sequence[Scene]]) -> PixelGrid:
    """The commonest grid, in a UTM zone if any is, of the first modality in order that is there."""
    modality = next(modality for modality in _GRID_ORDER if modality in scenes)
    counts = Counter(scene.grid for scene in scenes[modality])
    return max(counts, key=lambda grid: (is_utm(grid.crs), counts[grid]))


def _utm_of(grid: PixelGrid) -> str:
    centre = grid.footprint().centroid
    return utm_crs(centre.x, centre.y)


def cell_windows(
    cells: Sequence[int], reference: PixelGrid, side_m: float, square_m: float
) -> dict[str, Window]:
    """Windows centred on cells, by hex string; on the pixel grid of `reference` if that is in a UTM zone."""
    centres = cell_centres(np.asarray(cells, np.uint64))
    zones = [reference.crs if is_utm(reference.crs) else utm_crs(*centre) for centre in centres]
    windows: dict[str, Window] = {}
    for crs in dict.fromkeys(zones):
        chosen = [i for i, zone in enumerate(zones) if zone == crs]
        xs, ys = project(crs, centres[chosen, 0], centres[chosen, 1])
        for i, x, y in zip(chosen, xs.tolist(), ys.tolist(), strict=True):
            left, top = x - side_m / 2, y + side_m / 2
            if crs == reference.crs:
                left, _, _, top = snap((left, top, left, top), reference)
            windows[h3.int_to_str(cells[i])] = Window(crs, left, top, side_m, side_m, square_m)
    return windows


def cell_window_m(spec: SampleSpec, h3_resolution: int) -> float:
    """Side of an area sample's window, metres: the model's window, or what a hexagon's width needs if more.

    The width is that between opposite flats of an average hexagon, in whole grid squares: with 80 m,
    8 at resolution 9 and 12 at 8. Raises InputError when hexagons are narrower than a square or too wide.
    """
    width_m: dict[int, float] = {
        r: math.sqrt(3) * h3.average_hexagon_edge_length(r, unit="m") for r in range(16)
    }
    sides = {r: max(spec.window_cells, math.ceil(width / spec.cell_m)) for r, width in width_m.items()}
    possible = [r for r in sides if width_m[r] >= spec.cell_m and sides[r] <= MAX_WINDOWS * spec.window_cells]
    if h3_resolution not in possible:
        raise InputError(
            f"H3 resolution {h3_resolution} has hexagons {width_m[h3_resolution]:,.0f} m wide; the model's"
            f" grid squares of {spec.cell_m:g} m and windows of {spec.window_cells} squares allow resolutions"
            f" {possible[0]} to {possible[-1]}"
        )
    return sides[h3_resolution] * spec.cell_m
