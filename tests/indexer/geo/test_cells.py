"""Bit arithmetic on cells against the H3 library."""

import h3
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.errors import QueryError
from indexer.geo import cells
from indexer.geo.great_circle import EARTH_RADIUS_KM, distance_km

lon_lat = st.tuples(st.floats(-180, 180), st.floats(-90, 90))
resolution = st.integers(0, 15)


def cell_of(point: tuple[float, float], res: int) -> int:
    return h3.str_to_int(h3.latlng_to_cell(point[1], point[0], res))


@settings(deadline=None)
@given(lon_lat, resolution, resolution)
def test_parents_are_those_of_h3(point: tuple[float, float], a: int, b: int) -> None:
    coarse, fine = sorted((a, b))
    cell = cell_of(point, fine)
    assert cells.parent(cell, coarse) == h3.str_to_int(h3.cell_to_parent(h3.int_to_str(cell), coarse))
    assert cells.resolution_of(cell) == fine == cells.resolutions([cell])[0]


@settings(deadline=None)
@given(lon_lat, st.integers(0, 11), st.integers(0, 4))
def test_a_child_range_holds_all_children_and_ends_at_them(
    point: tuple[float, float], res: int, deeper: int
) -> None:
    cell = cell_of(point, res)
    low, high = cells.child_range(cell, res + deeper)
    children = sorted(h3.str_to_int(c) for c in h3.cell_to_children(h3.int_to_str(cell), res + deeper))
    assert (low, high) == (children[0], children[-1])


def test_a_child_range_holds_nothing_else() -> None:
    every = np.array(
        sorted(h3.str_to_int(c) for r0 in h3.get_res0_cells() for c in h3.cell_to_children(r0, 2))
    )
    for region in h3.get_res0_cells():
        low, high = cells.child_range(h3.str_to_int(region), 2)
        inside = every[(every >= low) & (every <= high)]
        assert {h3.int_to_str(c) for c in inside} == set(h3.cell_to_children(region, 2))


@pytest.mark.parametrize("res", [0, 1, 5, 14])
def test_children_are_those_of_h3_but_for_one_of_a_pentagon(res: int) -> None:
    some = [cell_of((lon, 40.0), res) for lon in (-100.0, 0.0, 100.0)] + [
        *map(h3.str_to_int, h3.get_pentagons(res))
    ]
    found = cells.children(np.array(some, np.uint64)).reshape(-1, 7)
    for cell, mine in zip(some, found, strict=True):
        expected = {h3.str_to_int(child) for child in h3.cell_to_children(h3.int_to_str(cell))}
        assert set(mine[cells.are_valid(mine)].tolist()) == expected


@settings(deadline=None)
@given(st.lists(st.tuples(lon_lat, st.integers(0, 7)), max_size=20), st.lists(lon_lat, max_size=30))
def test_ranges_of_cells_hold_their_descendants_alone(
    regions: list[tuple[tuple[float, float], int]], points: list[tuple[float, float]]
) -> None:
    named = [cell_of(point, res) for point, res in regions]
    ranges = cells.cell_ranges(named, 7)
    assert (ranges[1:, 0] > ranges[:-1, 1]).all()
    asked = [cell_of(point, 7) for point in points] + [cell_of(point, 7) for point, _ in regions]
    expected = [any(cells.parent(c, cells.resolution_of(r)) == r for r in named) for c in asked]
    assert cells.in_ranges(asked, ranges).tolist() == expected
    assert [cells.overlaps(c, c, ranges) for c in asked] == expected


def test_a_cell_finer_than_the_rows_is_refused_with_its_parent() -> None:
    with pytest.raises(QueryError, match="resolution 10, finer than the table's 9: give its parent 89"):
        cells.cell_ranges([cell_of((6.0, 46.0), 10)], 9)


@pytest.mark.parametrize(
    "text", ["8928308280fffff", "0x8928308280FFFFF", " 8928308280fffff", "617700169958293503"]
)
def test_a_cell_is_read_from_hexadecimal_or_decimal_text(text: str) -> None:
    assert cells.parse_cell(text) == 617700169958293503 == cells.parse_cell(617700169958293503)


@pytest.mark.parametrize(
    "text", ["", "zurich", "8928308280ffff", "8928308280ffffff", "5", -1, "617700169958293504"]
)
def test_what_is_no_cell_is_refused(text: str | int) -> None:
    with pytest.raises(QueryError, match="is not an H3 cell: expected an id such as"):
        cells.parse_cell(text)


@settings(deadline=None)
@given(st.lists(lon_lat, min_size=1, max_size=20), resolution)
def test_cells_and_centres_of_points_are_those_of_h3(points: list[tuple[float, float]], res: int) -> None:
    lon, lat = np.array(points).T
    found = cells.cells_at(lon, lat, res)
    assert found.tolist() == [cell_of(point, res) for point in points]
    centre_lon, centre_lat = cells.centres(found)
    expected = np.array([h3.cell_to_latlng(h3.int_to_str(c)) for c in found.tolist()])
    np.testing.assert_allclose(np.stack([centre_lat, centre_lon], 1), expected, atol=1e-9)
    assert cells.cell_at(*points[0], res) == found[0]
    assert cells.are_valid(found).all()
    assert not cells.are_valid(found + np.uint64(1 << 60)).any()


