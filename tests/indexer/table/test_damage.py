"""Damaged files: manifests and parts with a bit flipped or an end cut off, never silently wrong."""

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from indexer.errors import TableError
from indexer.sql.run import run_sql
from indexer.table import manifest as manifests
from indexer.table import parts
from indexer.table.embedding_table import EmbeddingTable

from ..random_rows import MODEL, random_rows


@pytest.fixture
def table(tmp_path: Path) -> EmbeddingTable:
    """Twelve rows in one part, snapshot 2."""
    rows = random_rows(12, embedding_s2=np.ones((12, 8), np.float32))
    return EmbeddingTable.create(tmp_path, MODEL, h3_resolution=9, partition_resolution=1).upsert(rows)


def flips(content: bytes) -> list[bytes]:
    """One copy for each byte, with one of its bits flipped."""
    return [content[:i] + bytes([content[i] ^ 1 << i % 8]) + content[i + 1 :] for i in range(len(content))]


def read_everything(path: Path) -> pa.Table:
    parts._metadata.cache_clear()
    table = EmbeddingTable.open(path)
    return pa.Table.from_batches(table.scan(), table.schema)


def test_a_flipped_byte_of_a_manifest_is_noticed(table: EmbeddingTable) -> None:
    file = table.path / manifests.manifest_path(2)
    good = file.read_bytes()
    for bad in flips(good)[::3]:
        file.write_bytes(bad)
        with pytest.raises(TableError, match=r"000002.json"):
            EmbeddingTable.open(table.path)
    assert EmbeddingTable.open(table.path, snapshot=1).row_count == 0


@pytest.mark.parametrize("length", [0, 1, 100, -1])
def test_a_cut_manifest_is_noticed(table: EmbeddingTable, length: int) -> None:
    file = table.path / manifests.manifest_path(2)
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(TableError, match=r"000002.json is damaged .*open the snapshot before it"):
        EmbeddingTable.open(table.path)


def test_a_manifest_of_another_version_or_name_is_refused(table: EmbeddingTable) -> None:
    content = (table.path / manifests.manifest_path(2)).read_bytes()
    (table.path / manifests.manifest_path(7)).write_bytes(content)
    with pytest.raises(TableError, match=r"000007.json says it is snapshot 2"):
        EmbeddingTable.open(table.path)
    newer = content.replace(b'"schema_version": 1', b'"schema_version": 5')
    (table.path / manifests.manifest_path(7)).write_bytes(newer)
    with pytest.raises(TableError, match="has schema version 5, this program reads 1 to 4: update it"):
        EmbeddingTable.open(table.path)
    (table.path / manifests.manifest_path(7)).write_bytes(b"[1, 2]")
    with pytest.raises(TableError, match="is not the manifest of a table"):
        EmbeddingTable.open(table.path)


def test_a_flipped_byte_of_a_part_is_an_error_or_changes_nothing(table: EmbeddingTable) -> None:
    file = table.path / table.files[0].path
    good, expected = file.read_bytes(), read_everything(table.path)
    noticed = 0
    for bad in flips(good)[::7]:
        file.write_bytes(bad)
        with suppress(TableError):
            assert read_everything(table.path) == expected
            noticed -= 1
        noticed += 1
    assert noticed > 0.8 * len(good) / 7  # the rest is what no reader looks at


@pytest.mark.parametrize("length", [0, 3, 8, 1_000, -1])
def test_a_cut_or_missing_part_is_named(table: EmbeddingTable, length: int) -> None:
    file = table.path / table.files[0].path
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(TableError, match=r"part-\w+.parquet is missing or damaged"):
        read_everything(table.path)
    assert "SHA-256" in table.validate()[0]
    file.unlink()
    with pytest.raises(TableError, match=r"part-\w+.parquet"):
        read_everything(table.path)
    assert len(table.validate()) == 1


def test_sql_refuses_a_damaged_part(table: EmbeddingTable) -> None:
    file = table.path / table.files[0].path
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(TableError, match="is missing or damaged"):
        run_sql(table, "SELECT count(*) FROM embeddings")


@pytest.mark.parametrize("content", [b"PAR1 of another table", None])
def test_sql_asked_again_sees_a_part_that_was_replaced_or_is_gone(
    table: EmbeddingTable, content: bytes | None
) -> None:
    (first,) = run_sql(table, "SELECT count(*) AS n FROM embeddings")["n"].to_pylist()
    assert first == table.row_count
    path = table.path / table.files[0].path
    path.rename(path.with_suffix(".aside"))
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TableError, match=table.files[0].path):
        run_sql(table, "SELECT count(*) AS n FROM embeddings")


def test_a_damaged_sidecar_is_refused(table: EmbeddingTable) -> None:
    after = table.commit_sidecar("prototypes", {"a.bin": b"abc"}, {})
    (file,) = (table.path / "sidecars" / "prototypes").iterdir()
    file.write_bytes(b"abd")
    with pytest.raises(TableError, match="is damaged: make the prototypes again"):
        after.read_sidecar("prototypes", "a.bin")
    assert len(after.validate()) == 1
    with pytest.raises(TableError, match=r"a-\w+.bin is missing or damaged"):
        run_sql(after, "SELECT 1")


def test_fields_that_a_later_version_adds_are_passed_over(table: EmbeddingTable) -> None:
    file = table.path / manifests.manifest_path(2)
    document = json.loads(file.read_bytes())
    del document["sha256"]
    document["colour"] = "blue"
    document["files"][0]["min_lon"] = 5.0
    document["sha256"] = manifests._digest(document)
    file.write_text(json.dumps(document))
    assert EmbeddingTable.open(table.path).manifest == table.manifest
