"""Every filter and any combination of them, in a search, against a test of each row alone."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.geo import cells
from indexer.geo.great_circle import distance_km
from indexer.index.faiss_index import build_index
from indexer.prototypes.regional import fit_prototypes
from indexer.search.filter import Filter, Region
from indexer.search.query import Query, Vector
from indexer.search.search import search
from indexer.sql.run import run_sql
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import make_rows

from ...tolerance import cosine_error
from ..random_rows import MODEL, columns_for, random_cells
from ..small_tables import keys, similarities

N = 240
QUARTERS = [datetime(2023, 1 + 3 * quarter, 1, tzinfo=UTC) for quarter in range(4)]


@pytest.fixture(scope="module", params=["plain", "indexed", "stale"])
def table(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> EmbeddingTable:
    """Rows of four quarters at the antimeridian and in the Alps; prototypes of the Alps; an index or none."""
    alps = random_cells(N // 2)
    across = np.random.default_rng(1).uniform((178.5, -1.5), (181.5, 1.5), (N // 2, 2))
    across[:, 0] = (across[:, 0] + 180) % 360 - 180
    h3_cell = np.concatenate([alps, cells.cells_at(*across.T, 9)])
    start = [QUARTERS[i % 4] for i in range(N)]
    columns = columns_for(h3_cell) | {"start": start, "end": [day + timedelta(days=80) for day in start]}
    rows = make_rows(**columns)
    table = EmbeddingTable.create(tmp_path_factory.mktemp(request.param), MODEL, h3_resolution=9)
    late = rows.slice(0, 30)
    table = table.upsert(rows.slice(30))
    if request.param == "stale":
        build_index(table)
    table = table.upsert(late)
    if request.param == "indexed":
        build_index(table)
    fit_prototypes(table, region_resolution=2, per_region=3)
    return EmbeddingTable.open(table.path)


def everything(table: EmbeddingTable) -> pa.Table:
    """All rows in order of key, with their prototypes: what the conditions below look at."""
    columns = ", ".join(name for name in table.schema.names if name not in ("geometry", "bbox"))
    query = f"SELECT {columns}, prototype FROM prototypes ORDER BY h3_cell, sample_id, start_datetime"
    rows = run_sql(table, query)
    numbers = rows["embedding"].combine_chunks().flatten().to_numpy().astype(np.float16)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(numbers), MODEL.dimension)
    return rows.set_column(rows.schema.get_field_index("embedding"), "embedding", vectors)


def turned(geometry: shapely.Geometry, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    return np.any([shapely.intersects_xy(geometry, lon + turn, lat) for turn in (-360, 0, 360)], axis=0)


centres = st.sampled_from([(6.5, 46.5), (180.0, 0.0), (-179.5, 0.5), (179.2, -0.4)])
sizes = st.floats(0.1, 2)
Case = tuple[dict[str, Any], Any]  # arguments of Filter; a test of all rows


@st.composite
def regions(draw: st.DrawFn) -> Case:
    (x, y), size = draw(centres), draw(sizes)
    kind = draw(st.sampled_from(["box", "polygon with a hole", "two polygons", "disc", "cells"]))
    if kind == "box":
        west, east = x - size, x + size
        region = Region.from_bbox((west + 180) % 360 - 180, y - size, (east + 180) % 360 - 180, y + size)
        return {"region": region}, lambda lon, lat, _: turned(
            shapely.box(west, y - size, east, y + size), lon, lat
        )
    if kind == "disc":
        region = Region.from_point(x, y, 80_000 * size)
        return {"region": region}, lambda lon, lat, _: distance_km(x, y, lon, lat) <= 80 * size
    if kind == "cells":
        cell = cells.parent(cells.cell_at(x, y, 9), draw(st.integers(1, 4)))
        region = Region.from_cells([cell])
        held = cells.resolution_of(cell)
        return {
            "region": region
        }, lambda lon, lat, rows: cells.parents(rows["h3_cell"].to_numpy(), held) == cell
    diamond = np.array([(0, -1), (1, 0), (0, 1), (-1, 0), (0, -1)]) * size
    shape = shapely.Polygon(np.add(diamond, (x, y)), [np.add(diamond / 2, (x, y))])
    if kind == "two polygons":
        shape = shapely.union(shape, shapely.box(6, 46, 6.3, 46.3))
    return (
        {"region": Region.from_geojson(shapely.geometry.mapping(shape))},
        lambda lon, lat, _: turned(shape, lon, lat),
    )


@st.composite
def times(draw: st.DrawFn) -> Case:
    day, length = draw(st.integers(0, 400)), draw(st.integers(1, 200))
    start = datetime(2022, 12, 1, tzinfo=UTC) + timedelta(days=day)
    end = start + timedelta(days=length)

    def holds(lon: np.ndarray, lat: np.ndarray, rows: pa.Table) -> np.ndarray:
        periods = zip(rows["start_datetime"].to_pylist(), rows["end_datetime"].to_pylist(), strict=True)
        return np.array([first < end and last > start for first, last in periods])

    return {"start": start, "end": end}, holds


@st.composite
def months(draw: st.DrawFn) -> Case:
    asked = draw(st.sets(st.integers(1, 12), min_size=1, max_size=3))

    def holds(lon: np.ndarray, lat: np.ndarray, rows: pa.Table) -> np.ndarray:
        days = (
            [start + timedelta(days=i) for i in range(80)] for start in rows["start_datetime"].to_pylist()
        )
        return np.array([any(day.month in asked for day in period) for period in days])

    return {"months": tuple(asked)}, holds


@st.composite
def modalities(draw: st.DrawFn) -> Case:
    asked = tuple(draw(st.sets(st.sampled_from(["hr", "s2", "s1"]), min_size=1)))
    return {"modalities": asked}, lambda lon, lat, rows: np.all(
        [rows[f"n_{a}"].to_numpy() > 0 for a in asked], 0
    )


@st.composite
def predicates(draw: st.DrawFn) -> Case:
    share, number = np.float32(draw(st.floats(0, 1))), draw(st.integers(0, 2))
    return draw(
        st.sampled_from(
            [
                (
                    {"where": f"cloud_fraction < {share}"},
                    lambda lon, lat, rows: rows["cloud_fraction"].to_numpy() < share,
                ),
                (
                    {"where": f"prototype = {number}"},
                    lambda lon, lat, rows: np.array([p == number for p in rows["prototype"].to_pylist()]),
                ),
                (
                    {"where": f"valid_fraction >= {share} OR n_s2 = {number} -- and so on"},
                    lambda lon, lat, rows: (
                        (rows["valid_fraction"].to_numpy() >= share) | (rows["n_s2"].to_numpy() == number)
                    ),
                ),
            ]
        )
    )


@given(
    st.lists(st.sampled_from([regions, times, months, modalities, predicates]), unique=True).flatmap(
        lambda kinds: st.tuples(*(kind() for kind in kinds))
    ),
    st.integers(0, 99),
    st.integers(1, N + 10),
)
@settings(max_examples=30, deadline=None)
def test_a_search_returns_the_best_of_what_all_conditions_hold(
    table: EmbeddingTable, cases: tuple[Case, ...], seed: int, k: int
) -> None:
    vector = np.random.default_rng(seed).normal(size=MODEL.dimension).astype(np.float32)
    rows = everything(table)
    lon, lat = cells.centres(rows["h3_cell"].to_numpy())
    mask = np.ones(len(rows), bool)
    asked: dict[str, Any] = {}
    for arguments, holds in cases:
        asked |= arguments
        mask &= holds(lon, lat, rows)
    hits = search(table, Query((Vector(vector),)), k, Filter(**asked))
    similarity = similarities(rows, np.asarray(vector))
    found = keys(hits.rows)
    assert len(found) == len(set(found)) == min(k, mask.sum())
    assert set(found) <= set(itertools.compress(keys(rows), mask.tolist()))
    best = np.sort(similarity[mask])[::-1][:k]
    np.testing.assert_allclose(
        hits.rows["similarity"].to_numpy(), best, rtol=0, atol=cosine_error(len(vector))
    )
