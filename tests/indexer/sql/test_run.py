"""SQL: views and macros against our own functions, pruning, and everything that is refused."""

import re
import shutil
from pathlib import Path

import h3
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.errors import QueryError, TableError
from indexer.geo import cells
from indexer.geo.great_circle import distance_km
from indexer.sql.limits import Limits
from indexer.sql.run import run_sql
from indexer.table import parts
from indexer.table.embedding_table import EmbeddingTable

from ...tolerance import cosine_error
from ..random_rows import MODEL, random_cells, random_rows


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingTable:
    """Rows over Europe in many partitions and row groups."""
    path = tmp_path_factory.mktemp("it's")  # a quote in the path
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "ROW_GROUP_ROWS", 40)
        table = EmbeddingTable.create(path, MODEL, h3_resolution=9, partition_resolution=2)
        europe = random_rows(600)
        world = random_rows(200, seed=1, h3_cell=random_cells(200, seed=1, box=(-10, 40, 30, 60)))
        return table.upsert(europe).upsert(world)


def one(table: EmbeddingTable, expression: str) -> object:
    return run_sql(table, f"SELECT {expression} AS x")["x"][0].as_py()


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingTable:
    """Opens fast, for questions to macros alone."""
    return EmbeddingTable.create(tmp_path_factory.mktemp("empty"), MODEL, h3_resolution=9)


@settings(max_examples=12, deadline=None)
@given(
    point=st.tuples(st.floats(-180, 180), st.floats(-90, 90)),
    res=st.integers(0, 15),
    coarse=st.integers(0, 15),
)
def test_macros_agree_with_h3(
    empty: EmbeddingTable, point: tuple[float, float], res: int, coarse: int
) -> None:
    text = h3.latlng_to_cell(point[1], point[0], res)
    cell = h3.str_to_int(text)
    query = f"""
        SELECT h3_id(c) AS id, h3_parent(c, {coarse}) AS parent, h3_string(c) AS text,
               h3_resolution(c) AS res, h3_lon(c) AS lon, h3_lat(c) AS lat, h3_boundary(c) AS boundary
        FROM (SELECT {{}} AS c)"""
    for written in (f"'{text}'", f"{cell}", f"{cell}::UBIGINT"):
        (row,) = run_sql(empty, query.format(written)).to_pylist()
        parent = h3.str_to_int(h3.cell_to_parent(text, coarse)) if coarse <= res else None
        assert (row["id"], row["parent"], row["text"], row["res"]) == (cell, parent, text, res)
        lat, lon = h3.cell_to_latlng(text)
        assert distance_km(row["lon"], row["lat"], lon, lat) < 1e-6
        check_boundary(text, row["boundary"])


def check_boundary(cell: str, wkt: str) -> None:
    """The corners are those of H3; where the antimeridian or a pole is inside, parts lie on either side."""
    shape, corners = shapely.from_wkt(wkt), np.array(h3.cell_to_boundary(cell))[:, ::-1]
    assert shapely.is_valid(shape)
    assert (np.abs(shapely.get_coordinates(shape)) <= (180, 90)).all()
    found = shapely.get_coordinates(shape)
    if np.ptp(corners[:, 0]) <= 180:
        assert (distance_km(*found.T, *np.r_[corners, corners[:1]].T) < 1e-4).all()
    else:
        assert all((distance_km(*corner, *found.T) < 1e-4).any() for corner in corners)
        assert shapely.bounds(shape)[0] == -180
        assert shapely.bounds(shape)[2] == 180
    lat, lon = h3.cell_to_latlng(cell)
    assert shape.distance(shapely.Point(lon, lat)) < 1e-6
    for pole in (-90, 90):
        if h3.latlng_to_cell(pole, 0, h3.get_resolution(cell)) == cell:
            assert shape.intersects(shapely.LineString([(-180, pole), (180, pole)]))
            assert np.isclose(
                shape.intersection(shapely.box(-180, pole - 1e-9, 180, pole + 1e-9)).length, 720
            )


POLES_AND_EDGES = [(90, 0), (-90, 0), (0, 180), (45, -180), (70, 179.9999), (-89.9, 100)]
ODD_CELLS = [
    *(h3.latlng_to_cell(lat, lon, res) for lat, lon in POLES_AND_EDGES for res in (0, 2, 5, 9)),
    *(cell for res in (0, 1, 3, 8) for cell in h3.get_pentagons(res)),
]


