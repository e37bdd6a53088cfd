"""The service answers as the table does, and refuses what it should."""

import base64
import io
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import urllib3

import skyhex
from indexer.errors import QueryError, TableError
from indexer.geo import cells
from indexer.index.faiss_index import build_index
from indexer.search.query import Cell, Query, Vector
from indexer.search.served_table import ServedTable
from indexer.table.embedding_table import EmbeddingTable
from search_app.serve.served import Served

from ...indexer.random_rows import random_cells
from ...indexer.small_tables import place_rows, place_table, whole
from .conftest import serving

POOL = urllib3.PoolManager(retries=False)
BBOX = (5.5, 45.5, 7.5, 47.5)


def post(address: str, path: str, body: Any, **headers: str) -> urllib3.BaseHTTPResponse:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return POOL.request(
        "POST", f"{address}{path}", body=content, headers={"content-type": "application/json", **headers}
    )


def some_cell(table: EmbeddingTable, place: int = 5) -> str:
    return f"{whole(table)['h3_cell'][place].as_py():x}"


def test_a_served_table_answers_in_the_same_words(
    table: EmbeddingTable, address: str, tmp_path: Path
) -> None:
    served = skyhex.open_table(address)
    assert (served.snapshot, served.row_count, served.model) == (table.snapshot, table.row_count, table.model)
    vector = np.random.default_rng(3).normal(size=table.dimension)
    area = {"type": "Polygon", "coordinates": [[[5, 45], [8, 45], [8, 48], [5, 48], [5, 45]]]}
    (tmp_path / "area.geojson").write_text(json.dumps(area))
    cell = some_cell(table)
    for words in (
        {"cell": cell, "k": 7},
        {"vector": vector, "not_cell": [cell], "negative_weight": 0.3, "bbox": BBOX, "months": [3, 4]},
        {"vector": np.stack([vector, -vector]), "match": "any", "within": area, "start": "2024-01-01"},
        {"cell": [cell], "within": tmp_path / "area.geojson", "where": "n_s2 > 3", "modalities": "s1"},
        {"vector": vector, "against": "s1", "per_parent": 1, "parent_res": 4, "include_query": True},
        {"query": Query((Vector(vector),), (Cell(int(cell, 16)),)), "cells": [cell[:4] + "f" * 11]},
    ):
        if words.get("cells"):
            words["cells"] = [f"{cells.parent(int(cell, 16), 2):x}"]
        here, there = skyhex.search(table, **words), skyhex.search(served, **words)
        assert there.rows == here.rows
        assert (there.plan, there.notes) == (here.plan, here.notes)
        assert len(here.rows)
    queries = [Query((Vector(vector),)), Query((Cell(int(cell, 16)),))]
    assert skyhex.search_many(served, queries, k=3).rows == skyhex.search_many(table, queries, k=3).rows
    assert skyhex.changes(served, 2023, 2024, k=4) == skyhex.changes(table, 2023, 2024, k=4)
    assert skyhex.outliers(served, k=4, bbox=BBOX) == skyhex.outliers(table, k=4, bbox=BBOX)
    count = "SELECT h3_string(h3_cell) AS c, n_s2 FROM embeddings ORDER BY ALL LIMIT 9"
    assert skyhex.sql(served, count).to_pylist() == skyhex.sql(table, count).to_pylist()
    assert isinstance(served, ServedTable)
    assert served.prototypes().num_rows == len(skyhex.read_prototypes(table).prototype)
    with pytest.raises(QueryError, match="no whole filter"):
        skyhex.search(served, cell=cell, filter=skyhex.Filter(where="true"))
    with pytest.raises(TableError, match=r"it is only asked there, and 'upsert' needs the table itself"):
        served.upsert([])
    with pytest.raises(QueryError, match="DELETE is not allowed"):
        skyhex.sql(served, "DELETE FROM embeddings")


