"""Rows of several licences in one table: each row, file, export and the table say what holds."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from indexer.search.filter import Filter
from indexer.search.query import Query, Vector
from indexer.search.search import search
from indexer.sql.run import run_sql
from indexer.table import merge
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.export import export
from indexer.table.importers import LAYOUTS, import_file
from indexer.table.terms import Terms, both, in_force, joined_terms, shared
from search_app.cli.info import describe

YEAR = (datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC))
LAYOUT = replace(LAYOUTS["earth-index"], model="m")
FREE, STRICT = "CC0-1.0", "CC-BY-NC-4.0"


def written(path: Path, of_file: str, ids: range, *, seed: int = 0, **columns: list[str | None]) -> Path:
    """Rows at longitudes that their ids say."""
    vectors = np.random.default_rng(seed).normal(size=(len(ids), 8)).astype(np.float32)
    places = [shapely.to_wkb(shapely.Point(20.0 * i, 45)) for i in ids]
    table = pa.table(
        {"id": [f"p{i}" for i in ids], "embedding": list(vectors), "geometry": places, **columns}
    )
    pq.write_table(table.replace_schema_metadata({"emb": json.dumps({"license": of_file})}), path)
    return path


def imported(path: Path, into: Path) -> EmbeddingTable:
    return import_file(path, LAYOUT, into, period=YEAR).table


@pytest.fixture
def mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddingTable:
    """In several files, as a larger table is."""
    monkeypatch.setattr(merge, "SMALL_TABLE_BYTES", 0)
    imported(written(tmp_path / "a.parquet", FREE, range(4)), tmp_path / "t")
    return imported(written(tmp_path / "b.parquet", STRICT, range(3, 6), seed=1), tmp_path / "t")


def licence_of_each(table: EmbeddingTable) -> dict[str, str]:
    rows = run_sql(table, "SELECT sample_id, licence FROM embeddings").to_pylist()
    return {row["sample_id"]: row["licence"] for row in rows}


def test_each_row_says_its_licence_and_the_table_names_the_sources(mixed: EmbeddingTable) -> None:
    said = {f"p{i}": STRICT if i >= 3 else FREE for i in range(6)}
    assert licence_of_each(mixed) == said
    reopened = EmbeddingTable.open(mixed.path)
    assert reopened.manifest.terms == (Terms(STRICT, (), ("b.parquet",)), Terms(FREE, (), ("a.parquet",)))
    assert describe(mixed)["licence"] == f"{STRICT}: b.parquet; {FREE}: a.parquet"
    item = json.loads((mixed.path / "item.json").read_text())["properties"]
    assert item["license"] == "other"
    assert [(one["license"], one["sources"]) for one in item["skyhex:terms"]] == [
        (STRICT, ["b.parquet"]), (FREE, ["a.parquet"]),
    ]  # fmt: skip
    assert mixed.validate() == []
    hits = search(mixed, Query((Vector(np.ones(8)),)), k=9, filter=Filter(where=f"licence = '{STRICT}'"))
    assert sorted(hits.rows["sample_id"].to_pylist()) == ["p3", "p4", "p5"]


def test_each_file_says_what_holds_for_its_rows(mixed: EmbeddingTable) -> None:
    seen = set()
    for table in (mixed, mixed.compact()):
        for file in table.files:
            footer = pq.read_metadata(table.path / file.path).metadata
            rows = pq.read_table(table.path / file.path, columns=["licence"], partitioning=None)
            own = set(rows["licence"].to_pylist())
            assert {one["licence"] for one in json.loads(footer[b"terms"])} == own
            assert json.loads(footer[b"emb"])["license"] == (own.pop() if len(own) == 1 else "other")
            seen.add(footer[b"terms"])
    assert len(seen) > 1


def test_a_table_of_one_licence_says_it_once(tmp_path: Path) -> None:
    imported(written(tmp_path / "a.parquet", FREE, range(4)), tmp_path / "t")
    table = imported(written(tmp_path / "c.parquet", FREE, range(4, 6), seed=2), tmp_path / "t")
    assert "licence" not in table.schema.names
    assert table.manifest.terms == (Terms(FREE, (), ("a.parquet", "c.parquet")),)
    assert describe(table)["licence"] == FREE
    strict = imported(written(tmp_path / "b.parquet", STRICT, range(3, 6), seed=1), tmp_path / "t")
    assert licence_of_each(strict) == {f"p{i}": STRICT if i >= 3 else FREE for i in range(6)}


def test_a_b_a_ends_as_a_and_no_licence_is_forgotten(tmp_path: Path) -> None:
    a = written(tmp_path / "a.parquet", FREE, range(4))
    b = written(tmp_path / "b.parquet", STRICT, range(4), seed=1)
    first = imported(a, tmp_path / "t")
    before = pa.Table.from_batches(first.scan())
    imported(b, tmp_path / "t")
    again = imported(a, tmp_path / "t")
    assert pa.Table.from_batches(again.scan(before.schema.names)) == before
    assert set(licence_of_each(again).values()) == {FREE}
    assert [one.licence for one in again.manifest.terms] == [STRICT, FREE]
    assert again.validate() == []


def test_a_file_whose_rows_say_their_licence(tmp_path: Path) -> None:
    given = written(tmp_path / "a.parquet", FREE, range(3), licence=[None, STRICT, "CC-BY-4.0"])
    table = imported(given, tmp_path / "t")
    assert licence_of_each(table) == {"p0": FREE, "p1": STRICT, "p2": "CC-BY-4.0"}
    assert [one.licence for one in table.manifest.terms] == ["CC-BY-4.0", STRICT, FREE]


def test_what_a_file_says_and_what_is_said_of_it_hold_both(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", STRICT, range(3))
    table = import_file(path, replace(LAYOUT, licence=FREE), tmp_path / "t", period=YEAR).table
    assert table.model.licence == f"{STRICT} AND {FREE}"
    usual = replace(LAYOUTS["major-tom"], model="m", id="id", time=None, source=None, vector=("embedding",))
    table = import_file(path, usual, tmp_path / "u", period=YEAR).table
    assert table.model.licence == STRICT, "what a layout knows of old is a guess"


def test_exports_say_what_holds_for_their_rows(mixed: EmbeddingTable, tmp_path: Path) -> None:
    export(mixed, tmp_path / "plain.parquet", "geoparquet")
    footer = pq.read_metadata(tmp_path / "plain.parquet").metadata
    assert json.loads(footer[b"emb"])["license"] == "other"
    assert {one["licence"] for one in json.loads(footer[b"terms"])} == {FREE, STRICT}
    export(mixed, tmp_path / "items.parquet", "stac-geoparquet")
    items = pq.read_table(tmp_path / "items.parquet")
    assert items["license"].to_pylist() == items["licence"].to_pylist()
    shared_by_all = json.loads(items.schema.metadata[b"stac-geoparquet"])["collections"]["t"]
    assert shared_by_all["license"] == "other"


def test_terms_are_joined_by_licence() -> None:
    a, b = Terms("A", ("x",), ("one",)), Terms("A", ("y",), ("two",))
    assert joined_terms([a], [b, Terms("B")]) == (Terms("A", ("x", "y"), ("one", "two")), Terms("B"))
    assert len(joined_terms([Terms("A", (), (f"{i:03}",)) for i in range(99)], [])[0].sources) == 50
    assert both("B", "A AND C") == "A AND B AND C"
    assert in_force([a, Terms("C")], ["A AND B"]) == (a, Terms("B"))
    assert (shared(["A", "A"]), shared(["A", "B"]), shared(["ask them"])) == ("A", "other", "other")
