"""The map: a deck.gl scene of hexagons on land and graticule, which needs nothing from the network."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import asinh, cos, degrees, log2, radians, tan
from typing import Any

import numpy as np
import pydeck as pdk
from pydeck.bindings.json_tools import default_serialize

from indexer.geo.cells import boundary, cells_to_text, centres
from indexer.geo.great_circle import distance_km

from .background import Extent, graticule, land
from .map_cells import MapCells

HEIGHT_PX = 560
WIDTH_PX = 580  # what the map is fitted to; the true width is the browser's
EARTH_M = 40_075_017.0  # circumference
TILE_PX = 512  # side of the world at zoom 0
MAX_ZOOM = 17.0
LAND_FROM_DEG = 6.0  # the land's outline is too coarse for a closer look
DOTS_UP_TO = 5_000  # cells side by side that also get a dot, so that they are seen from afar
DOT_PX = {True: 5.0, False: 1.5}  # radius of a dot, by whether cells are scattered
MAX_RANKED = 50  # results whose rank is written on the map
QUERY_RGB = (255, 45, 120)
UNLIKE_RGB = (234, 88, 12)
RESULT_RGB = (15, 23, 42)
CHOSEN_RGB = (37, 99, 235)
PIN_PX = 8
TOOLTIP_STYLE = {"fontSize": "12px", "borderRadius": "6px", "whiteSpace": "pre-line"}
LAND_RGBA = (148, 163, 184, 46)
LINE_RGBA = (148, 163, 184, 90)
TEXT_RGBA = (120, 132, 150, 255)


@dataclass(frozen=True)
class Marks:
    """Cells that are pointed out."""

    query: Sequence[str] = ()  # hex ids
    unlike: Sequence[str] = ()
    results: Sequence[str] = ()  # in order of rank
    chosen: str = ""  # the result that is looked at

    @property
    def places(self) -> Iterator[str]:
        """The query's cells, then those of the results."""
        return chain(self.query, self.results)


@dataclass(frozen=True)
class Camera:
    """Where the map looks when it opens, or when it is told to look elsewhere."""

    lon_deg: float
    lat_deg: float
    zoom: float
    nudge: int = 0  # a new number moves the map back here even if only the reader has moved it away

    def view_state(self) -> pdk.ViewState:
        """deck.gl moves only where the view differs from the last it was given: hence the unseen nudge."""
        off = (self.nudge % 1000) * 1e-9
        return pdk.ViewState(
            longitude=self.lon_deg + off, latitude=self.lat_deg + off, zoom=self.zoom + off, max_zoom=20
        )


class CompactDeck(pdk.Deck):  # type: ignore[misc]
    """A deck whose JSON is not indented: at 20,000 hexagons that is the difference of 6 and 2 MB a redraw."""

    def to_json(self) -> str:
        """The scene, as the browser reads it."""
        return json.dumps(self, default=default_serialize, separators=(",", ":"))


def fit(extent: Extent, nudge: int = 0, height_px: int = HEIGHT_PX) -> Camera:
    """The camera that sees the whole extent with a margin, in Web Mercator."""
    width = max(extent.east - extent.west, 1e-4) / 360
    height = max(_mercator(extent.north) - _mercator(extent.south), 1e-4) / 360
    zoom = min(log2(WIDTH_PX / TILE_PX / width), log2(height_px / TILE_PX / height)) - 0.35
    middle = (_mercator(extent.south) + _mercator(extent.north)) / 2
    lat = degrees(np.arctan(np.sinh(radians(middle))))
    return Camera((extent.west + extent.east) / 2, lat, float(np.clip(zoom, 0.0, MAX_ZOOM)), nudge)


def metres_per_px(camera: Camera) -> float:
    """Ground covered by a pixel in the middle of the map."""
    return EARTH_M * cos(radians(camera.lat_deg)) / (TILE_PX * 2**camera.zoom)


def build_map(
    cells: MapCells,
    rgb: np.ndarray,
    notes: Sequence[str],
    marks: Marks,
    camera: Camera,
    extent: Extent,
    layer: str,
) -> pdk.Deck:
    """The scene.

    Args:
        cells: what to draw, n cells.
        rgb: (n, 3) uint8 colour of each.
        notes: n texts of any lines, shown under the cell's id where the pointer rests.
        marks: the query, the results.
        camera: where to look.
        extent: what the graticule covers.
        layer: id of the layer of hexagons. A new id forgets what was clicked.
    """
    data = [
        {"h": name, "c": colour, "t": note}
        for name, colour, note in zip(cells_to_text(cells.cell), rgb.tolist(), notes, strict=True)
    ]
    wraps = extent.east > 180
    layers = [*_background(extent), _hexagons(data, layer, wraps)]
    if len(data) <= DOTS_UP_TO or cells.scattered:
        layers.append(_dots(data, cells, layer))
    layers += _marks(marks, camera)
    return CompactDeck(
        layers=layers,
        views=[pdk.View("MapView", controller=True, repeat=wraps)],
        map_provider=None,
        initial_view_state=camera.view_state(),
        tooltip={"html": "<b>{h}</b><br>{t}", "style": TOOLTIP_STYLE},
    )


def clicked_cell(selection: Mapping[str, Any]) -> str:
    """Hex id of the cell in a map event's selection, or an empty string."""
    for objects in selection.get("objects", {}).values():
        for clicked in objects:
            return str(clicked.get("h", ""))
    return ""


