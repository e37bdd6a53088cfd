"""Searches against brute force over all rows, with and without an index, on random tables."""

import itertools
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.errors import QueryError
from indexer.geo import cells
from indexer.geo.great_circle import distance_km
from indexer.index import segment
from indexer.index.faiss_index import build_index
from indexer.prototypes.regional import fit_prototypes
from indexer.search.filter import Filter, Region
from indexer.search.query import Cell, LonLat, Query, Vector
from indexer.search.search import Hits, search, search_many
from indexer.table.columns import to_matrix
from indexer.table.embedding_table import EmbeddingTable

from ...tolerance import cosine_error
from ..random_rows import MODEL, random_cells
from ..small_tables import keys, lon_lat, place_rows, place_table, similarities, whole

DIMENSION = MODEL.dimension


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, EmbeddingTable]:
    """The same rows without an index, with one, and with one that misses some and holds replaced ones."""
    made = {name: place_table(tmp_path_factory.mktemp(name)) for name in ("plain", "indexed")}
    build_index(made["indexed"])
    stale = place_table(tmp_path_factory.mktemp("stale"), seed=1)
    build_index(stale)
    some = np.concatenate([random_cells(10, seed=1), random_cells(20, seed=3)])
    made["stale"] = stale.upsert(place_rows(np.unique(some), seed=9))
    return made


KINDS = st.sampled_from(["plain", "indexed", "stale"])


def query_vector(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=DIMENSION).astype(np.float32)


def check(hits: Hits, rows: pa.Table, similarity: np.ndarray, mask: np.ndarray, k: int) -> None:
    """The k best of the rows in the mask, in order, each with its own similarity."""
    exact = dict(zip(keys(rows), similarity, strict=True))
    allowed = set(itertools.compress(keys(rows), mask.tolist()))
    found = keys(hits.rows)
    assert len(found) == len(set(found)) == min(k, len(allowed))
    assert set(found) <= allowed
    expected = np.sort(similarity[mask])[::-1][:k]
    np.testing.assert_allclose(hits.rows["similarity"].to_numpy(), expected, rtol=0, atol=cosine_error(8))
    np.testing.assert_allclose([exact[key] for key in found], expected, rtol=0, atol=cosine_error(8))
    assert hits.rows["rank"].to_pylist() == list(range(1, len(found) + 1))


@given(KINDS, st.integers(0, 99), st.integers(1, 150))
@settings(max_examples=40, deadline=None)
def test_the_nearest_rows(tables: dict[str, EmbeddingTable], kind: str, seed: int, k: int) -> None:
    rows, vector = whole(tables[kind]), query_vector(seed)
    hits = search(tables[kind], Query((Vector(vector),)), k)
    check(hits, rows, similarities(rows, vector), np.ones(len(rows), bool), k)


boxes = st.tuples(st.floats(5, 7.9), st.floats(45, 47.9), st.floats(0.05, 3), st.floats(0.05, 3))


@given(
    KINDS,
    st.integers(0, 99),
    st.integers(1, 40),
    st.none() | boxes,
    st.none() | st.integers(2022, 2026),
    st.none() | st.floats(0, 1),
    st.sampled_from([(), ("s1",), ("s1", "s2")]),
    st.sampled_from(["embedding", "embedding_s1"]),
)
@settings(max_examples=50, deadline=None)
def test_filters_and_all_their_combinations(
    tables: dict[str, EmbeddingTable],
    kind: str,
    seed: int,
    k: int,
    box: tuple[float, float, float, float] | None,
    year: int | None,
    cloud: float | None,
    modalities: tuple[str, ...],
    column: str,
) -> None:
    rows, vector = whole(tables[kind]), query_vector(seed)
    similarity = similarities(rows, vector, column)
    lon, lat = lon_lat(rows)
    mask = np.isfinite(similarity)
    conditions = {}
    if box is not None:
        west, south, width, height = box
        conditions["region"] = Region.from_bbox(west, south, west + width, south + height)
        mask &= (lon >= west) & (lon <= west + width) & (lat >= south) & (lat <= south + height)
    if year is not None:
        conditions["start"] = datetime(year, 6, 1, tzinfo=UTC)
        conditions["end"] = datetime(year, 7, 1, tzinfo=UTC)
        mask &= np.array([start.year == year for start in rows["start_datetime"].to_pylist()])
    if cloud is not None:
        conditions["where"] = f"cloud_fraction < {cloud}"
        mask &= rows["cloud_fraction"].to_numpy() < np.float32(cloud)
    for name in modalities:
        mask &= rows[f"n_{name}"].to_numpy() > 0
    asked = Filter(**conditions, modalities=modalities)
    check(
        search(tables[kind], Query((Vector(vector),), against=column, using=column), k, asked),
        rows,
        similarity,
        mask,
        k,
    )


