"""Footprints in a region against a test of each footprint alone, and searches among them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from indexer.geo import cells
from indexer.geo.great_circle import distance_km
from indexer.index.faiss_index import build_index
from indexer.search.filter import Filter, Region
from indexer.search.matching import Matching
from indexer.search.query import Query, Vector
from indexer.search.search import search
from indexer.table import parts
from indexer.table.embedding_table import EmbeddingTable

from ...tolerance import cosine_error
from ..random_rows import MODEL, random_cells, random_rows, squares
from ..small_tables import keys, similarities, whole

VECTOR = np.arange(1, MODEL.dimension + 1).astype(np.float32)
PLACES = ((5.0, 45.0, 8.0, 48.0), (178.5, -1.5, 181.5, 1.5), (-20.0, 78.0, 20.0, 80.0))  # one crosses 180


@pytest.fixture(scope="module", params=[False, True], ids=["Parquet", "indexed"])
def table(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> EmbeddingTable:
    """Large footprints in several row groups and parts, some of them across the antimeridian."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "ROW_GROUP_ROWS", 20)
        table = EmbeddingTable.create(tmp_path_factory.mktemp("footprints"), MODEL, h3_resolution=9)
        for seed, (west, south, east, north) in enumerate(PLACES):
            rng = np.random.default_rng(seed)
            lon, lat = rng.uniform(west, east, 80), rng.uniform(south, north, 80)
            here = np.unique(cells.cells_at((lon + 180) % 360 - 180, lat, 9))
            half = 0.3 / np.cos(np.radians((south + north) / 2))
            names = [f"{seed}-{i}" for i in range(len(here))]
            rows = random_rows(len(here), seed, h3_cell=here, footprint=squares(here, half), sample_id=names)
            table = table.upsert(rows)
    if request.param:
        build_index(table)
    return table


def shapes_of(rows: pa.Table) -> np.ndarray:
    return np.asarray(shapely.from_wkb(rows["geometry"].to_numpy()))


def on_turns(area: shapely.Geometry, shapes: np.ndarray) -> np.ndarray:
    """Brute force: does each footprint, or itself one turn of the globe away, meet the area?"""
    turned = [shapely.transform(shapes, lambda xy, x=x: np.add(xy, (x, 0))) for x in (-360, 0, 360)]
    return np.any([shapely.intersects(area, shape) for shape in turned], axis=0)


def check(table: EmbeddingTable, asked: Filter, expected: np.ndarray, k: int = 500) -> None:
    """The places, and a search: min(k, matching) rows, the best of those that match, and no others."""
    rows = whole(table)
    allowed = Matching.of(table, asked).places
    assert allowed is not None
    starts = np.cumsum([0, *(file.rows for file in table.files)])
    found = [start + allowed.rows[file.path] for start, file in zip(starts[:-1], table.files, strict=True)]
    np.testing.assert_array_equal(np.concatenate(found), np.flatnonzero(expected))
    hits = search(table, Query((Vector(VECTOR),)), k, asked)
    assert len(hits.rows) == min(k, expected.sum())
    assert set(keys(hits.rows)) <= set(keys(rows.filter(pa.array(expected))))
    best = np.sort(similarities(rows, VECTOR)[expected])[::-1][:k]
    np.testing.assert_allclose(
        hits.rows["similarity"].to_numpy(), best, rtol=0, atol=cosine_error(len(VECTOR))
    )


places = st.sampled_from(PLACES)
unit = st.floats(0, 1)


@given(places, unit, unit, st.floats(0.001, 2), st.floats(0.001, 2), st.integers(1, 60))
@settings(max_examples=25, deadline=None)
def test_boxes(
    table: EmbeddingTable,
    place: tuple[float, float, float, float],
    x: float,
    y: float,
    width: float,
    height: float,
    k: int,
) -> None:
    west, south = place[0] + x * (place[2] - place[0]), place[1] + y * (place[3] - place[1])
    east, north = west + width, south + height
    region = Region.from_bbox(west, south, east if east <= 180 else east - 360, north)
    expected = on_turns(shapely.box(west, south, east, north), shapes_of(whole(table)))
    check(table, Filter(region=region, footprint=True), expected, k)


@given(places, unit, unit, st.floats(0.1, 3), st.floats(0.05, 0.95))
@settings(max_examples=25, deadline=None)
def test_polygons_with_holes(
    table: EmbeddingTable,
    place: tuple[float, float, float, float],
    x: float,
    y: float,
    size: float,
    hole: float,
) -> None:
    centre = (place[0] + x * (place[2] - place[0]), place[1] + y * (place[3] - place[1]))
    corners = np.array([(0, -1), (1, 0), (0, 1), (-1, 0), (0, -1)]) * size
    ring = shapely.Polygon(centre + corners, [centre + hole * corners])
    region = Region.from_geojson(shapely.geometry.mapping(ring))
    check(table, Filter(region=region, footprint=True), on_turns(ring, shapes_of(whole(table))))