@pytest.mark.parametrize("point", [(181.0, 0.0), (0.0, 91.0), (float("nan"), 0.0)])
def test_a_point_off_the_globe_is_refused(point: tuple[float, float]) -> None:
    with pytest.raises(QueryError, match="is no place"):
        cells.cell_at(*point, 9)


def test_distances_along_the_equator_and_to_the_pole() -> None:
    quarter_km = np.pi / 2 * EARTH_RADIUS_KM
    np.testing.assert_allclose(
        distance_km(0, 0, [90, 179, 10], [0, 0, 90]), quarter_km * np.array([1, 179 / 90, 1])
    )
    assert distance_km(179.9, 10, -179.9, 10) < 25  # across the antimeridian


def test_a_boundary_across_the_antimeridian_stays_in_one_piece() -> None:
    ring = cells.boundary(cell_of((179.9999, 10.0), 5))
    lon = [x for x, _ in ring]
    assert ring[0] == ring[-1]
    assert max(lon) - min(lon) < 1
    assert min(lon) < 180 < max(lon)


def test_text_of_cells() -> None:
    assert (
        cells.cells_to_text([617700169958293503])
        == [cells.cell_to_text(617700169958293503)]
        == ["8928308280fffff"]
    )


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9)), max_size=8),
    st.integers(0, 50),
    st.integers(0, 9),
)
def test_ranges_hold_what_one_of_them_holds(spans: list[tuple[int, int]], low: int, width: int) -> None:
    """Against a set of numbers: merged, asked of each number, and of a range."""
    held = {number for start, length in spans for number in range(start, start + length + 1)}
    merged = cells.merge_ranges([(start, start + length) for start, length in spans])
    assert {n for first, last in merged.tolist() for n in range(first, last + 1)} == held
    assert (merged[1:, 0] > merged[:-1, 1]).all()
    assert cells.in_ranges(np.arange(60), merged).tolist() == [n in held for n in range(60)]
    assert cells.overlaps(low, low + width, merged) == any(n in held for n in range(low, low + width + 1))


def test_of_every_resolution() -> None:
    names = [h3.latlng_to_cell(48.1, 11.5, resolution) for resolution in range(16)]
    ids = [h3.str_to_int(name) for name in names]
    assert cells.resolutions(ids).tolist() == list(range(16))
    assert [cells.resolution_of(cell) for cell in ids] == list(range(16))
    assert [cells.cell_to_text(cell) for cell in ids] == cells.cells_to_text(ids) == names
    assert cells.are_valid([*ids, 7, 0]).tolist() == [True] * 16 + [False] * 2
    np.testing.assert_allclose(cells.areas_km2(ids), [h3.cell_area(name) for name in names], rtol=1e-9)
    corners = [
        h3.great_circle_distance(h3.cell_to_latlng(name), h3.cell_to_boundary(name)[0], "km")
        for name in names
    ]
    np.testing.assert_allclose(cells.radii_km(ids), corners, rtol=1e-6)
    for few, many in zip(cells.centres_of_few(ids), cells.centres(ids), strict=True):
        np.testing.assert_allclose(few, many, rtol=0, atol=1e-12)


@pytest.mark.parametrize("point", [(-180, -90), (180, 90), (0, 0)])
def test_the_ends_of_the_globe_are_places(point: tuple[float, float]) -> None:
    assert cells.cell_at(*point, 5) == h3.str_to_int(h3.latlng_to_cell(point[1], point[0], 5))
    assert cells.cells_at(*point, 5).tolist() == [cells.cell_at(*point, 5)]


def test_floats_are_no_cells() -> None:
    with pytest.raises(AssertionError, match="no longer exact"):
        cells.as_cells(np.array([6.1e17]))
    assert cells.as_cells(np.array([5], np.int32)).dtype == np.uint64


@pytest.mark.parametrize(("lat", "lon"), [(65.0, 179.99), (10.0, 20.0), (-20.0, -179.99)])
def test_a_boundary_is_closed_and_runs_on_past_180(lat: float, lon: float) -> None:
    cell = h3.latlng_to_cell(lat, lon, 4)
    ring = cells.boundary(h3.str_to_int(cell))
    corners = h3.cell_to_boundary(cell)
    assert ring[0] == ring[-1]
    assert len(ring) == len(corners) + 1
    assert [lat for _, lat in ring[:-1]] == [lat for lat, _ in corners]
    east = [lon + 360 if max(c[1] for c in corners) - min(c[1] for c in corners) > 180 and lon < 0 else lon
            for _, lon in corners]  # fmt: skip
    assert [lon for lon, _ in ring[:-1]] == east
    assert max(east) - min(east) < 5
