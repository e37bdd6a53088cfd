"""Every face gives the cosine of the stored values, and their order, where rows are hardly apart.

Of float16 as of float32: what is stored differs, not what is said of it.
"""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from indexer.geo.cells import parents
from indexer.index import segment_files
from indexer.index.faiss_index import build_index
from indexer.index.planner import Measured, Plan, Point
from indexer.index.recall import CASES
from indexer.prototypes.assignments import read_assignments
from indexer.prototypes.regional import fit_prototypes, read_prototypes
from indexer.search.changes import changes
from indexer.search.diversity import Diversity
from indexer.search.filter import Filter
from indexer.search.outliers import outliers
from indexer.search.query import Cell, Query, Vector
from indexer.search.search import search, search_many
from indexer.search.words import period_of
from indexer.sql.run import run_sql
from indexer.table.columns import to_matrix
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import KEY, VALUE_TYPES, Values
from search_app.page.cached import read_vectors, similarities

from ..close_clouds import CLOSE, close_cloud, close_rows, true_cosines, true_order
from ..small_tables import keys, whole

N, K = 400, 12
TOLERANCE = 1e-6
POINTS = tuple(Point(kind, share, Plan(16, 200), 0.99, 1e-9, 1.0) for share, kind in CASES)


def made(path: Path, rows: pa.Table) -> EmbeddingTable:
    kind = rows.schema.field("embedding").type.value_type
    (values,) = (name for name, of in VALUE_TYPES.items() if of == kind)
    table = EmbeddingTable.create(path, CLOSE, h3_resolution=9, partition_resolution=0, values=values)
    return table.upsert(rows)


@pytest.fixture(scope="module", params=list(VALUE_TYPES))
def values(request: pytest.FixtureRequest) -> Values:
    kind: Values = request.param
    return kind


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory, values: Values) -> EmbeddingTable:
    return made(tmp_path_factory.mktemp("close"), close_rows(N, values=values))


@pytest.fixture(params=["parquet", "exact", "inverted"])
def searched(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: Values
) -> EmbeddingTable:
    table = made(tmp_path, close_rows(N, values=values))
    if request.param == "inverted":
        monkeypatch.setattr(segment_files, "EXACT_ROWS", 50)
        monkeypatch.setattr(segment_files, "measure", lambda vectors, inverted: Measured(POINTS))
    if request.param != "parquet":
        build_index(table)
    return table


def stored(table: EmbeddingTable, column: str = "embedding") -> np.ndarray:
    return to_matrix(whole(table)[column])


def check(found: pa.Table, table: EmbeddingTable, query: np.ndarray, left_out: int | None = None) -> None:
    """The first K rows by float64 on the stored values, in order, each with its cosine."""
    matrix = stored(table)
    best = [row for row in true_order(matrix, query).tolist() if row != left_out][: len(found)]
    held = keys(whole(table))
    assert keys(found.select(KEY)) == [held[row] for row in best]
    cosine = true_cosines(matrix, query)[best]
    np.testing.assert_allclose(found["similarity"].to_numpy(), cosine, rtol=0, atol=TOLERANCE)


def test_rounding_moves_norms_by_more_than_what_tells_rows_apart(tmp_path: Path) -> None:
    matrix = stored(made(tmp_path, close_rows(N))).astype(np.float64)
    products, cosine = matrix @ matrix[0], true_cosines(matrix, matrix[0])
    assert (np.argsort(-products)[:K] != np.argsort(-cosine)[:K]).any(), "or these tests could not fail"


def test_search_finds_the_first_and_the_order(searched: EmbeddingTable) -> None:
    matrix, cells = stored(searched), whole(searched)["h3_cell"].to_pylist()
    queries = [Query((Cell(cells[row]),)) for row in range(0, len(cells), 23)]
    for row, query in zip(range(0, len(cells), 23), queries, strict=True):
        check(search(searched, query, K).rows, searched, matrix[row], left_out=row)
    for row, hits in zip(range(0, len(cells), 23), search_many(searched, queries, K), strict=True):
        check(hits.rows, searched, matrix[row], left_out=row)
    foreign = close_cloud(3, seed=9)[2]
    check(search(searched, Query((Vector(foreign),)), K).rows, searched, foreign)


def test_equal_rows_come_in_order_of_key_and_in_full(tmp_path: Path, values: Values) -> None:
    vectors = stored(made(tmp_path / "a", close_rows(N, values=values))).copy()
    vectors[100:250] = vectors[7]
    table = made(tmp_path / "b", close_rows(N, values=values, embedding=vectors))
    for _ in ("parquet", "indexed"):
        check(search(table, Query((Vector(vectors[7].astype(np.float64)),)), K).rows, table, vectors[7])
        build_index(table)


def test_sql_says_the_same(table: EmbeddingTable) -> None:
    matrix, cells = stored(table), whole(table)["h3_cell"].to_pylist()
    for row in range(0, len(cells), 97):
        check(run_sql(table, f"FROM nearest({cells[row]}, {K})"), table, matrix[row], left_out=row)