def _hexagons(data: list[dict[str, Any]], layer: str, wraps: bool) -> pdk.Layer:
    """Hexagons; across the antimeridian as polygons, for there deck.gl's quicker way draws none."""
    return pdk.Layer(
        "H3HexagonLayer",
        id=f"hexagons-{layer}",
        data=data,
        get_hexagon="h",
        get_fill_color="c",
        extruded=False,
        coverage=0.96,
        high_precision=wraps or pdk.types.String("auto"),
        pickable=True,
        auto_highlight=True,
        highlight_color=[255, 255, 255, 90],
    )


def _dots(data: list[dict[str, Any]], cells: MapCells, layer: str) -> pdk.Layer:
    """A dot in each hexagon's colour: lost in the hexagon nearby, all that is seen of it from afar."""
    lon, lat = centres(cells.cell)
    order = np.argsort(np.nan_to_num(cells.value, nan=-np.inf), kind="stable")  # the best on top
    points = [{**data[i], "p": [round(float(lon[i]), 6), round(float(lat[i]), 6)]} for i in order]
    return pdk.Layer(
        "ScatterplotLayer",
        id=f"dots-{layer}",
        data=points,
        get_position="p",
        get_fill_color="c",
        get_radius=1,
        radius_min_pixels=DOT_PX[cells.scattered],
        pickable=cells.scattered,
    )


def _marks(marks: Marks, camera: Camera) -> list[pdk.Layer]:
    """Outlines, pins that are seen from afar, and ranks on the pins of results."""
    paths = [_outline(cell, RESULT_RGB, 1.5) for cell in marks.results]
    paths += [_outline(cell, CHOSEN_RGB, 3.5) for cell in [marks.chosen] if cell]
    paths += [_outline(cell, QUERY_RGB, 3.5) for cell in marks.query]
    paths += [_outline(cell, UNLIKE_RGB, 3.5) for cell in marks.unlike]
    outline = pdk.Layer(
        "PathLayer",
        id="outlines",
        data=paths,
        get_path="path",
        get_color="c",
        get_width="w",
        width_units=pdk.types.String("pixels"),
        joint_rounded=True,
    )
    pins = [
        _pin(cell, CHOSEN_RGB if cell == marks.chosen else RESULT_RGB)
        for cell in reversed(marks.results[:MAX_RANKED])
    ]
    pins += [_pin(cell, UNLIKE_RGB) for cell in marks.unlike] + [
        _pin(cell, QUERY_RGB) for cell in marks.query
    ]
    discs = pdk.Layer(
        "ScatterplotLayer",
        id="pins",
        data=pins,
        get_position="p",
        get_fill_color="c",
        stroked=True,
        get_line_color=[255, 255, 255],
        line_width_min_pixels=1,
        get_radius=1,
        radius_min_pixels=PIN_PX,
        radius_max_pixels=PIN_PX,
    )
    ranks = pdk.Layer(
        "TextLayer",
        id="ranks",
        data=[{**_pin(cell, RESULT_RGB), "n": str(rank)} for rank, cell in _apart(marks.results, camera)],
        get_position="p",
        get_text="n",
        get_size=10,
        get_color=[255, 255, 255],
        font_weight=600,
        font_family=pdk.types.String("sans-serif"),
    )
    return [outline, discs, ranks]


def _apart(results: Sequence[str], camera: Camera) -> list[tuple[int, str]]:
    """(rank, cell) of the results whose pins no better one covers; only the first few are numbered at all."""
    ids = np.array([int(cell, 16) for cell in results[:MAX_RANKED]], np.uint64)
    lon, lat = centres(ids)
    taken: list[int] = []
    for i in range(len(ids)):
        away_m = 1000 * distance_km(lon[i], lat[i], lon[taken], lat[taken])
        if not (away_m < 2 * PIN_PX * metres_per_px(camera)).any():
            taken.append(i)
    return [(i + 1, results[i]) for i in taken]


def _outline(cell: str, rgb: tuple[int, int, int], width_px: float) -> dict[str, Any]:
    ring = [[round(lon, 6), round(lat, 6)] for lon, lat in boundary(int(cell, 16))]
    return {"path": ring, "c": list(rgb), "w": width_px}


def _pin(cell: str, rgb: tuple[int, int, int]) -> dict[str, Any]:
    lon, lat = centres(np.array([int(cell, 16)], np.uint64))
    return {"p": [round(float(lon[0]), 6), round(float(lat[0]), 6)], "c": list(rgb)}


def _background(extent: Extent) -> list[pdk.Layer]:
    """Land where the view is wide enough for its outline to be true, and the graticule with its labels."""
    paths, labels = graticule(extent)
    lines = pdk.Layer(
        "PathLayer",
        id="graticule",
        data=[{"path": path} for path in paths],
        get_path="path",
        get_color=list(LINE_RGBA),
        get_width=1,
        width_units=pdk.types.String("pixels"),
    )
    text = pdk.Layer(
        "TextLayer",
        id="degrees",
        data=[{"p": position, "n": label} for position, label in labels],
        get_position="p",
        get_text="n",
        get_size=11,
        get_color=list(TEXT_RGBA),
        character_set=pdk.types.String("auto"),
        font_family=pdk.types.String("sans-serif"),
    )
    if max(extent.east - extent.west, extent.north - extent.south) < LAND_FROM_DEG:
        return [lines, text]
    ground = pdk.Layer(
        "PolygonLayer",
        id="land",
        data=[{"ring": ring} for ring in land()],
        get_polygon="ring",
        get_fill_color=list(LAND_RGBA),
        get_line_color=list(LINE_RGBA),
        line_width_min_pixels=1,
    )
    return [ground, lines, text]


def _mercator(lat_deg: float) -> float:
    """Northing in Web Mercator, in degrees of longitude at the equator."""
    return degrees(asinh(tan(radians(np.clip(lat_deg, -85, 85)))))