def test_forms_of_an_answer(table: EmbeddingTable, address: str) -> None:
    body = {"cell": some_cell(table), "k": 3}
    expected = [f"{cell:x}" for cell in skyhex.search(table, **body).rows["h3_cell"].to_pylist()]
    plain = json.loads(post(address, "/search", body).data)
    assert [row["h3_cell"] for row in plain["rows"]] == expected
    assert plain["snapshot"] == table.snapshot
    map_form = json.loads(post(address, "/search?f=geojson", body).data)
    assert [one["properties"]["h3_cell"] for one in map_form["features"]] == expected
    parquet = post(address, "/search", body, accept="application/vnd.apache.parquet").data
    assert b"geo" in pq.read_schema(io.BytesIO(parquet)).metadata
    stream = post(address, "/search", body, accept="application/vnd.apache.arrow.stream").data
    assert pa.ipc.open_stream(stream).read_all()["h3_cell"].to_pylist() == [int(c, 16) for c in expected]


def test_a_snapshot_is_pinned_and_a_newer_one_is_found(tmp_path: Path) -> None:
    table = place_table(tmp_path / "t", n=30)
    with serving("-t", str(table.path)) as address:
        first = skyhex.open_table(address)
        table.upsert(place_rows(random_cells(9, seed=7)))
        time.sleep(1.1)
        second = skyhex.open_table(address)
        count = "SELECT count(*) AS n FROM embeddings"
        assert second.snapshot == first.snapshot + 1
        assert skyhex.sql(first, count)["n"].to_pylist() == [first.row_count]
        assert skyhex.sql(second, count)["n"].to_pylist() == [second.row_count]


DEEP = b'{"within": ' + b'{"a": ' * 100_000 + b"1" + b"}" * 100_000 + b"}"
RING = [[float(i % 360 - 180), float(i % 170 - 85)] for i in range(150_000)]
LARGE = {"type": "Polygon", "coordinates": [RING]}


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/search", {"cell": "8928308280fffff", "k": 10**9}, 422, "k: Input should be less than"),
        ("/search", {"k": 5}, 400, "expected something to look like"),
        ("/search", {"cell": "zz"}, 400, "zz"),
        ("/search", {"vector": [1.0, 2.0]}, 400, "vector"),
        ("/search", {"chip": "/etc/passwd"}, 400, "chip-1 is not base64"),
        ("/search", {"chip": [base64.b64encode(b"<VRTDataset/>").decode()]}, 400, "chip-1 is no GeoTIFF"),
        ("/search", {"chip": [base64.b64encode(b"II*\0" * 9).decode()]}, 400, "chip-1"),
        ("/search", {"chip": ["SUkqAA=="] * 17}, 400, "17 of chip: at most 16"),
        ("/search", {"words": "a lake"}, 422, "words: Extra inputs are not permitted"),
        ("/search", {"vector": [1.0] * 8, "within": "/etc/passwd"}, 422, "within"),
        ("/search", {"vector": "http://127.0.0.1/x.npy"}, 422, "vector"),
        (
            "/search",
            {"vector": [1.0] * 8, "within": LARGE},
            400,
            "corners",
        ),
        ("/search", DEEP, 422, ""),
        ("/search", b'{"cell": ', 422, ""),
        ("/search", b"\xff\xfe", 422, ""),
        ("/search_many", {"queries": [{"vector": [1.0] * 8}] * 1_001}, 422, "queries"),
        ("/sql", {"query": "COPY embeddings TO 'out.csv'"}, 400, "not allowed"),
        ("/sql", {"query": "SELECT * FROM read_csv('/etc/passwd')"}, 400, "not allowed"),
        ("/sql", {"query": "SELECT 1" + " " * 30_000}, 422, "query"),
        ("/changes", {"before": 2023, "after": "never"}, 400, "never"),
        ("/search", b" " * (9 << 20), 413, "at most"),
    ],
)
def test_hostile_bodies_are_refused(address: str, path: str, body: Any, status: int, said: str) -> None:
    answer = post(address, path, body)
    assert (answer.status == status) or (status == 422 and answer.status == 400), answer.data
    assert said in json.loads(answer.data)["error"]
    assert POOL.request("GET", f"{address}/health").status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "rebound.example"}, 421),
        ({"origin": "https://elsewhere.example"}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "multipart/form-data; boundary=x"}, 415),
    ],
)
def test_requests_of_other_pages_are_refused(address: str, headers: dict[str, str], status: int) -> None:
    answer = post(address, "/search", {"k": 1}, **headers)
    assert answer.status == status
    assert "access-control-allow-origin" not in answer.headers
    assert POOL.request("PUT", f"{address}/search").status == 405


