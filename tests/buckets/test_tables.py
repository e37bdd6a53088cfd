"""A table in a bucket does all that a table on disk does, in few requests."""

import json
from pathlib import Path

import numpy as np
import obstore
import pyarrow as pa
import pytest

import skyhex
from indexer.errors import TableError
from indexer.index.faiss_index import build_index, index_info, open_index
from indexer.prototypes.regional import fit_prototypes, read_prototypes
from indexer.search.query import Query, Vector
from indexer.search.search import search
from indexer.table.bucket_access import store_of
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.export import export

from ..indexer.random_rows import MODEL, random_rows
from ..indexer.small_tables import place_rows, place_table, random_cells, whole
from .network import Network

PLACES = np.unique(random_cells(60))


@pytest.fixture
def table(address: str) -> EmbeddingTable:
    return EmbeddingTable.create(address, MODEL, h3_resolution=9).upsert(place_rows(PLACES))


def cached_bytes(tmp_path: Path) -> int:
    return sum(file.stat().st_size for file in (tmp_path / "cache").rglob("*") if file.is_file())


def test_a_table_does_in_a_bucket_what_it_does_on_disk(
    table: EmbeddingTable, address: str, tmp_path: Path
) -> None:
    local = EmbeddingTable.create(tmp_path / "local", MODEL, h3_resolution=9).upsert(place_rows(PLACES))
    more = random_rows(300, seed=5)
    table, local = table.upsert(more, input_key="more"), local.upsert(more, input_key="more")
    table, local = table.compact(), local.compact()
    assert EmbeddingTable.exists(address)
    assert [file.sha256 for file in table.files] == [file.sha256 for file in local.files]
    assert table.validate() == []
    for one in (table, local):
        fit_prototypes(one)
    table, local = EmbeddingTable.open(address), EmbeddingTable.open(tmp_path / "local")
    assert read_prototypes(table).region_cell.tolist() == read_prototypes(local).region_cell.tolist()
    query = Query((Vector(np.random.default_rng(1).normal(size=table.dimension)),))
    expected = search(local, query, 12).rows
    assert search(table, query, 12).rows == expected  # from Parquet
    assert [build_index(one).action for one in (table, local)] == ["built", "built"]
    found = search(table, query, 12)
    assert found.rows.drop_columns("top_share") == expected.drop_columns("top_share")
    assert found.rows == search(local, query, 12).rows
    assert not any("no index" in note for note in found.notes)
    where = {"where": "n_s1 > 0 AND prototype IS NOT NULL"}
    vector = np.random.default_rng(2).normal(size=table.dimension)
    assert (
        skyhex.search(table, vector=vector, **where).rows == skyhex.search(local, vector=vector, **where).rows
    )
    count = "SELECT count(*) AS n, sum(n_s2)::BIGINT AS s FROM prototypes WHERE prototype = 0"
    assert skyhex.sql(table, count) == skyhex.sql(local, count)
    for name, one in (("far", table), ("near", local)):
        export(one, tmp_path / f"{name}.parquet", "geoparquet")
    assert [entry.operation for entry in table.log()] == [entry.operation for entry in local.log()]
    assert table.vacuum() == []  # all is younger than an hour
    assert EmbeddingTable.open(address, 2).row_count == 2 * len(PLACES)


def test_rows_are_read_in_few_requests_and_once(
    table: EmbeddingTable, address: str, between: Network, tmp_path: Path
) -> None:
    table = table.upsert(random_rows(40_000, seed=3)).compact()
    large = max(table.files, key=lambda file: file.bytes)
    narrow = ["h3_cell", "start_datetime"]
    between.forget()
    opened = EmbeddingTable.open(address)
    assert between.methods == ["GET", "GET"]  # a list of the manifests, and the newest
    between.forget()
    cell = int(whole(table)["h3_cell"][0].as_py())
    between.forget()
    assert len(opened.lookup(cell=cell, columns=narrow)) >= 1
    assert len(between.requests) == 0  # `whole` read all of it already
    table.storage.forget(large.path)  # type: ignore[attr-defined]
    from indexer.table import parts

    parts._metadata.cache_clear()
    opened.lookup(cell=large.min_h3, columns=narrow)
    assert len(between.requests) <= 3  # its end, and the columns of one row group in one or two pieces
    assert between.bytes < 0.4 * large.bytes
    between.forget()
    opened.lookup(cell=large.min_h3, columns=narrow)
    assert between.requests == []


