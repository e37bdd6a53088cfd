"""Damage of every kind stops neither `log` nor `vacuum`, and what can be mended is."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from indexer.errors import TableError
from indexer.table import manifest
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.manifest import manifest_path
from indexer.table.repair import repair

from ..random_rows import MODEL, random_cells, random_rows

NOW = timedelta(0)
BOXES = ((5.0, 45.0, 5.1, 45.1), (-60.0, -20.0, -59.9, -19.9))  # in two partitions


@pytest.fixture
def table(tmp_path: Path) -> EmbeddingTable:
    """Four snapshots: none, 20 and 40 rows, and a sidecar."""
    table = EmbeddingTable.create(tmp_path, MODEL, h3_resolution=9, partition_resolution=1)
    for seed, box in enumerate(BOXES):
        rows = random_rows(20, seed, h3_cell=random_cells(20, seed, box=box))
        table = table.upsert(rows, input_key=f"job {seed}")
    return table.commit_sidecar("prototypes", {"a": b"a"}, {})


def damage(table: EmbeddingTable, path: str) -> None:
    file = table.path / path
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(bytes([content[0] ^ 1]) + content[1:])


def names(table: EmbeddingTable) -> list[str]:
    return [name for batch in table.scan(["sample_id"]) for name in batch["sample_id"].to_pylist()]


def test_a_damaged_old_manifest_is_a_line_of_the_log(table: EmbeddingTable) -> None:
    damage(table, manifest_path(2))
    entries = table.log()
    assert [entry.snapshot for entry in entries] == [1, 2, 3, 4]
    assert [entry.operation for entry in entries] == ["create", "damaged", "upsert", "prototypes"]
    assert "000002.json is damaged" in entries[1].summary["reason"]


def test_vacuum_goes_on_and_keeps_what_a_damaged_manifest_may_name(table: EmbeddingTable) -> None:
    table = table.upsert(random_rows(20, 7, h3_cell=random_cells(20, 0, box=BOXES[0])))  # replaces a part
    files = set(table.path.glob("h3_*/*"))
    damage(table, manifest_path(4))
    assert table.vacuum(keep=2, grace=NOW) == [manifest_path(n) for n in (1, 2, 3)]
    assert set(table.path.glob("h3_*/*")) == files
    assert table.vacuum(keep=1, grace=NOW)[0] == manifest_path(4)
    assert {str(p.relative_to(table.path)) for p in table.path.glob("h3_*/*")} == {
        f.path for f in table.files
    }
    assert table.validate() == []


def test_the_newest_manifest_is_set_aside_and_the_one_before_is_the_table(table: EmbeddingTable) -> None:
    damage(table, manifest_path(4))
    with pytest.raises(TableError, match="validate --repair"):
        EmbeddingTable.open(table.path)
    (line,) = repair(table.storage)
    assert line.endswith("000004.json is damaged, and is now manifests/000004.json.damaged")
    after = EmbeddingTable.open(table.path)
    assert (after.snapshot, after.row_count, after.validate()) == (3, 40, [])
    assert repair(table.storage) == []


def test_what_is_lost_is_made_again_by_the_same_jobs(table: EmbeddingTable) -> None:
    first, second = table.files
    damage(table, first.path)
    damage(table, table.manifest.sidecars["prototypes"].files[0].path)
    *lost, last = repair(table.storage)
    assert [line.split("/")[0] for line in lost] == [first.path.split("/")[0], "sidecars"]
    assert "holds the rest, 20 rows less" in last
    after = EmbeddingTable.open(table.path)
    assert after.validate() == []
    assert after.files == (second,)
    assert after.input_keys == frozenset(), "so no job takes the lost rows for done"
    assert after.sidecar("prototypes") is None
    assert after.log()[-1].summary == {"files_lost": 1, "rows_lost": 20}


def test_a_lost_sidecar_costs_no_rows(table: EmbeddingTable) -> None:
    (table.path / table.manifest.sidecars["prototypes"].files[0].path).unlink()
    assert "0 rows less" in repair(table.storage)[-1]
    after = EmbeddingTable.open(table.path)
    assert (after.row_count, after.input_keys, after.sidecar("prototypes")) == (40, {"job 0", "job 1"}, None)


def test_nothing_to_go_back_to_and_newer_programs_are_told(
    table: EmbeddingTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = table.path / manifest_path(4)
    document = json.loads(newest.read_text()) | {"schema_version": 99}
    newest.write_text(json.dumps(document))
    with pytest.raises(TableError, match="schema version 99"):
        repair(table.storage)
    assert newest.exists(), "a newer program may have written it"
    for number in range(1, 5):
        (table.path / manifest_path(number)).write_text("{")
    with pytest.raises(TableError, match="no manifest that can be read: restore one of"):
        repair(table.storage)
    assert len(list((table.path / manifest.FOLDER).iterdir())) == 4