def test_macros_at_poles_pentagons_and_the_antimeridian(empty: EmbeddingTable) -> None:
    listed = ", ".join(f"'{cell}'" for cell in ODD_CELLS)
    rows = run_sql(
        empty,
        f"""SELECT c, h3_string(h3_parent(c, 0)) AS parent, h3_lon(c) AS lon, h3_lat(c) AS lat,
                   h3_boundary(c) AS boundary, h3_distance(c, '{ODD_CELLS[0]}') AS km
            FROM (SELECT unnest([{listed}]) AS c)""",
    ).to_pylist()
    assert [row["c"] for row in rows] == ODD_CELLS
    for row in rows:
        lat, lon = h3.cell_to_latlng(row["c"])
        assert row["parent"] == h3.cell_to_parent(row["c"], 0)
        assert distance_km(row["lon"], row["lat"], lon, lat) < 1e-6
        first = h3.cell_to_latlng(ODD_CELLS[0])
        assert row["km"] == pytest.approx(h3.great_circle_distance((lat, lon), first), rel=1e-8, abs=1e-6)
        check_boundary(row["c"], row["boundary"])


def test_distance_is_the_great_circle(table: EmbeddingTable) -> None:
    a, b = random_cells(2, box=(-170, -60, 170, 70))
    (x1, x2), (y1, y2) = cells.centres([a, b])
    assert one(table, f"h3_distance({a}, {b})") == pytest.approx(distance_km(x1, y1, x2, y2))
    assert one(table, f"h3_distance({a}, NULL)") is None


@pytest.mark.parametrize("coarse", [0, 1, 2, 3, 5, 9])
def test_regions_hold_their_descendants(table: EmbeddingTable, coarse: int) -> None:
    region = cells.parent(int(random_cells(600)[0]), coarse)
    every = np.concatenate([batch["h3_cell"].to_numpy() for batch in table.scan(["h3_cell"])])
    expected = sorted(every[cells.parents(every, coarse) == region].tolist())
    for source in (f"embeddings_in({region})", f"embeddings WHERE h3_within(h3_cell, '{region:x}')"):
        assert run_sql(table, f"SELECT h3_cell FROM {source} ORDER BY 1")["h3_cell"].to_pylist() == expected
    assert len(expected) >= 1


def test_a_region_finer_than_the_rows_holds_none(table: EmbeddingTable) -> None:
    fine = h3.cell_to_center_child(h3.int_to_str(random_cells(600)[0]), 12)
    for source in (f"embeddings_in('{fine}')", f"embeddings WHERE h3_within(h3_cell, '{fine}')"):
        assert run_sql(table, f"FROM {source}").num_rows == 0


def scanned(plan: str) -> tuple[int, int, int]:
    """Files read, row groups scanned, row groups there."""
    files = re.search(r"Total Files Read: (\d+)", plan)
    groups = re.search(r"Row Groups Scanned: (\d+) / (\d+)", plan)
    assert files, plan
    assert groups, plan
    return int(files[1]), int(groups[1]), int(groups[2])


def test_a_region_prunes_files_and_row_groups(table: EmbeddingTable) -> None:
    region = cells.cell_to_text(cells.parent(int(random_cells(600)[0]), 6))
    explain = "EXPLAIN ANALYZE SELECT sum(n_s2) FROM"
    whole = run_sql(table, f"{explain} embeddings")[1][0].as_py()
    files = int(re.search(r"Total Files Read: (\d+)", whole)[1])  # type: ignore[index]
    plan = run_sql(table, f"{explain} embeddings WHERE h3_within(h3_cell, '{region}')")[1][0].as_py()
    _, some, every = scanned(plan)
    assert some <= 2 < every
    plan = run_sql(table, f"{explain} embeddings_in('{region}')")[1][0].as_py()
    assert scanned(plan)[0] == 1 < files == len(table.files)
    assert scanned(plan)[1] <= 2


def test_nearest_is_exact_and_leaves_the_cell_itself_out(table: EmbeddingTable) -> None:
    rows = run_sql(table, "SELECT h3_cell, embedding FROM embeddings ORDER BY h3_cell")
    vectors = np.stack(rows["embedding"].to_numpy(zero_copy_only=False))
    vectors = vectors / np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    similarity = vectors @ vectors[7]
    order = [i for i in np.argsort(-similarity, kind="stable") if i != 7][:5]
    found = run_sql(table, f"SELECT h3_cell, similarity FROM nearest({rows['h3_cell'][7]}, 5)")
    assert found["h3_cell"].to_pylist() == rows["h3_cell"].take(order).to_pylist()
    np.testing.assert_allclose(
        found["similarity"], similarity[order], rtol=0, atol=cosine_error(vectors.shape[1])
    )