def test_what_is_kept_has_a_limit(
    table: EmbeddingTable, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.upsert(random_rows(20_000, seed=3))
    monkeypatch.setenv("SKYHEX_CACHE_GB", "0.001")
    rows = sum(len(batch) for batch in EmbeddingTable.open(address).scan())
    assert rows == 2 * len(PLACES) + 20_000
    assert cached_bytes(tmp_path) < 1.1e6
    with pytest.raises(TableError, match=r"this needs 0.00\d+ GB of the bucket.*SKYHEX_CACHE_GB to more"):
        skyhex.sql(EmbeddingTable.open(address), "SELECT count(*) FROM embeddings")
    assert (tmp_path / "cache").stat().st_mode & 0o077 == 0
    monkeypatch.setenv("SKYHEX_CACHE_GB", "much")
    with pytest.raises(TableError, match="SKYHEX_CACHE_GB is 'much': expected gigabytes"):
        EmbeddingTable.open(address)


def test_a_piece_that_went_bad_on_this_disk_is_fetched_again(
    table: EmbeddingTable, address: str, tmp_path: Path
) -> None:
    expected = whole(EmbeddingTable.open(address))
    for piece in (tmp_path / "cache").rglob("pieces/**/*"):
        if piece.is_file():
            content = bytearray(piece.read_bytes())
            content[len(content) // 2] ^= 1
            piece.write_bytes(content)
    assert whole(EmbeddingTable.open(address)) == expected


def test_shards_are_downloaded_once_and_one_that_is_missing_is_said(
    table: EmbeddingTable, address: str, between: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = Query((Vector(np.ones(table.dimension)),))
    expected = search(table, query, 9).rows["similarity"]
    assert build_index(table, shards=3).shards == 3
    monkeypatch.setenv("SKYHEX_CACHE", str(tmp_path / "elsewhere"))  # another machine
    other = EmbeddingTable.open(address)
    assert search(other, query, 9).plan.endswith("3 of 3 shards")
    between.forget()
    assert search(other, query, 9).rows["similarity"] == expected
    assert between.methods == ["GET"]  # whether there is a newer one
    index, _ = open_index(other)
    assert index is not None
    store, lost = store_of(address), index.segments[1]
    obstore.delete(store, f"index/{lost.folder.name}/embedding.bin")
    monkeypatch.setenv("SKYHEX_CACHE", str(tmp_path / "third"))
    third = EmbeddingTable.open(address)
    hits = search(third, query, 9)
    assert hits.rows["similarity"] == expected
    assert hits.plan.endswith("2 of 3 shards")
    assert (
        f"{len(lost.segment)} rows were read from Parquet, 1 of the index's shards being damaged"
        in hits.notes
    )
    assert build_index(third).shards == 3
    assert search(third, query, 9).plan.endswith("3 of 3 shards")


def test_the_index_is_downloaded_once_and_checked(
    table: EmbeddingTable, address: str, between: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_index(table)
    monkeypatch.setenv("SKYHEX_CACHE", str(tmp_path / "elsewhere"))  # another machine
    other = EmbeddingTable.open(address)
    between.forget()
    index, notes = open_index(other)
    assert index is not None
    assert (index.rows, notes) == (2 * len(PLACES), ())
    assert len(between.requests) > 8
    between.forget()
    open_index(other)
    assert between.methods == ["GET"]  # whether there is a newer one
    build_index(other.upsert(random_rows(50, seed=8)))
    assert index_info(EmbeddingTable.open(address)).missing_rows == 0  # type: ignore[union-attr]
    monkeypatch.setenv("SKYHEX_CACHE", str(tmp_path / "third"))
    store = store_of(address)
    for segment in [entry["path"] for page in obstore.list(store, "index") for entry in page]:
        if segment.endswith("h3_cell.bin"):
            content = bytearray(bytes(obstore.get(store, segment).bytes()))
            content[7] ^= 1
            obstore.put(store, segment, bytes(content))
    query = Query((Vector(np.ones(table.dimension)),))
    found = search(EmbeddingTable.open(address), query, 3)
    assert any("damaged" in note and "skyhex index" in note for note in found.notes)
    assert len(found.rows) == 3
    assert build_index(EmbeddingTable.open(address)).action == "built"
    monkeypatch.setenv("SKYHEX_CACHE", str(tmp_path / "fourth"))
    assert search(EmbeddingTable.open(address), query, 3).notes == ()


def test_validate_finds_what_was_removed_or_cut(table: EmbeddingTable, address: str) -> None:
    file = table.files[0]
    store = store_of(address)
    content = bytes(obstore.get(store, file.path).bytes())
    whole(table)  # what is kept on this disk must not hide it
    obstore.put(store, file.path, content[:-1])
    assert any("SHA-256" in problem for problem in EmbeddingTable.open(address).validate())
    obstore.delete(store, file.path)
    assert any(file.path in problem for problem in EmbeddingTable.open(address).validate())
    obstore.put(store, file.path, content)
    assert EmbeddingTable.open(address).validate() == []
    with_digest = json.loads(bytes(obstore.get(store, "manifests/000002.json").bytes()))
    assert with_digest["snapshot"] == 2


def test_a_copy_of_a_damaged_object_is_no_answer(table: EmbeddingTable, address: str) -> None:
    file = table.files[0]
    store = store_of(address)
    content = bytes(obstore.get(store, file.path).bytes())
    changed = bytearray(content)
    changed[len(content) // 3] ^= 1
    obstore.put(store, file.path, bytes(changed))
    with pytest.raises(TableError, match="missing or damaged"):
        skyhex.sql(EmbeddingTable.open(address), "SELECT count(*) FROM embeddings")
    obstore.put(store, file.path, content)
    rows = skyhex.sql(EmbeddingTable.open(address), "SELECT count(*) AS n FROM embeddings")
    assert rows == pa.table({"n": [2 * len(PLACES)]})


def test_tables_of_two_places_do_not_share_what_is_kept(table: EmbeddingTable, tmp_path: Path) -> None:
    local = place_table(tmp_path / "local")
    assert table.storage != local.storage
    assert table.storage == EmbeddingTable.open(table.storage.root).storage