def test_a_part_read_in_pieces_has_its_rows_where_sql_places_them(
    tables: dict[str, EmbeddingTable], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment, "SEGMENT_ROWS", 7)
    table, vector = tables["plain"], query_vector(0)
    rows = whole(table)
    mask = rows["cloud_fraction"].to_numpy() < np.float32(0.5)
    assert max(file.rows for file in table.files) > 7
    hits = search(table, Query((Vector(vector),)), 500, Filter(where="cloud_fraction < 0.5"))
    check(hits, rows, similarities(rows, vector), mask, 500)


def test_polygons_cells_and_discs(tables: dict[str, EmbeddingTable]) -> None:
    table, vector = tables["indexed"], query_vector(0)
    rows = whole(table)
    lon, lat = lon_lat(rows)
    ring = shapely.Polygon([(5, 45), (8, 45), (8, 48), (5, 48)], [[(6, 46), (7, 46), (7, 47), (6, 47)]])
    parent = cells.parent(rows["h3_cell"][0].as_py(), 2)
    for region, mask in (
        (Region.from_geojson(shapely.geometry.mapping(ring)), shapely.intersects_xy(ring, lon, lat)),
        (Region.from_cells([parent]), cells.parents(rows["h3_cell"].to_numpy(), 2) == parent),
        (Region.from_point(6.5, 46.5, 80_000), distance_km(6.5, 46.5, lon, lat) <= 80),
    ):
        assert 0 < mask.sum() < len(rows)
        check(
            search(table, Query((Vector(vector),)), 500, Filter(region=region)),
            rows,
            similarities(rows, vector),
            mask,
            500,
        )


@pytest.mark.parametrize("kind", ["plain", "indexed", "stale"])
def test_a_cell_leaves_its_own_row_out(tables: dict[str, EmbeddingTable], kind: str) -> None:
    table, rows = tables[kind], whole(tables[kind])
    cell, year = rows["h3_cell"][5].as_py(), Filter(start=datetime(2024, 2, 1), end=datetime(2024, 3, 1))
    (own,) = [i for i, key in enumerate(keys(rows)) if key[0] == cell and key[2].year == 2024]
    similarity = similarities(rows, to_matrix(rows["embedding"])[own].astype(float))
    mask = np.array([start.year == 2024 for start in rows["start_datetime"].to_pylist()])
    with_own = search(table, Query((Cell(cell),)), 7, year, include_query=True)
    check(with_own, rows, similarity, mask, 7)
    assert keys(with_own.rows)[0] == keys(rows)[own]
    mask[own] = False
    check(search(table, Query((Cell(cell),)), 7, year), rows, similarity, mask, 7)
    check(search(table, Query((Cell(cell),)), 1000, year), rows, similarity, mask, 1000)


def test_positives_negatives_and_any_of(tables: dict[str, EmbeddingTable]) -> None:
    table, rows = tables["indexed"], whole(tables["indexed"])
    a, b, c = (query_vector(seed) / np.linalg.norm(query_vector(seed)) for seed in (1, 2, 3))
    everything = np.ones(len(rows), bool)
    examples = (Vector(3 * a), Vector(b))
    check(search(table, Query(examples), 9), rows, similarities(rows, a + b), everything, 9)
    mixed = Query(examples, (Vector(c),), negative_weight=0.8)
    check(search(table, mixed, 9), rows, similarities(rows, (a + b) / 2 - 0.8 * c), everything, 9)
    greatest = np.maximum(similarities(rows, a), similarities(rows, b))
    check(search(table, Query(examples, match="any"), 90), rows, greatest, everything, 90)