def test_views_without_prototypes_and_of_an_empty_table(table: EmbeddingTable, empty: EmbeddingTable) -> None:
    assert run_sql(table, "SELECT count(*) n, count(prototype) p FROM prototypes").to_pylist() == [
        {"n": 800, "p": 0}
    ]
    assert run_sql(table, "FROM regions").num_rows == 0
    for query in ("FROM embeddings", "FROM prototypes", "FROM nearest('8928308280fffff', 3)"):
        answer = run_sql(empty, query)
        assert answer.num_rows == 0
        assert answer.schema.names[:7] == table.schema.names[:7]


def test_times_are_utc_and_types_are_the_tables(table: EmbeddingTable) -> None:
    schema = run_sql(table, "FROM embeddings LIMIT 1").schema
    assert schema.names == table.schema.names
    assert str(schema.field("h3_cell").type) == "uint64"
    assert str(schema.field("start_datetime").type) in ("timestamp[us, tz=UTC]", "timestamp[us, tz=Etc/UTC]")
    assert one(table, "(SELECT min(start_datetime)::VARCHAR FROM embeddings)") == "2024-01-01 00:00:00+00"


READS = [
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT sum(i) FROM n",
    "SELECT 1 UNION SELECT 2 EXCEPT SELECT 3",
    "VALUES (1), (2);",
    "DESCRIBE embeddings",
    "SUMMARIZE SELECT n_s2 FROM embeddings",
    "SHOW TABLES",
    "EXPLAIN SELECT 1",
    "-- a comment\nEXPLAIN (FORMAT json) SELECT 1",
    "/* one */ EXPLAIN ANALYZE /* two */ SELECT count(*) FROM embeddings",
    "EXPLAIN (SELECT 1)",
    "FROM range(3)",
    "SELECT list_transform([1, 2], lambda x: x + 1)",
]


@pytest.mark.parametrize("query", READS)
def test_reading_is_allowed(table: EmbeddingTable, query: str) -> None:
    assert run_sql(table, query).num_rows > 0


def refused(part: str) -> list[tuple[str, str]]:
    """Statements that write, change settings or reach out; {part} is a file of the table."""
    return [
        ("CREATE TABLE t (a INT)", "CREATE is not allowed"),
        ("INSERT INTO embeddings VALUES (1)", "INSERT is not allowed"),
        ("DELETE FROM embeddings", "DELETE is not allowed"),
        ("UPDATE embeddings SET n_hr = 1", "UPDATE is not allowed"),
        ("SET memory_limit = '1TB'", "SET is not allowed"),
        ("ATTACH 'x.db'", "ATTACH is not allowed"),
        ("INSTALL spatial", "LOAD is not allowed"),
        ("PRAGMA database_list", "PRAGMA is not allowed"),
        ("CALL pragma_version()", "CALL is not allowed"),
        (f"COPY (SELECT 1) TO '{part}'", "COPY is not allowed"),
        (f"EXPLAIN ANALYZE COPY (SELECT 1) TO '{part}'", "COPY is not allowed"),
        (f"/* */ EXPLAIN (ANALYZE) COPY (SELECT 1) TO '{part}'", "COPY is not allowed"),
        (
            f"WITH x AS (COPY (SELECT 1) TO '{part}' (USE_TMP_FILE false)) SELECT * FROM x",
            "COPY inside a query",
        ),
        (f"EXPLAIN ANALYZE WITH x AS (COPY (SELECT 1) TO '{part}') FROM x", "COPY inside a query"),
        ("WITH x AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM x", "INSERT inside a query"),
        ("SELECT 1; SELECT 2", "2 statements: expected one"),
        ("", "0 statements: expected one"),
        ("FROM read_csv('/etc/passwd')", r"read_csv\(\) is not allowed"),
        (f"FROM read_parquet('{part}')", r"read_parquet\(\) is not allowed"),
        ("FROM glob('/*')", r"glob\(\) is not allowed"),
        ("SELECT (SELECT content FROM read_text('/etc/passwd'))", r"read_text\(\) is not allowed"),
        ("FROM query('SELECT 1')", r"query\(\) is not allowed"),
        ("FROM '/etc/passwd'", "does not exist"),
        ("FROM 'other.parquet'", "Cannot access|disabled by configuration"),
        ("SELECT getenv('HOME')", "getenv does not exist"),
        ("FROM table", "SQL: "),  # a local variable of the caller is not a table
        ("SELECT colour FROM embeddings", 'column "colour" not found'),
        ("SELEC 1", "syntax error"),
        ("PIVOT embeddings ON n_s2 USING count(*)", "MULTI is not allowed"),
        ("SELECT h3_parent('zurich', 3)", "Could not convert string"),
        ("EXPORT DATABASE '/tmp/x'", "EXPORT is not allowed"),
        ("USE memory", "SET is not allowed"),
        ("MERGE INTO embeddings e USING embeddings f ON true WHEN MATCHED THEN DELETE", "MERGE_INTO is not"),
        ("CREATE OR REPLACE MACRO h3_id(x) AS 1", "CREATE is not allowed"),
        ("FROM 'https://127.0.0.1/x.parquet'", "Cannot access|disabled by configuration"),
        ("FROM 's3://bucket/x.parquet'", "Cannot access|disabled by configuration"),
        ("SELECT * FROM read_blob('/proc/self/environ')", r"read_blob\(\) is not allowed"),
        ("FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))", r"serialized_sql\(\) is not"),
        ("FROM query_table('embeddings')", r"query_table\(\) is not allowed"),
        ("FROM embeddings_in((SELECT content FROM read_text('/etc/passwd')))", r"read_text\(\) is not"),
        ("FROM duckdb_settings()", r"duckdb_settings\(\) is not allowed"),
        (f"EXPLAIN (ANALYZE, FORMAT json) COPY (SELECT 1) TO '{part}'", "COPY is not allowed"),
    ]