def test_an_error_does_not_say_where_the_table_lies(table: EmbeddingTable, address: str) -> None:
    answer = post(address, "/search", {"cell": some_cell(table), "snapshot": 99})
    assert answer.status == 503
    assert str(table.path) not in answer.data.decode()
    assert "has no snapshot 99" in answer.data.decode()


def test_a_note_does_not_say_where_the_table_lies(tmp_path: Path) -> None:
    table = place_table(tmp_path / "t", n=30)
    build_index(table)
    for file in (table.path / "index").glob("*/embedding.bin"):
        file.write_bytes(file.read_bytes()[:-1])
    served = Served(str(table.path))
    (note,) = (n for n in skyhex.search(table, cell=some_cell(table)).notes if str(table.path) in n)
    assert served.hidden(note) == note.replace(str(table.path), "t")
    assert str(tmp_path) not in served.hidden(note)


def test_shards_are_searched_by_processes_of_the_service(tmp_path: Path) -> None:
    table = place_table(tmp_path / "t", n=200)
    build_index(table, shards=4)
    cell = some_cell(table)
    with serving("-t", str(table.path), "--shard-workers", "2", "--shard-limit", "60") as address:
        hits = skyhex.search(address, cell=cell, k=9)
        many = skyhex.search_many(address, [Query((Cell.parse(cell),))], k=9)
    here = skyhex.search(table, cell=cell, k=9)
    assert hits.rows["similarity"] == many.rows["similarity"] == here.rows["similarity"]
    assert hits.plan == here.plan
    assert hits.plan.endswith("4 of 4 shards")


def test_a_device_searches_for_the_service(tmp_path: Path) -> None:
    table = place_table(tmp_path / "t", n=200)
    build_index(table, shards=4)
    cell = some_cell(table)
    with serving("-t", str(table.path), "--device", "cpu") as address:
        hits = skyhex.search(address, cell=cell, k=9)
        many = skyhex.search_many(address, [Query((Cell.parse(cell),))], k=9)
        with pytest.raises(QueryError, match="a served table is searched by its server: leave device out"):
            skyhex.search(address, cell=cell, device="cpu")
    here = skyhex.search(table, cell=cell, k=9)
    assert hits.rows["similarity"] == many.rows["similarity"] == here.rows["similarity"]
    assert hits.plan == here.plan.replace("exact over", "exact on cpu over")


def test_a_service_does_not_begin_on_a_device_that_is_not_there(table: EmbeddingTable) -> None:
    words = ["-m", "search_app.serve", "--table", str(table.path), "--device", "cuda:99"]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error device 'cuda:99': ")


def test_a_token_is_asked_for(table: EmbeddingTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = tmp_path / "token"
    token.write_text("correct-horse-battery\n")
    token.chmod(0o600)
    with serving("-t", str(table.path), "--token-file", str(token)) as address:
        with pytest.raises(TableError, match=r"no token, or another one.*set SKYHEX_TOKEN"):
            skyhex.open_table(address)
        monkeypatch.setenv("SKYHEX_TOKEN", "correct-horse-battery")
        assert skyhex.open_table(address).row_count == table.row_count
        monkeypatch.setenv("SKYHEX_TOKEN", "wrong-horse-battery-x")
        with pytest.raises(TableError, match="no token, or another one"):
            skyhex.open_table(address)
    monkeypatch.setenv("SKYHEX_TOKEN", "correct-horse-battery")
    with pytest.raises(TableError, match="would get the token unencrypted: use https"):
        skyhex.open_table("http://maps.example")
    with pytest.raises(TableError, match="does not answer"):
        skyhex.open_table(address)


def test_beyond_a_full_line_nobody_is_taken_in(address: str) -> None:
    slow = {"query": "SELECT count(*) FROM range(30000000) a WHERE a.range % 7 = 3"}
    with ThreadPoolExecutor(24) as pool:
        statuses = [one.status for one in pool.map(lambda _: post(address, "/sql", slow), range(24))]
    assert set(statuses) == {200, 429}
    assert POOL.request("GET", f"{address}/health").status == 200
    assert b"skyhex_waiting 0\n" in POOL.request("GET", f"{address}/metrics").data
