"""Nothing of a test place, nothing near one, nothing under terms that weights cannot bear."""

import json
import math
from pathlib import Path

import h3
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import Point, box

from data.sample import InputError
from data.training_rules import (
    BUFFER_M,
    LICENCES,
    Ground,
    SplitRules,
    distance_m,
    far_from_footprints,
    far_from_points,
    read_grounds,
    refusals,
)

RULES = SplitRules(frozenset({"t"}), frozenset({"v"}), frozenset({"u"}))


def square(lon: float, lat: float, side: float = 0.01) -> shapely.Polygon:
    return box(lon, lat, lon + side, lat + side)


def ground(place: str, lon: float = 50.0, licence: str = "MIT") -> Ground:
    return Ground(place, (square(lon, 10.0),), frozenset({licence}))


def test_each_reason_is_named() -> None:
    near = 0.01 + 0.9 * BUFFER_M / 111_195 / math.cos(math.radians(10))
    far = 0.01 + 1.1 * BUFFER_M / 111_195 / math.cos(math.radians(10))
    places = [ground("t", 0.0), ground("v"), ground("u"), ground("near", near), ground("far", far)]
    places += [ground("alike", licence="CC-BY-SA-4.0"), ground("silent", licence="None")]
    why = refusals({g.place: g for g in places}, [square(0.0, 10.0)], RULES)
    assert why == {
        "t": "test place",
        "v": "validation place",
        "u": "unused in training",
        "near": "4.5 km from a test place",
        "alike": "terms CC-BY-SA-4.0",
        "silent": "terms None",
    }


@given(st.floats(-179.9, 179.9), st.floats(-75, 75), st.floats(-0.2, 0.2), st.floats(-0.2, 0.2))
def test_distance_agrees_with_the_great_circle(lon: float, lat: float, east: float, north: float) -> None:
    wrapped = (lon + east + 180) % 360 - 180
    exact = h3.great_circle_distance((lat, lon), (lat + north, wrapped), unit="m")
    assert distance_m(Point(lon, lat), Point(wrapped, lat + north)) == pytest.approx(exact, rel=0.02, abs=1)


def test_the_antimeridian_is_no_distance() -> None:
    assert distance_m(Point(179.99, 0), Point(-179.99, 0)) == pytest.approx(0.02 * 111_195, rel=0.01)


def test_points_near_points_and_near_footprints() -> None:
    step = BUFFER_M / 111_195  # the buffer in degrees of latitude
    points = np.array([[0, 0.99 * step], [0, 1.01 * step], [30, 30]])
    assert far_from_points(points, np.array([[0.0, 0.0], [60.0, 60.0]])).tolist() == [False, True, True]
    assert far_from_footprints(points, [box(-1, -1, 1, 0)]).tolist() == [False, True, True]


def test_a_split_without_lists_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    path.write_text(json.dumps({"test": []}))
    with pytest.raises(InputError, match="no split of places"):
        SplitRules.read(path)


def test_real_places_that_remain_keep_their_distance(shared: Path) -> None:
    """By intersecting footprints: buffered test places touch no place that is trained on."""
    rules = SplitRules.read(shared / "samples" / "split.json")
    grounds = read_grounds(shared / "samples" / "catalog.json")
    test = [shape for place in rules.test for shape in grounds[place].footprints]
    why = refusals(grounds, test, rules)
    kept = [ground for place, ground in grounds.items() if place not in why]
    assert 40 < len(kept) < len(grounds) - len(rules.test) - len(rules.validation)
    degrees = BUFFER_M / 111_195
    forbidden = shapely.union_all([shape.buffer(degrees) for shape in test])  # at least 5 km north and south
    assert not any(shape.intersects(forbidden) for ground in kept for shape in ground.footprints)
    assert all(ground.licences <= LICENCES for ground in kept)
    assert not {ground.place for ground in kept} & (rules.test | rules.validation | rules.unused)