REFUSALS = 42


@pytest.mark.parametrize("number", range(REFUSALS))
def test_everything_else_is_refused_and_the_table_stays(table: EmbeddingTable, number: int) -> None:
    before = {path: path.stat().st_mtime_ns for path in table.path.rglob("*")}
    query, message = refused(str(table.path / table.files[0].path).replace("'", "''"))[number]
    with pytest.raises(QueryError, match=message):
        run_sql(table, query)
    assert {path: path.stat().st_mtime_ns for path in table.path.rglob("*")} == before


def test_there_are_no_more_refusals_than_tested() -> None:
    assert len(refused("")) == REFUSALS


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT {} UNION ALL SELECT {} FROM n) SELECT count(*) FROM n"
AT_ONCE = Limits(timeout_s=0.1)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) FROM range(100000000000) a, range(1000) b WHERE a.range % 7 = b.range",
        ENDLESS.format("1", "i + 1"),
        "SELECT count(*) FROM embeddings WHERE " + " OR ".join(f"n_s2 = {i}" for i in range(20_000)),
        "SELECT " + "[" * 500 + "1" + "]" * 500,
    ],
    ids=["join", "recursion", "terms", "nested"],
)
def test_too_much_time_is_an_error_that_names_its_flag(table: EmbeddingTable, query: str) -> None:
    """The check of a long statement counts, too."""
    with pytest.raises(QueryError, match=r"stopped after 0.1 s: ask for less, or allow more with --timeout"):
        run_sql(table, query, AT_ONCE)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT list(range) FROM range(100000000)",  # of DuckDB
        ENDLESS.format("'x'", "i || i"),
        "SELECT * FROM range(100000000)",  # of the answer
    ],
)
def test_too_much_memory_is_an_error_that_names_its_flag(table: EmbeddingTable, query: str) -> None:
    with pytest.raises(QueryError, match=r"more memory than 0.05 GB: .* with --memory"):
        run_sql(table, query, Limits(memory_bytes=50 * 10**6))


def test_too_many_rows_are_an_error_and_never_fewer_rows(table: EmbeddingTable) -> None:
    few = Limits(rows=300_000, flags="sql-")
    assert run_sql(table, "FROM range(300000)", few).num_rows == 300_000
    with pytest.raises(QueryError, match=r"more than 300,000 rows: .* with --sql-rows"):
        run_sql(table, "FROM range(300001)", few)


def test_what_is_nested_deeply_is_answered_or_refused(table: EmbeddingTable) -> None:
    assert one(table, "abs(" * 900 + "1" + ")" * 900) == 1
    with pytest.raises(QueryError, match="depth"):
        one(table, "abs(" * 2000 + "1" + ")" * 2000)


def test_a_table_put_in_the_place_of_another_is_not_taken_for_it(tmp_path: Path) -> None:
    path = tmp_path / "table"
    before = EmbeddingTable.create(path, MODEL, h3_resolution=9).upsert(random_rows(20))
    count = "SELECT count(*) AS n FROM embeddings"
    shutil.rmtree(path)
    after = EmbeddingTable.create(path, MODEL, h3_resolution=9).upsert(random_rows(30))
    assert run_sql(after, count)["n"].to_pylist() == [30]
    with pytest.raises(TableError):
        run_sql(before, count)
