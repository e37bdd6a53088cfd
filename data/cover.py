"""What becomes a sample: the chips of a catalog, or the H3 cells of an area. Planned from metadata alone."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import h3
import h3.api.numpy_int as h3_int
import numpy as np
import shapely

from .area import MAX_CELLS, cells_in, check_area, estimated_cells
from .grid import (
    Bounds,
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
from .modality import MODALITIES
from .sample import InputError, SampleSpec
from .scene import Scene
from .stac import Catalog, Place
from .task import Plan, PlanSummary, SampleTask, Series, Site, Skip, make_plan, series_digest, task_key
from .time_series import Period, Span, acquisitions, by_preference, check_span, periods, within

__all__ = ["Plan", "PlanSummary", "SampleTask", "Skip", "plan_area", "plan_chips"]

MAX_WINDOWS = 4  # a hexagon wider than this many of the model's windows is refused
_GRID_ORDER = ("s2", "s1", "hr")  # the first of these that a place has lays down the sample's grid


@dataclass(frozen=True)
class _Request:
    spec: SampleSpec
    h3_resolution: int
    start: datetime | None
    end: datetime | None
    period: Period
    allow_l1c: bool

    def __post_init__(self) -> None:
        check_span(self.start, self.end)
        if not 0 <= self.h3_resolution <= 15:
            raise InputError(f"H3 resolution {self.h3_resolution}; expected 0 to 15")


def plan_chips(
    catalog: Catalog,
    spec: SampleSpec,
    *,
    h3_resolution: int = 12,
    start: datetime | None = None,
    end: datetime | None = None,
    period: Period = "all",
    allow_l1c: bool = False,
) -> Plan:
    """One sample per place and period, over the extent common to the place's usable sensors.

    A place wider than the model's window becomes tiles named `place#row_col`. Dates are UTC, [start, end).
    Raises InputError when the dates are the wrong way round.
    """
    request = _Request(spec, h3_resolution, start, end, period, allow_l1c)
    tasks: list[SampleTask] = []
    skips: list[Skip] = []
    for place in catalog.places:
        found = _chip_tasks(place, request)
        tasks += [task for task in found if isinstance(task, SampleTask)]
        skips += [skip for skip in found if isinstance(skip, Skip)]
    return make_plan(tasks, skips, spec)


def _chip_tasks(place: Place, request: _Request) -> list[SampleTask | Skip]:
    scenes, dropped = _usable(place.scenes, request)
    if not scenes:
        reasons = [*place.problems, *(f"{modality}: {reason}" for modality, reason in dropped)]
        return [Skip(place.name, "; ".join(reasons) or "no scenes")]
    spans = periods([s for of in scenes.values() for s in of], request.period, request.start, request.end)
    if not spans:
        return [Skip(place.name, "no scene in the period asked for")]
    window, apart = _common_window(scenes, request.spec.cell_m)
    tiles = list(window.tiles(request.spec.window_cells))
    names = [place.name] if len(tiles) == 1 else [f"{place.name}#{row}_{col}" for row, col, _ in tiles]
    sites = _sites(dict(zip(names, (tile for _, _, tile in tiles), strict=True)), request.h3_resolution)
    kept = {modality: of for modality, of in scenes.items() if modality not in dict(apart)}
    return _tasks(sites, kept, (*dropped, *apart), spans, request.spec)


def _usable(
    scenes: Iterable[Scene], request: _Request
) -> tuple[dict[str, list[Scene]], tuple[tuple[str, str], ...]]:
    """Scenes by modality that the model can take, and (modality, reason) of those it cannot."""
    by_modality: dict[str, list[Scene]] = defaultdict(list)
    for scene in scenes:
        by_modality[scene.modality].append(scene)
    usable: dict[str, list[Scene]] = {}
    dropped: list[tuple[str, str]] = []
    for modality in (name for name in MODALITIES if name in by_modality):
        found = by_modality[modality]
        complete = [scene for scene in found if not scene.missing_bands]
        if len(complete) < len(found):
            missing = next(" ".join(s.missing_bands) for s in found if s.missing_bands)
            count = "" if not complete else f"{len(found) - len(complete)} of {len(found)} scenes: "
            dropped.append((modality, f"{count}bands missing: {missing}"))
        kept = _of_level(complete, request) if modality == "s2" else complete
        if kept:
            usable[modality] = kept
        elif complete:
            wanted, level = " or ".join(request.spec.s2_levels), complete[0].level
            dropped.append(
                (modality, f"level {level}, the weights want {wanted} (--allow-l1c takes L1C too)")
            )
    return usable, tuple(dropped)


def _of_level(scenes: Sequence[Scene], request: _Request) -> list[Scene]:
    """Scenes of the first accepted level that has any; levels are never mixed. An unknown level is accepted."""
    for level in (*request.spec.s2_levels, *(["L1C"] if request.allow_l1c else [])):
        if found := [scene for scene in scenes if scene.level in (level, "")]:
            return found
    return []


def _common_window(
    scenes: Mapping[str, Sequence[Scene]], cell_m: float
) -> tuple[Window, tuple[tuple[str, str], ...]]:
    """The extent common to all modalities, on the pixel grid of the first, and modalities that lie elsewhere."""
    reference = _reference_grid(scenes)
    assert reference is not None
    crs = reference.crs if is_utm(reference.crs) else _utm_of(reference)
    extents = {
        modality: hull(
            [grid.bounds_in(crs) for grid in dict.fromkeys(scene.grid for scene in scenes[modality])]
        )
        for modality in _GRID_ORDER
        if modality in scenes
    }
    first, *others = extents
    bounds, apart = extents[first], []
    for modality in others:
        common = common_bounds([bounds, extents[modality]])
        if common is None or min(common[2] - common[0], common[3] - common[1]) < reference.gsd_m / 2:
            apart.append((modality, f"does not overlap the place's {first}"))
        else:
            bounds = common
    if crs == reference.crs:
        bounds = snap(bounds, reference)
    return window_of(bounds, crs, cell_m), tuple(apart)


def _reference_grid(scenes: Mapping[str, Sequence[Scene]]) -> PixelGrid | None:
    """The commonest grid, in a UTM zone if any is, of the first modality that there is."""
    for modality in _GRID_ORDER:
        if counts := Counter(scene.grid for scene in scenes.get(modality, ())):
            return max(counts, key=lambda grid: (is_utm(grid.crs), counts[grid]))
    return None


def _utm_of(grid: PixelGrid) -> str:
    centre = grid.footprint().centroid
    return utm_crs(centre.x, centre.y)


def _sites(windows: Mapping[str, Window], h3_resolution: int) -> list[Site | Skip]:
    """Footprint, centre and cell of windows by sample id."""
    by_crs: dict[str, list[str]] = defaultdict(list)
    for name, window in windows.items():
        by_crs[window.crs].append(name)
    sites: list[Site | Skip] = []
    for crs, names in by_crs.items():
        rings = lonlat_rings(crs, np.array([windows[name].bounds for name in names]))  # (N, 5, 2)
        sites += [
            _site(name, windows[name], ring, h3_resolution) for name, ring in zip(names, rings, strict=True)
        ]
    return sites


def _site(sample_id: str, window: Window, ring: np.ndarray, h3_resolution: int) -> Site | Skip:
    if encircles_pole(ring):
        return Skip(sample_id, "a pole lies in the window; a lon/lat footprint cannot go around it")
    centre = shapely.Polygon(ring).centroid
    cell = h3_int.latlng_to_cell(centre.y, centre.x, h3_resolution)
    footprint = tuple((float(lon), float(lat)) for lon, lat in ring)
    return Site(sample_id, window, footprint, centre.x, centre.y, int(cell))


def _tasks(
    sites: Iterable[Site | Skip],
    scenes: Mapping[str, Sequence[Scene]],
    dropped: tuple[tuple[str, str], ...],
    spans: Iterable[Span],
    spec: SampleSpec,
) -> list[SampleTask | Skip]:
    """A task for every site and period that has scenes."""
    chosen = [
        (span, series, series_digest(series)) for span in spans if (series := _series(scenes, span, spec))
    ]
    tasks: list[SampleTask | Skip] = []
    for site in sites:
        if isinstance(site, Skip):
            tasks.append(site)
            continue
        for span, series, digest in chosen:
            tasks.append(SampleTask(site, *span, series, dropped, task_key(site, span, spec, digest)))
    return tasks


def _series(scenes: Mapping[str, Sequence[Scene]], span: Span, spec: SampleSpec) -> Series:
    found = {
        modality: acquisitions(scene for scene in scenes[modality] if within(scene, span))
        for modality in MODALITIES
        if modality in scenes
    }
    return {m: by_preference(passes, spec.max_dates[m]) for m, passes in found.items() if passes}


def plan_area(
    catalog: Catalog,
    spec: SampleSpec,
    area: shapely.Geometry,
    *,
    h3_resolution: int = 9,
    start: datetime | None = None,
    end: datetime | None = None,
    period: Period = "all",
    allow_l1c: bool = False,
) -> Plan:
    """One sample per period and H3 cell whose centre lies in `area` (lon/lat) and whose window any scene touches.

    Windows are centred on the cell, `window_size_cells` a side. Period "all" is the same for all cells.
    Raises InputError when the area is empty or invalid, when nothing covers it, when the dates are the wrong way
    round, and when hexagons are too small or too large for the model.
    """
    request = _Request(spec, h3_resolution, start, end, period, allow_l1c)
    side_m = window_size_cells(spec, h3_resolution) * spec.cell_m
    scenes = catalog.scenes
    cells, touching = _cells_and_scenes(check_area(area), scenes, h3_resolution, side_m)
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for cell, indexes in zip(cells, touching, strict=True):
        groups[indexes].append(int(cell))
    touched = [scenes[i] for i in sorted({i for indexes in groups for i in indexes})]
    usable, _ = _usable(touched, request)
    spans = periods([s for of in usable.values() for s in of], period, start, end)
    found: list[SampleTask | Skip] = []
    for indexes, members in groups.items():
        found += _cell_tasks(members, [scenes[i] for i in indexes], spans, side_m, request)
    if not found:
        raise InputError(_nothing_covers(catalog, len(touched), usable, request))
    tasks = [task for task in found if isinstance(task, SampleTask)]
    return make_plan(tasks, [skip for skip in found if isinstance(skip, Skip)], spec)


def _nothing_covers(catalog: Catalog, touched: int, usable: Mapping[str, object], request: _Request) -> str:
    if not touched:
        west, south, east, north = shapely.total_bounds([scene.footprint for scene in catalog.scenes])
        where = f"{west:.4f} {south:.4f} {east:.4f} {north:.4f}"
        return f"no cell of the area is covered by a scene of {catalog.href}, which lies within {where} (W S E N)"
    return f"no scene over the area has a date from {request.start} to {request.end}"


def window_size_cells(spec: SampleSpec, h3_resolution: int) -> int:
    """Side of an area sample's window in grid cells: the model's window, or what a hexagon's width needs if more.

    The width is that between opposite flats of an average hexagon: 8 cells of 80 m at resolution 9, 12 at 8.
    """
    width_m = {r: math.sqrt(3) * h3.average_hexagon_edge_length(r, unit="m") for r in range(16)}
    sides = {r: max(spec.window_cells, math.ceil(width / spec.cell_m)) for r, width in width_m.items()}
    possible = [r for r in sides if width_m[r] >= spec.cell_m and sides[r] <= MAX_WINDOWS * spec.window_cells]
    if h3_resolution not in possible:
        raise InputError(
            f"H3 resolution {h3_resolution} does not fit the model: its hexagons are {width_m[h3_resolution]:,.0f} m"
            f" wide, a grid cell {spec.cell_m:g} m, a window {spec.window_cells * spec.cell_m:g} m;"
            f" choose {possible[0]} to {possible[-1]}"
        )
    return sides[h3_resolution]


def _cells_and_scenes(
    area: shapely.Geometry, scenes: Sequence[Scene], h3_resolution: int, side_m: float
) -> tuple[np.ndarray, list[tuple[int, ...]]]:
    """Cells (N,) of the area, and of each the indexes of the scenes that its window touches, at least one."""
    by_grid: dict[PixelGrid, list[int]] = defaultdict(list)
    for index, scene in enumerate(scenes):
        by_grid[scene.grid].append(index)
    members = list(by_grid.values())
    outlines, owner = _on_one_map([grid.footprint() for grid in by_grid])
    near = area.intersection(_widened(shapely.union_all(outlines), side_m))
    count = estimated_cells(near, h3_resolution)
    if count > MAX_CELLS:
        raise InputError(
            f"about {count:,.0f} cells in the area; {MAX_CELLS:,} at most: choose a smaller area"
        )
    cells = cells_in(near, h3_resolution)
    boxes = _window_boxes(cells, side_m)
    touched: list[set[int]] = [set() for _ in cells]
    for cell, outline in zip(*shapely.STRtree(outlines).query(boxes, predicate="intersects"), strict=True):
        touched[cell].update(members[owner[outline]])
    covered = [i for i, indexes in enumerate(touched) if indexes]
    return cells[covered], [tuple(sorted(touched[i])) for i in covered]


def _on_one_map(footprints: Sequence[shapely.Polygon]) -> tuple[list[shapely.Polygon], list[int]]:
    """Footprints and, of those beyond +-180 degrees, a copy on the other side; and which footprint each is."""
    outlines, owner = [], []
    for index, footprint in enumerate(footprints):
        west, _, east, _ = footprint.bounds
        for shift in (0, *([360] if west < -180 else []), *([-360] if east > 180 else [])):
            outlines.append(shapely.transform(footprint, lambda xy, by=shift: xy + (by, 0)))
            owner.append(index)
    return outlines, owner


def _widened(outline: shapely.Geometry, side_m: float) -> shapely.Geometry:
    """`outline` and the windows that may touch it from outside, in lon/lat."""
    _, south, _, north = outline.bounds
    return outline.buffer(side_m / _lon_degree_m(max(abs(south), abs(north))))


def _lon_degree_m(lat_deg: float | np.ndarray) -> np.ndarray:
    return 111_320 * np.maximum(np.cos(np.radians(lat_deg)), 1e-3)


def _window_boxes(cells: np.ndarray, side_m: float) -> np.ndarray:
    """Boxes in lon/lat (N,) around the windows of cells, exact to a few metres."""
    centres = _centres(cells)
    lon, lat = centres[:, 0], centres[:, 1]
    half_lat, half_lon = side_m / 2 / 110_570, side_m / 2 / _lon_degree_m(lat)
    return shapely.box(lon - half_lon, lat - half_lat, lon + half_lon, lat + half_lat)


def _centres(cells: Iterable[int]) -> np.ndarray:
    """(N, 2) lon, lat in degrees."""
    return np.array([h3_int.cell_to_latlng(cell)[::-1] for cell in cells]).reshape(-1, 2)


def _cell_tasks(
    cells: Sequence[int], scenes: Sequence[Scene], spans: Iterable[Span], side_m: float, request: _Request
) -> list[SampleTask | Skip]:
    """Tasks of cells that the same scenes touch."""
    usable, dropped = _usable(scenes, request)
    if not usable:
        reason = "; ".join(f"{modality}: {reason}" for modality, reason in dropped)
        return [Skip(h3.int_to_str(cell), reason) for cell in cells]
    windows = _cell_windows(cells, _reference_grid(usable), side_m, request.spec.cell_m)
    sites = _sites(windows, request.h3_resolution)
    return _tasks(sites, usable, dropped, spans, request.spec)


def _cell_windows(
    cells: Sequence[int], reference: PixelGrid | None, side_m: float, cell_m: float
) -> dict[str, Window]:
    """Windows centred on cells, on the pixel grid of `reference` if that is in a UTM zone, by the cell's id."""
    centres = _centres(cells)
    zones = [reference.crs if reference and is_utm(reference.crs) else utm_crs(*centre) for centre in centres]
    windows: dict[str, Window] = {}
    for crs in dict.fromkeys(zones):
        chosen = [i for i, zone in enumerate(zones) if zone == crs]
        xs, ys = project(crs, centres[chosen, 0], centres[chosen, 1])
        for i, x, y in zip(chosen, xs, ys, strict=True):
            bounds: Bounds = (x - side_m / 2, y - side_m / 2, x + side_m / 2, y + side_m / 2)
            if reference and reference.crs == crs:
                left, _, _, top = snap(bounds, reference)
                bounds = (left, top - side_m, left + side_m, top)
            windows[h3.int_to_str(cells[i])] = window_of(bounds, crs, cell_m)
    return windows