@pytest.mark.parametrize("kind", ["plain", "indexed", "stale"])
def test_each_of_several_and_the_opposite(tables: dict[str, EmbeddingTable], kind: str) -> None:
    table, rows = tables[kind], whole(tables[kind])
    a, b, c = (query_vector(seed) for seed in (1, 2, 3))
    like = [similarities(rows, vector) for vector in (a, b, c)]
    everything, examples = np.ones(len(rows), bool), (Vector(a), Vector(b), Vector(c))
    for k in (1, 9, 500):
        each = search(table, Query(examples, match="all"), k)
        check(each, rows, np.min(like, axis=0), everything, k)
        check(search(table, Query(examples[:1], invert=True), k), rows, -like[0], everything, k)
        far = search(table, Query(examples, match="any", invert=True), k)
        check(far, rows, -np.max(like, axis=0), everything, k)
        check(search(table, Query((), examples, match="any"), k), rows, -np.max(like, axis=0), everything, k)
        some = search(table, Query(examples, match="all", invert=True), k)
        check(some, rows, -np.min(like, axis=0), everything, k)
    shares = each.rows["top_share"].to_numpy()
    assert np.isnan(shares).all() if kind == "plain" else (np.diff(shares) >= 0).all()


def test_one_modality_against_another(tables: dict[str, EmbeddingTable]) -> None:
    table, rows = tables["indexed"], whole(tables["indexed"])
    own = next(
        i
        for i, n in enumerate(rows["n_s1"].to_pylist())
        if n and rows["start_datetime"][i].as_py().year == 2024
    )
    vector = to_matrix(rows["embedding_s1"])[own].astype(np.float32)
    hits = search(
        table, Query((Cell(rows["h3_cell"][own].as_py()),), using="embedding_s1"), 5, include_query=True
    )
    check(hits, rows, similarities(rows, vector), np.ones(len(rows), bool), 5)


def test_rows_carry_what_people_ask(tables: dict[str, EmbeddingTable]) -> None:
    hits = search(tables["plain"], Query((Vector(query_vector(0)),)), 3)
    assert hits.rows.column_names == [
        "rank", "similarity", "top_share", "h3_cell", "sample_id", "start_datetime", "end_datetime",
        "lon", "lat", "n_hr", "n_s2", "n_s1", "valid_fraction", "cloud_fraction", "source_items",
    ]  # fmt: skip
    lon, lat = lon_lat(hits.rows)
    np.testing.assert_allclose(hits.rows["lon"], lon, rtol=0, atol=1e-12)  # a tenth of a micrometre
    np.testing.assert_allclose(hits.rows["lat"], lat, rtol=0, atol=1e-12)


def test_rows_carry_their_prototype(tmp_path: Path) -> None:
    fit_prototypes(place_table(tmp_path), region_resolution=1, per_region=2)
    table = EmbeddingTable.open(tmp_path)
    hits = search(table, Query((Vector(query_vector(0)),)), 10, Filter(where="prototype = 1"))
    assert set(hits.rows["prototype"].to_pylist()) == {1}
    assert hits.rows["region_cell"].to_pylist() == [
        cells.parent(c, 1) for c in hits.rows["h3_cell"].to_pylist()
    ]
    assert (np.diff(hits.rows["similarity"].to_numpy()) <= 0).all()
    changed = table.upsert(place_rows(random_cells(1), seed=2))
    notes = search(changed, Query((Vector(query_vector(0)),)), 10).notes
    assert sum("since the prototypes were fitted" in note for note in notes) == 1
    assert not any("prototypes" in note for note in hits.notes)


def test_the_plan_and_the_notes_say_what_was_done(tables: dict[str, EmbeddingTable]) -> None:
    query, n = Query((Vector(query_vector(0)),)), tables["plain"].row_count
    plain, indexed, stale = (search(tables[kind], query) for kind in ("plain", "indexed", "stale"))
    assert plain.plan == f"exact over Parquet over {n} of {n} rows"
    assert indexed.plan == f"exact over {n} of {n} rows"
    assert "skyhex index" in " ".join(plain.notes)
    assert "skyhex index" not in " ".join(indexed.notes)
    assert "1 snapshot old" in " ".join(stale.notes)
    assert " over Parquet" in stale.plan
    assert not stale.plan.startswith("exact over 0 ")
    assert sum("2 periods" in note for note in indexed.notes) == 1
    year = Filter(start=datetime(2024, 2, 1), end=datetime(2024, 3, 1))
    narrow = search(tables["indexed"], query, filter=year)
    assert narrow.plan == f"exact over {n // 2} of {n} rows"
    assert narrow.notes == ()


