"""A served table's files: read as those of a bucket, by every command; never another, none written."""

import json
import urllib.error
import urllib.request
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from indexer.errors import TableError
from indexer.prototypes.regional import read_prototypes
from indexer.search.filter import Filter
from indexer.search.query import Cell, Query
from indexer.search.search import search
from indexer.sql.run import run_sql
from indexer.table.copy import copy_table
from indexer.table.embedding_table import EmbeddingTable

from ...indexer.random_rows import random_rows
from ..cli.test_main import run as run_command


@pytest.fixture
def there(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddingTable:
    """The served table, read from elsewhere."""
    monkeypatch.setenv("SKYHEX_CACHE", str(tmp_path / "cache"))
    return EmbeddingTable.open(address)


def test_rows_answers_prototypes_and_sql_are_the_tables_own(
    table: EmbeddingTable, there: EmbeddingTable
) -> None:
    assert pa.Table.from_batches(there.scan()) == pa.Table.from_batches(table.scan())
    cell = int(table.lookup(columns=["h3_cell"])["h3_cell"][5].as_py())
    for filter in (Filter(), Filter(where="valid_fraction > 0.5")):
        here, far = (search(one, Query((Cell(cell),)), k=7, filter=filter) for one in (table, there))
        assert far.rows == here.rows
        assert far.plan == here.plan, "the index was brought here"
    assert (read_prototypes(there).vectors == read_prototypes(table).vectors).all()
    asked = "SELECT count(*) AS n, max(h3_cell) AS last FROM embeddings"
    assert run_sql(there, asked) == run_sql(table, asked)
    assert there.validate() == []


def test_a_copy_takes_all_that_belongs_to_it(
    table: EmbeddingTable, there: EmbeddingTable, tmp_path: Path
) -> None:
    copy_table(there.storage.root, tmp_path / "copy")
    copied = EmbeddingTable.open(tmp_path / "copy")
    assert copied.manifest == table.manifest
    assert copied.validate() == []


def test_it_is_never_written(there: EmbeddingTable) -> None:
    with pytest.raises(TableError, match="is served, so it is only read"):
        there.upsert(random_rows(3))
    with pytest.raises(TableError, match="is served, so it is only read"):
        there.vacuum(keep=1, grace=timedelta(0))
    with pytest.raises(TableError, match="name a folder or a bucket to write to"):
        EmbeddingTable.create(there.storage.root, there.model, h3_resolution=9)


@pytest.mark.parametrize(
    "path",
    ["item.json", "../secret", "index/../../secret", "%2e%2e/secret", "rows/../manifests/000001.json",
     "manifests/1.json", "staging/turn", "labels/a/b/000001.parquet", "manifests/000009.json"],
)  # fmt: skip
def test_no_other_file_is_given(address: str, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{address}/files/{path}")


def test_a_part_of_a_file_is_a_part_of_the_answer(table: EmbeddingTable, address: str) -> None:
    part = table.files[0].path
    asked = urllib.request.Request(f"{address}/files/{part}", headers={"Range": "bytes=100-199"})
    with urllib.request.urlopen(asked) as answer:
        assert answer.status == 206
        assert answer.read() == (table.path / part).read_bytes()[100:200]


def test_what_is_listed_is_the_tables(table: EmbeddingTable, address: str) -> None:
    with urllib.request.urlopen(f"{address}/listing/all") as answer:
        listed = {file["path"]: file["bytes"] for file in json.load(answer)}
    assert {file.path: file.bytes for file in table.files}.items() <= listed.items()
    assert not [path for path in listed if path.startswith("staging")]


def test_a_command_reads_it(
    table: EmbeddingTable,
    there: EmbeddingTable,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, _ = run_command(monkeypatch, capsys, "info", "-t", there.storage.root)
    assert code == 0
    assert f"{table.row_count:,}" in out
