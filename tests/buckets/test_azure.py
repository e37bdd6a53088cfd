"""A table under az://, in Azure's own emulator: committed to by several at once, read, searched, copied."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import obstore
import pytest
from obstore.exceptions import AlreadyExistsError

import skyhex
from indexer.errors import TableError
from indexer.index.faiss_index import build_index, open_index
from indexer.search.filter import Filter
from indexer.search.query import Query, Vector
from indexer.search.search import search
from indexer.table.bucket_access import store_of
from indexer.table.copy import copy_table
from indexer.table.embedding_table import EmbeddingTable

from ..indexer.random_rows import MODEL, random_cells, random_rows
from ..indexer.small_tables import place_rows, whole
from .azurite import ACCOUNT, KEY, installed, make_container, running
from .loopback import only

WRITERS, COMMITS, ROWS = 4, 5, 4
QUERY = Query((Vector(np.random.default_rng(1).normal(size=MODEL.dimension)),))


@pytest.fixture(scope="module")
def account() -> Iterator[str]:
    program = installed()
    if program is None:
        pytest.skip("npm is not here, which installs Azurite")
    with running(program) as found:
        yield found


@pytest.fixture
def address(account: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where a table may be made, in a container of its own."""
    values = {
        "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
        "AZURE_STORAGE_ACCOUNT_KEY": KEY,
        "AZURE_STORAGE_ENDPOINT": account,
    }
    only(monkeypatch, "AZURE_", values, tmp_path / "cache")
    container = f"c{uuid.uuid4().hex}"
    make_container(account, container)
    return f"az://{container}/far/table"


def test_a_commit_is_put_if_absent(address: str) -> None:
    store = store_of(address)
    obstore.put(store, "manifests/1", b"first", mode="create")
    with pytest.raises(AlreadyExistsError):
        obstore.put(store, "manifests/1", b"second", mode="create")
    assert bytes(obstore.get(store, "manifests/1").bytes()) == b"first"


def write_many(address: str, writer: int) -> None:
    table = EmbeddingTable.open(address)
    for commit in range(COMMITS):
        own = [f"{writer}-{commit}-{row}" for row in range(ROWS)]
        near = random_cells(ROWS, commit, box=(5.0, 45.0, 5.2, 45.2))
        table = table.upsert(random_rows(ROWS, seed=commit, h3_cell=near, sample_id=own))


def test_writers_at_once_lose_and_double_nothing(address: str) -> None:
    EmbeddingTable.create(address, MODEL, h3_resolution=9, partition_resolution=2)
    with ThreadPoolExecutor(WRITERS) as pool:
        for job in [pool.submit(write_many, address, writer) for writer in range(WRITERS)]:
            job.result()
    table = EmbeddingTable.open(address)
    expected = {f"{w}-{c}-{r}" for w in range(WRITERS) for c in range(COMMITS) for r in range(ROWS)}
    assert sorted(whole(table)["sample_id"].to_pylist()) == sorted(expected)
    assert table.snapshot == 1 + WRITERS * COMMITS
    assert table.validate() == []


def test_a_table_does_there_what_it_does_on_disk(address: str, tmp_path: Path) -> None:
    rows = place_rows(np.unique(random_cells(60)))
    there, here = (
        EmbeddingTable.create(place, MODEL, h3_resolution=9).upsert(rows)
        for place in (address, tmp_path / "t")
    )
    assert [file.sha256 for file in there.files] == [file.sha256 for file in here.files]
    assert whole(EmbeddingTable.open(address)) == whole(here)
    assert [build_index(table, shards=2).shards for table in (there, here)] == [2, 2]
    for filter in (Filter(), Filter(where="n_s2 > 4")):
        assert search(there, QUERY, 9, filter).rows == search(here, QUERY, 9, filter).rows
    assert open_index(there)[0] is not None
    sql = "SELECT count(*) AS n FROM embeddings WHERE n_s2 > 4"
    assert skyhex.sql(there, sql) == skyhex.sql(here, sql)
    copied = copy_table(address, str(tmp_path / "back"))
    assert copied.snapshots == there.snapshot
    assert whole(EmbeddingTable.open(tmp_path / "back")) == whole(here)


def test_what_is_wrong_is_said_with_what_to_do(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TableError, match="there is no bucket nowhere: make it, or correct its name"):
        EmbeddingTable.create("az://nowhere/table", MODEL, h3_resolution=9)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "no key")
    with pytest.raises(TableError, match=r"credentials for az:// cannot be used: .*Invalid Access Key"):
        EmbeddingTable.create(address, MODEL, h3_resolution=9)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "A" * 86 + "==")
    with pytest.raises(TableError, match="access is refused: check AZURE_STORAGE_ACCOUNT_NAME"):
        EmbeddingTable.create(address, MODEL, h3_resolution=9)
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", "http://azure.example/account")
    with pytest.raises(TableError, match="set AZURE_ALLOW_HTTP=true if that is meant"):
        EmbeddingTable.create(address, MODEL, h3_resolution=9)
