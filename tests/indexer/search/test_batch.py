"""Queries from files, and their results in one table."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from indexer.errors import NoRowError, QueryError
from indexer.geo.cells import cell_to_text, centres
from indexer.search import batch
from indexer.search.batch import NamedQueries, read_queries, search_batch
from indexer.search.query import Cell, LonLat, Query, Vector
from indexer.search.search import Hits, search, search_each, search_many
from indexer.table.embedding_table import EmbeddingTable

from ...tolerance import cosine_error, rounding
from ..random_rows import MODEL
from ..small_tables import place_table, whole


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingTable:
    return place_table(tmp_path_factory.mktemp("batch"), years=(2024,))


def written(rows: pa.Table, path: Path) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(rows, path)
    elif path.suffix == ".csv":
        as_text = {
            name: [json.dumps(v) if isinstance(v, list) else v for v in rows[name].to_pylist()]
            for name in rows.column_names
        }
        pyarrow.csv.write_csv(pa.table(as_text), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows.to_pylist()))
    return path


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_cells_places_and_vectors_in_every_form(table: EmbeddingTable, tmp_path: Path, suffix: str) -> None:
    some = whole(table).slice(3, 4)
    ids, (lon, lat) = some["h3_cell"].to_pylist(), centres(some["h3_cell"].to_numpy())
    vectors = np.random.default_rng(0).normal(size=(4, MODEL.dimension)).astype(np.float32)
    file = tmp_path / f"q.{suffix}"

    by_cell = read_queries(written(pa.table({"id": list("wxyz"), "cell": [*map(cell_to_text, ids)]}), file))
    assert list(by_cell.names) == list("wxyz")
    assert by_cell.queries == [Query((Cell(cell),)) for cell in ids]

    by_number = read_queries(written(pa.table({"h3_cell": pa.array(ids, pa.uint64())}), file), against="s1")
    assert list(by_number.names) == [cell_to_text(cell) for cell in ids]
    assert by_number.queries == [Query((Cell(cell),), against="embedding_s1") for cell in ids]

    by_place = read_queries(written(pa.table({"lon": lon, "lat": lat, "query": [1, 2, 3, 4]}), file))
    assert list(by_place.names) == ["1", "2", "3", "4"]
    assert by_place.queries == [Query((LonLat(*place),)) for place in zip(lon, lat, strict=True)]

    by_vector = read_queries(written(pa.table({"embedding": vectors.tolist()}), file))
    assert list(by_vector.names) == ["1", "2", "3", "4"]
    for query, vector in zip(by_vector.queries, vectors, strict=True):
        (example,) = query.positives
        assert isinstance(example, Vector)
        np.testing.assert_allclose(example.values, vector, rtol=rounding(np.float32))


def test_results_follow_each_other_under_their_query(
    table: EmbeddingTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "SEARCHED_AT_ONCE", 3)
    ids = whole(table)["h3_cell"].to_pylist()[:7]
    named = NamedQueries([f"q{i}" for i in range(7)], [Query((Cell(cell),)) for cell in ids])
    told: list[tuple[int, int]] = []
    hits = search_batch(table, named, 4, progress=lambda done, total: told.append((done, total)))
    assert told == [(3, 7), (6, 7), (7, 7)]
    assert hits.rows.column_names[:3] == ["query", "rank", "similarity"]
    assert hits.rows["query"].to_pylist() == [f"q{i}" for i in range(7) for _ in range(4)]
    for name, query in zip(named.names, named.queries, strict=True):
        mine = hits.rows.filter(pa.compute.equal(hits.rows["query"], name)).drop_columns("query")
        alone = search(table, query, 4).rows
        assert mine["h3_cell"].equals(alone["h3_cell"])
        np.testing.assert_allclose(mine["similarity"], alone["similarity"], rtol=0, atol=cosine_error(8))
    assert len(hits.notes) == len(set(hits.notes))


def test_queries_that_find_nothing_have_no_rows(table: EmbeddingTable) -> None:
    named = NamedQueries(["a"], [Query((Vector(np.ones(MODEL.dimension)),))])
    hits = search_batch(table, named, 3, batch.Filter(where="false"))
    assert (len(hits.rows), "no row matches the filter" in hits.notes) == (0, True)
    with pytest.raises(QueryError, match="at least one"):
        search_batch(table, NamedQueries([], []))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("q.csv", "name\nx\n", "has columns name: expected cell, or vector, or lon and lat"),
        ("q.csv", "cell\n", "no query"),
        ("q.csv", "id,cell\n1,\n2,891f9c46523ffff\n", "row 1 has no cell"),
        ("q.csv", "cell\nhere\n", "row 1: 'here' is not an H3 cell"),
        ("q.csv", "lon,lat\n7,north\n", "row 1: lon 7, lat 'north', expected degrees"),
        ("q.csv", "vector\nlong\n", "row 1 is no vector"),
        ("q.jsonl", '{"cell": ', "cannot be read"),
        ("q.parquet", "PAR1", "cannot be read"),
        ("q.txt", "891f9c46523ffff", "come in a .parquet, .csv or .jsonl file"),
    ],
)
def test_files_that_hold_no_queries(tmp_path: Path, name: str, content: str, says: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(QueryError, match=says):
        read_queries(tmp_path / name)
    with pytest.raises(QueryError, match="cannot be read"):
        read_queries(tmp_path / "missing.csv")


def test_a_query_without_a_row_is_told_and_the_others_are_answered(table: EmbeddingTable) -> None:
    cells = whole(table)["h3_cell"].to_pylist()
    far, known = LonLat(0.0, -60.0), [Query((Cell(cell),)) for cell in cells[:2]]
    with_far = NamedQueries(["a", "far", "b"], [known[0], Query((far,)), known[1]])
    hits = search_batch(table, with_far, k=3)
    without = search_batch(table, NamedQueries(["a", "b"], known), k=3)
    assert hits.rows.equals(without.rows)
    assert hits.plan == without.plan
    assert hits.notes[0].startswith("left out far: no row within 1 km of 0.0 -60.0; the table has no cell")
    assert hits.notes[1:] == without.notes
    with pytest.raises(QueryError, match="no query has a row of its own; far: no row within"):
        search_batch(table, NamedQueries(["far"], [Query((far,))]))
    with pytest.raises(NoRowError, match="no row within"):
        search_many(table, with_far.queries)
    wrong = Query((Vector(np.ones(3)),))
    with pytest.raises(QueryError, match="3 dimensions"):
        search_batch(table, NamedQueries(["a", "wrong"], [known[0], wrong]))


def test_many_at_once_leave_out_their_own_rows_as_one_does(tmp_path: Path) -> None:
    table = place_table(tmp_path, n=30)
    cell = Cell(int(whole(table)["h3_cell"][0].as_py()))
    query = Query((cell,))
    for include in ({}, {"include_query": False}, {"include_query": True}):
        (found,), (each,) = (
            search_many(table, [query], 5, **include),
            search_each(table, [query], 5, **include),
        )
        assert isinstance(each, Hits)
        assert found.rows.equals(search(table, query, 5, **include).rows)
        assert each.rows.equals(found.rows)
        assert (cell.cell in found.rows["h3_cell"].to_pylist()) is bool(include.get("include_query"))