@given(places, unit, unit, st.floats(0.01, 200))
@settings(max_examples=25, deadline=None)
def test_discs(
    table: EmbeddingTable, place: tuple[float, float, float, float], x: float, y: float, radius_km: float
) -> None:
    lon, lat = place[0] + x * (place[2] - place[0]), place[1] + y * (place[3] - place[1])
    lon = lon - 360 if lon > 180 else lon
    away_km = np.array([least_km(lon, lat, shape) for shape in shapes_of(whole(table))])
    assume(np.abs(away_km - radius_km).min() > 0.1)  # brute force goes along the outline in steps
    asked = Filter(region=Region.from_point(lon, lat, 1000 * radius_km), footprint=True)
    check(table, asked, away_km < radius_km)


def least_km(lon: float, lat: float, shape: shapely.Geometry) -> float:
    """From a point to the nearest of many on a footprint's outline; 0 inside."""
    if shape.intersects(shapely.Point(lon, lat)):
        return 0.0
    outline = shapely.get_coordinates(shapely.segmentize(shapely.boundary(shape), 0.002))
    return float(distance_km(lon, lat, *outline.T).min())


def test_cells_are_their_hexagons(table: EmbeddingTable) -> None:
    shapes = shapes_of(whole(table))
    for resolution, place in ((3, 0), (4, 0), (3, 100), (10, 3)):
        cell = cells.parent(int(whole(table)["h3_cell"][place].as_py()), min(resolution, 9))
        hexagon = shapely.Polygon(cells.boundary(cell))
        asked = Filter(region=Region.from_cells([cell]), footprint=True)
        check(table, asked, on_turns(hexagon, shapes))
        assert on_turns(hexagon, shapes).sum() > 0


def test_a_footprint_reaches_further_than_its_centre(table: EmbeddingTable) -> None:
    """A sliver between centres: the option finds what the centres do not."""
    rows = whole(table)
    lon, lat = cells.centres(rows["h3_cell"].to_numpy())
    sliver = Region.from_bbox(lon[0] + 0.01, lat[0] + 0.01, lon[0] + 0.0101, lat[0] + 0.0101)
    query = Query((Vector(VECTOR),))
    assert len(search(table, query, 500, Filter(region=sliver)).rows) == 0
    assert len(search(table, query, 500, Filter(region=sliver, footprint=True)).rows) > 0


def test_it_combines_with_all_other_conditions(table: EmbeddingTable) -> None:
    rows = whole(table)
    west, south, east, north = 6.0, 46.0, 7.0, 47.0
    other = Region.from_point(6.5, 46.0, 60_000)
    expected = on_turns(shapely.box(west, south, east, north), shapes_of(rows))
    expected &= rows["cloud_fraction"].to_numpy() < np.float32(0.5)
    expected &= rows["n_s2"].to_numpy() > 0
    near = np.array([least_km(6.5, 46.0, shape) for shape in shapes_of(rows)]) < 60
    region = Region.from_bbox(west, south, east, north) & other
    asked = Filter(region=region, footprint=True, where="cloud_fraction < 0.5", modalities=("s2",))
    assert 0 < (expected & near).sum() < len(rows)
    check(table, asked, expected & near)


def test_only_the_row_groups_at_the_border_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "ROW_GROUP_ROWS", 20)
    table = EmbeddingTable.create(tmp_path, MODEL, h3_resolution=9).upsert(
        random_rows(600, h3_cell=random_cells(600))
    )
    groups = sum(-(-file.rows // 20) for file in table.files)
    read: list[int] = []
    read_group = parts.read_group
    monkeypatch.setattr(parts, "read_group", lambda s, f, g, c: (read.append(g), read_group(s, f, g, c))[1])
    for box in ((5.0, 45.0, 5.1, 45.1), (5.0, 45.0, 8.0, 48.0)):
        read.clear()
        region = Region.from_bbox(*box)
        found = Matching.of(table, Filter(region=region, footprint=True)).places
        assert found is not None
        assert (
            sum(map(len, found.rows.values())) == on_turns(shapely.box(*box), shapes_of(whole(table))).sum()
        )
        assert 0 < len(read) < groups


def test_without_a_region_it_asks_nothing(table: EmbeddingTable) -> None:
    assert Matching.of(table, Filter(footprint=True)).places is None
    assert len(search(table, Query((Vector(VECTOR),)), 5, Filter(footprint=True)).rows) == 5