def test_sql_gives_null_where_a_vector_is_missing_or_has_no_direction(tmp_path: Path, values: Values) -> None:
    n = len(close_rows(N))
    s1, s2 = close_cloud(n, 1), close_cloud(n, 2)
    s1[::3], s2[1::4] = np.nan, np.nan
    table = made(tmp_path, close_rows(N, values=values, embedding_s1=s1, embedding_s2=s2))
    first, second = stored(table, "embedding_s1"), stored(table, "embedding_s2")
    expected = [
        true_cosines(one[None], other)[0] if np.isfinite(one).all() and np.isfinite(other).all() else None
        for one, other in zip(first, second, strict=True)
    ]
    pair = "similarity(embedding_s1, embedding_s2)"
    found = run_sql(table, f"SELECT {pair} AS s FROM embeddings ORDER BY {', '.join(KEY)}")["s"].to_pylist()
    assert [value is None for value in found] == [value is None for value in expected]
    present = [value for value in expected if value is not None]
    np.testing.assert_allclose([v for v in found if v is not None], present, rtol=0, atol=TOLERANCE)
    both = "embedding_s1 IS NOT NULL AND embedding_s2 IS NOT NULL"
    least = run_sql(table, f"SELECT {pair} AS s FROM embeddings WHERE {both} ORDER BY s LIMIT 5")["s"]
    np.testing.assert_allclose(least.to_numpy(), np.sort(present)[:5], rtol=0, atol=TOLERANCE)
    zero = run_sql(table, "SELECT similarity([0, 0], [1, 0]) AS a, similarity(NULL, [1, 0]) AS b").to_pylist()
    assert zero == [{"a": None, "b": None}]


def test_prototypes_and_outliers(tmp_path: Path, values: Values) -> None:
    table = made(tmp_path, close_rows(N, values=values))
    fit_prototypes(table, region_resolution=4, per_region=6)
    table = EmbeddingTable.open(tmp_path)
    prototypes, given = read_prototypes(table), read_assignments(table)
    matrix = dict(zip(keys(whole(table)), stored(table), strict=True))
    for key, row in zip(keys(given), given.to_pylist(), strict=True):
        cosine = true_cosines(prototypes.of_region(row["region_cell"]), matrix[key])
        assert row["prototype"] == cosine.round(7).argmax()
        assert row["prototype_similarity"] == pytest.approx(cosine.max(), abs=TOLERANCE)
    assert set(parents(given["h3_cell"].to_numpy(), 4).tolist()) == set(prototypes.regions.tolist())
    least = sorted(given.to_pylist(), key=lambda row: (row["prototype_similarity"], row["h3_cell"]))[:K]
    assert outliers(table, K)["h3_cell"].to_pylist() == [row["h3_cell"] for row in least]
    region = int(prototypes.regions[0])
    alike = prototypes.like(region, 0, K)
    others = prototypes.vectors[prototypes.region_cell != region]
    expected = true_cosines(others, prototypes.of_region(region)[0])
    np.testing.assert_allclose(alike["similarity"], np.sort(expected)[::-1][:K], rtol=0, atol=TOLERANCE)


def test_changes(tmp_path: Path, values: Values) -> None:
    first = close_rows(N, values=values)
    n = len(first)
    year = {"start": [datetime(2025, 1, 1, tzinfo=UTC)] * n, "end": [datetime(2026, 1, 1, tzinfo=UTC)] * n}
    later = close_rows(N, values=values, embedding=close_cloud(n, 0)[::-1], **year)
    table = made(tmp_path, first).upsert(later)
    before, after = (to_matrix(rows["embedding"]).astype(np.float64) for rows in (first, later))
    lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    change = 1 - (before * after).sum(axis=1) / lengths
    order = np.argsort(-change.round(7), kind="stable")[:K]
    found = changes(table, period_of("2024"), period_of("2025"), K)
    assert found["h3_cell"].to_pylist() == first["h3_cell"].take(pa.array(order)).to_pylist()
    np.testing.assert_allclose(found["change"], change[order], rtol=0, atol=TOLERANCE)


def test_results_that_differ_are_chosen_by_cosine(table: EmbeddingTable) -> None:
    matrix = stored(table).astype(np.float64)
    unit = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    query = unit[5]
    pool = true_order(matrix, query)[: 10 * K]
    similarity, among = (unit @ query).round(7), (unit @ unit.T).round(7)
    chosen = [pool[0]]
    while len(chosen) < K:
        score = 0.5 * similarity - 0.5 * among[:, chosen].max(axis=1)
        chosen.append(max((row for row in pool if row not in chosen), key=lambda row: score[row]))
    hits = search(table, Query((Vector(query),)), K, Filter(), diversity=Diversity(relevance=0.5))
    held = keys(whole(table))
    assert keys(hits.rows.select(KEY)) == [held[row] for row in chosen]


def test_the_page_colours_by_cosine(table: EmbeddingTable) -> None:
    vectors = read_vectors(table)
    assert vectors is not None
    queries = stored(table)[[3, 50]].astype(np.float64)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    expected = np.max([true_cosines(stored(table), query) for query in queries], axis=0)
    np.testing.assert_allclose(similarities(vectors, queries), expected, rtol=0, atol=TOLERANCE)