@pytest.mark.parametrize("kind", ["plain", "indexed", "stale"])
def test_a_filter_that_holds_nothing_gives_no_rows(tables: dict[str, EmbeddingTable], kind: str) -> None:
    for asked in (
        Filter(region=Region.from_bbox(100, 0, 101, 1)),
        Filter(start=datetime(1990, 1, 1), end=datetime(1991, 1, 1)),
        Filter(where="cloud_fraction > 2"),
    ):
        hits = search(tables[kind], Query((Vector(query_vector(0)),)), filter=asked)
        assert len(hits.rows) == 0
        assert "no row matches the filter" in hits.notes


def test_an_empty_table(tmp_path: Path) -> None:
    table = EmbeddingTable.create(tmp_path, MODEL, h3_resolution=9)
    hits = search(table, Query((Vector(query_vector(0)),)))
    assert (len(hits.rows), hits.plan) == (0, "the table is empty")
    with pytest.raises(QueryError, match="empty"):
        search(table, Query((LonLat(6, 46),)))


def test_what_cannot_be_asked(tables: dict[str, EmbeddingTable]) -> None:
    table, query = tables["plain"], Query((Vector(query_vector(0)),))
    with pytest.raises(QueryError, match="k = 0"):
        search(table, query, 0)
    with pytest.raises(QueryError, match="SQL"):
        search(table, query, filter=Filter(where="nonsense ="))
    with pytest.raises(QueryError, match="SQL"):
        search(table, query, filter=Filter(where="no_such_column > 1"))
    with pytest.raises(QueryError):
        search(table, query, filter=Filter(where="1 = 1); DROP TABLE x; --"))


def test_replaced_rows_never_surface(tmp_path: Path) -> None:
    table = place_table(tmp_path)
    build_index(table)
    rows = whole(table)
    old = to_matrix(rows["embedding"])[0].astype(np.float32)
    newer = place_rows(rows["h3_cell"].to_numpy()[:1], years=(2023,), seed=77)
    after = table.upsert(newer)
    hits = search(after, Query((Vector(old),)), 1000)
    check(hits, whole(after), similarities(whole(after), old), np.ones(after.row_count, bool), 1000)
    assert hits.rows["similarity"][0].as_py() < 0.99, "the vector that was replaced is not found"
    before = search(table, Query((Vector(old),)), 1)
    assert before.rows["similarity"][0].as_py() > 0.99, (
        "the old snapshot still has it, through the same index"
    )


@pytest.mark.parametrize("kind", ["plain", "indexed", "stale"])
@pytest.mark.parametrize("include_query", [False, True])
def test_many_queries_have_the_answers_of_each(
    tables: dict[str, EmbeddingTable], kind: str, include_query: bool
) -> None:
    table = tables[kind]
    some = whole(table)["h3_cell"].to_pylist()[::40]
    queries = [
        *(Query((Cell(cell),)) for cell in some),
        Query((Vector(query_vector(1)), Vector(query_vector(2))), match="any"),
        Query((Vector(query_vector(1)), Vector(query_vector(2))), match="all"),
        Query((Vector(query_vector(3)),), against="embedding_s1"),
        Query((Cell(some[0]), Vector(query_vector(4))), (Cell(some[1]),)),
    ]
    region = Region.from_bbox(-180, -90, 180, 90)
    for conditions in (Filter(), Filter(region=region, where="cloud_fraction < 0.5")):
        together = search_many(table, queries, 7, conditions, include_query)
        assert len(together) == len(queries)
        for query, hits in zip(queries, together, strict=True):
            alone = search(table, query, 7, conditions, include_query)
            assert keys(hits.rows) == keys(alone.rows)
            np.testing.assert_allclose(
                hits.rows["similarity"], alone.rows["similarity"], rtol=0, atol=cosine_error(8)
            )
            assert (hits.plan, hits.notes) == (alone.plan, alone.notes)
            assert hits.rows.schema == alone.rows.schema
    assert search_many(table, []) == []
    with pytest.raises(QueryError, match="k = 0"):
        search_many(table, queries, 0)
