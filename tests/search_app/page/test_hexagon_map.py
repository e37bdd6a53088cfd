"""The scene that the browser gets."""

import json
from math import cos, radians

import h3
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_app.page.background import Extent
from search_app.page.hexagon_map import (
    HEIGHT_PX,
    WIDTH_PX,
    Marks,
    build_map,
    clicked_cell,
    fit,
    metres_per_px,
)
from search_app.page.map_cells import MapCells

CELLS = sorted(h3.grid_disk(h3.latlng_to_cell(47.0, 10.0, 9), 2))
EXTENT = Extent(9.9, 46.9, 10.1, 47.1)


def scene(marks: Marks = Marks(), extent: Extent = EXTENT) -> dict[str, dict]:  # noqa: B008 - frozen
    ids = np.array([h3.str_to_int(cell) for cell in CELLS], np.uint64)
    n = len(ids)
    cells = MapCells(ids, np.ones(n, int), np.linspace(0, 1, n).astype(np.float32), np.full(n, -1))
    rgb = np.tile(np.array([1, 2, 3], np.uint8), (n, 1))
    deck = build_map(cells, rgb, [f"note {i}" for i in range(n)], marks, fit(extent), extent, layer="7")
    spec = json.loads(deck.to_json())
    return {"deck": spec, **{layer["id"]: layer for layer in spec["layers"]}}


def test_hexagons_carry_their_id_as_hex_their_colour_and_their_note() -> None:
    hexagons = scene()["hexagons-7"]
    assert [entry["h"] for entry in hexagons["data"]] == CELLS
    assert hexagons["data"][3] == {"h": CELLS[3], "c": [1, 2, 3], "t": "note 3"}
    assert hexagons["pickable"] is True


def test_nothing_in_the_scene_asks_for_a_base_map() -> None:
    deck = scene()["deck"]
    assert "mapProvider" not in deck
    assert "http" not in json.dumps(deck)
    assert deck["mapStyle"] == "__MAP_STYLE__"  # Streamlit's word for none, as long as there is no provider


def test_the_query_and_the_results_are_marked() -> None:
    layers = scene(Marks(query=CELLS[:1], results=CELLS[1:4], unlike=CELLS[5:6], chosen=CELLS[2]))
    assert len(layers["outlines"]["data"]) == 3 + 1 + 1 + 1
    assert len(layers["pins"]["data"]) == 3 + 1 + 1
    assert layers["ranks"]["data"][0]["n"] == "1"


def test_a_rank_under_a_better_pin_is_not_written() -> None:
    far = Extent(-40, 0, 60, 60)
    assert [entry["n"] for entry in scene(Marks(results=CELLS[:9]), far)["ranks"]["data"]] == ["1"]
    near = Extent(9.999, 46.999, 10.001, 47.001)
    assert len(scene(Marks(results=CELLS[:9]), near)["ranks"]["data"]) == 9


def test_land_is_drawn_only_where_its_outline_is_true() -> None:
    assert "land" not in scene()
    assert "land" in scene(extent=Extent(-40, 0, 60, 60))


def test_the_world_is_repeated_only_across_the_antimeridian() -> None:
    assert scene()["deck"]["views"][0]["repeat"] is False
    assert scene(extent=Extent(179, -18, 181, -16))["deck"]["views"][0]["repeat"] is True


@given(st.floats(-170, 160), st.floats(-70, 60), st.floats(0.01, 10), st.floats(0.01, 10))
def test_the_camera_sees_the_whole_extent(west: float, south: float, width: float, height: float) -> None:
    extent = Extent(west, south, west + width, south + height)
    camera = fit(extent)
    scale = metres_per_px(camera)
    metres_wide = 111_319 * width * cos(radians(camera.lat_deg))
    assert metres_wide / scale <= WIDTH_PX
    assert 111_000 * height / scale <= HEIGHT_PX * 1.25  # Mercator stretches away from the middle
    assert extent.west < camera.lon_deg < extent.east
    assert extent.south < camera.lat_deg < extent.north


def test_a_nudge_moves_the_view_too_little_to_see() -> None:
    before, after = fit(EXTENT).view_state(), fit(EXTENT, nudge=1).view_state()
    assert before.longitude != after.longitude
    assert before.longitude == pytest.approx(after.longitude, abs=1e-6)


def test_what_was_clicked() -> None:
    assert clicked_cell({"objects": {"hexagons-0": [{"h": "abc", "c": [0, 0, 0]}]}}) == "abc"
    assert clicked_cell({"objects": {}}) == ""
