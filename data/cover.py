"""What becomes a sample: the chips of a catalog, or the H3 cells of an area. Planned from metadata alone."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import h3
import numpy as np
import shapely

from .area import cell_centres, cells_in, check_area
from .grid import EQUATOR_DEGREE_M, PixelGrid
from .sample import InputError, SampleSpec
from .scene import Scene
from .selection import Request, tasks_of, usable_scenes
from .site import Skip, cell_window_m, cell_windows, chip_window, reference_grid, sites_of
from .stac import Catalog, Place
from .task import OnContradiction, Plan, PlanSummary, SampleTask, make_plan
from .time_series import Period, Span, periods, utc

MAX_TILES = 200_000  # of one place: 286 km a side of tiles of 640 m
LATITUDE_DEGREE_M = 110_570.0  # at the equator, where it is shortest

__all__ = ["Plan", "PlanSummary", "SampleTask", "Skip", "plan_area", "plan_chips"]


def plan_chips(
    catalog: Catalog,
    spec: SampleSpec,
    *,
    h3_resolution: int = 12,
    start: datetime | None = None,
    end: datetime | None = None,
    period: Period = "all",
    allow_l1c: bool = False,
    on_contradiction: OnContradiction = "drop",
) -> Plan:
    """One sample per place and period, over the extent common to the place's usable sensors.

    A place wider than the model's window becomes tiles named `place#row_col`. Dates are UTC, [start, end).
    Raises InputError when the dates are the wrong way round.
    """
    request = Request(
        spec, h3_resolution, start and utc(start), end and utc(end), period, allow_l1c, on_contradiction
    )
    return make_plan(
        [entry for place in catalog.places for entry in _chip_tasks(place, request)],
        spec,
        catalog.access,
    )


def _chip_tasks(place: Place, request: Request) -> list[SampleTask | Skip]:
    scenes, dropped = usable_scenes(place.scenes, request)
    if not scenes:
        return [Skip(place.name, _reasons(dropped, place.problems))]
    spans = periods([s for of in scenes.values() for s in of], request.period, request.start, request.end)
    if not spans:
        return [Skip(place.name, "no scene in the period asked for")]
    window, apart = chip_window(scenes, request.spec.cell_m)
    if (count := window.tile_count(request.spec.window_cells)) > MAX_TILES:
        size = f"{window.width_m / 1000:,.0f} x {window.height_m / 1000:,.0f} km"
        return [Skip(place.name, f"{size} are {count:,} samples; {MAX_TILES:,} at most: embed an area of it")]
    tiles = list(window.tiles(request.spec.window_cells))
    names = [place.name] if len(tiles) == 1 else [f"{place.name}#{row}_{col}" for row, col, _ in tiles]
    windows = dict(zip(names, (tile for _, _, tile in tiles), strict=True))
    problems = tuple(("item", problem) for problem in place.problems)
    kept = {modality: of for modality, of in scenes.items() if modality not in dict(apart)}
    sites = sites_of(windows, request.h3_resolution)
    return tasks_of(sites, kept, (*dropped, *apart, *problems), spans, request)


def _reasons(dropped: Iterable[tuple[str, str]], problems: Iterable[str] = ()) -> str:
    return "; ".join([*(f"{modality}: {reason}" for modality, reason in dropped), *problems]) or "no scenes"


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
    on_contradiction: OnContradiction = "drop",
) -> Plan:
    """One sample per period and H3 cell that has its centre in `area` and a scene in its window.

    `area` is a polygon in lon/lat. Windows are centred on the cell, `site.cell_window_m` a side. Period "all"
    is the same for all cells. Raises InputError when the area is empty or invalid, when nothing covers it,
    when the dates are the wrong way round, and when the hexagons do not fit the model.
    """
    request = Request(
        spec, h3_resolution, start and utc(start), end and utc(end), period, allow_l1c, on_contradiction
    )
    side_m = cell_window_m(spec, h3_resolution)
    scenes = catalog.scenes
    if not scenes:
        raise InputError(f"no item of {catalog.href} can be used; the first: {catalog.places[0].problems[0]}")
    groups = _cells_by_scenes(check_area(area), scenes, h3_resolution, side_m)
    if not groups:
        raise InputError(_not_covered(catalog))
    touched = [scenes[i] for i in sorted({i for indexes in groups for i in indexes})]
    usable, _ = usable_scenes(touched, request)
    spans = periods([s for of in usable.values() for s in of], request.period, request.start, request.end)
    if usable and not spans:
        raise InputError(f"no scene over the area has a date from {start} to {end}; widen the period")
    entries = [
        task
        for indexes, cells in groups.items()
        for task in _cell_tasks(cells, [scenes[i] for i in indexes], spans, side_m, request)
    ]
    return make_plan(entries, spec, catalog.access)


def _not_covered(catalog: Catalog) -> str:
    west, south, east, north = shapely.total_bounds([scene.footprint for scene in catalog.scenes])
    where = f"W {west:.4f} S {south:.4f} E {east:.4f} N {north:.4f}"
    return f"no cell centred in the area is covered by a scene of {catalog.href}, which lies within {where}"


def _cell_tasks(
    cells: Sequence[int], scenes: Sequence[Scene], spans: Iterable[Span], side_m: float, request: Request
) -> list[SampleTask | Skip]:
    """Tasks of cells that the same scenes touch."""
    usable, dropped = usable_scenes(scenes, request)
    if not usable:
        return [Skip(h3.int_to_str(cell), _reasons(dropped)) for cell in cells]
    windows = cell_windows(cells, reference_grid(usable), side_m, request.spec.cell_m)
    return tasks_of(sites_of(windows, request.h3_resolution), usable, dropped, spans, request)


def _cells_by_scenes(
    area: shapely.Geometry, scenes: Sequence[Scene], h3_resolution: int, side_m: float
) -> Mapping[tuple[int, ...], list[int]]:
    """Cells of the area by the indexes of the scenes that their windows touch, at least one."""
    by_grid: dict[PixelGrid, list[int]] = defaultdict(list)
    for index, scene in enumerate(scenes):
        by_grid[scene.grid].append(index)
    outlines, members = _on_one_map([(grid.footprint(), of_grid) for grid, of_grid in by_grid.items()])
    cells = cells_in(area.intersection(_widened(shapely.union_all(outlines), side_m)), h3_resolution)
    touched: list[set[int]] = [set() for _ in cells]
    pairs = shapely.STRtree(outlines).query(_window_boxes(cells, side_m), predicate="intersects")
    for cell, outline in pairs.T.tolist():
        touched[cell].update(members[outline])
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for cell, indexes in zip(cells.tolist(), touched, strict=True):
        if indexes:
            groups[tuple(sorted(indexes))].append(cell)
    return groups


def _on_one_map(
    pairs: Iterable[tuple[shapely.Polygon, list[int]]],
) -> tuple[list[shapely.Polygon], list[list[int]]]:
    """Outlines and their members; an outline that runs beyond +-180 degrees has a copy on the other side."""
    outlines, members = [], []
    for footprint, indexes in pairs:
        west, _, east, _ = footprint.bounds
        for shift in (0, *([360] if west < -180 else []), *([-360] if east > 180 else [])):
            outlines.append(shapely.transform(footprint, lambda xy, by=shift: xy + np.array([by, 0])))
            members.append(indexes)
    return outlines, members


def _widened(outline: shapely.Geometry, by_m: float) -> shapely.Geometry:
    """All of the map, in lon/lat, that lies nearer than `by_m` to `outline`, and a little more."""
    _, south, _, north = outline.bounds
    return outline.buffer(by_m / float(_lon_degree_m(max(abs(south), abs(north)))))


def _lon_degree_m(lat_deg: float | np.ndarray) -> np.ndarray:
    return np.asarray(EQUATOR_DEGREE_M * np.maximum(np.cos(np.radians(lat_deg)), 1e-3))


def _window_boxes(cells: np.ndarray, side_m: float) -> np.ndarray:
    """Boxes in lon/lat (N,) around the windows of cells, exact to a few metres."""
    centres = cell_centres(cells)  # (N, 2)
    lon, lat = centres[:, 0], centres[:, 1]
    half_lat, half_lon = side_m / 2 / LATITUDE_DEGREE_M, side_m / 2 / _lon_degree_m(lat)
    return np.asarray(shapely.box(lon - half_lon, lat - half_lat, lon + half_lon, lat + half_lat))
