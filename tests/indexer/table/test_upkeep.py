"""Joining small files and deleting old ones; and what `validate` finds."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from indexer.errors import TableError
from indexer.table import merge, upkeep
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.manifest import snapshot_numbers
from indexer.table.parts import write_part
from indexer.table.schema import emb_metadata, table_schema
from indexer.table.storage import Storage

from ..random_rows import MODEL, random_cells, random_rows
from ..small_tables import place_table

NOW = timedelta(0)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddingTable:
    """Five commits that left several files in one partition."""
    monkeypatch.setattr(merge, "JOINED_BYTES", 0)
    table = EmbeddingTable.create(tmp_path, MODEL, h3_resolution=9, partition_resolution=0)
    for seed, west in enumerate((5.0, 5.2, 5.4, 5.6, 5.8)):
        table = table.upsert(
            random_rows(20, seed, h3_cell=random_cells(20, seed, box=(west, 45, west + 0.02, 45.02)))
        )
    assert len(table.files) > 2
    return table


def rows_of(table: EmbeddingTable) -> pa.Table:
    return pa.Table.from_batches(table.scan(), table.schema)


def test_compact_joins_files_and_keeps_rows_snapshots_and_sidecars(table: EmbeddingTable) -> None:
    table = table.commit_sidecar("prototypes", {"a": b"a"}, {})
    after = table.compact()
    assert len(after.files) == 1
    assert rows_of(after) == rows_of(table)
    sidecar = after.sidecar("prototypes")
    assert sidecar is not None
    assert after.is_current(sidecar)
    assert after.manifest.summary == {"files_before": len(table.files), "files_after": 1}
    assert rows_of(EmbeddingTable.open(table.path, table.snapshot)) == rows_of(table)
    assert after.compact().snapshot == after.snapshot  # nothing left to do


def test_compact_stops_at_the_largest_size(table: EmbeddingTable, monkeypatch: pytest.MonkeyPatch) -> None:
    largest = max(file.bytes for file in table.files)
    monkeypatch.setattr(upkeep, "MAX_FILE_BYTES", 2 * largest)
    assert 1 < len(table.compact().files) < len(table.files)


def test_compacting_takes_the_memory_of_a_file_and_settles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge, "JOINED_BYTES", 0)
    largest = 300_000
    table = EmbeddingTable.create(tmp_path, MODEL, h3_resolution=9, partition_resolution=0)
    every = np.unique(random_cells(40_000))
    for start in range(0, len(every), 800):  # in order of cell, so each commit leaves a file of its own
        here = every[start : start + 800]
        table = table.upsert(random_rows(len(here), start, h3_cell=here))
    assert sum(file.bytes for file in table.files) > 10 * largest
    for module in (merge, upkeep):
        monkeypatch.setattr(module, "MAX_FILE_BYTES", largest)
    pool, usual = pa.proxy_memory_pool(pa.default_memory_pool()), pa.default_memory_pool()
    pa.set_memory_pool(pool)
    try:
        after = table.compact()
    finally:
        pa.set_memory_pool(usual)
    assert 0.5 * largest < max(file.bytes for file in after.files) <= largest
    assert largest < pool.max_memory() < 6 * largest
    assert rows_of(after) == rows_of(table)
    settled = after.compact()  # joined files have fewer footers, so a few more may fit one
    assert settled.compact().snapshot == settled.snapshot, "nothing is left to join"


def test_large_partitions_are_split_between_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = random_rows(300, h3_cell=np.repeat(random_cells(60), 5))
    monkeypatch.setattr(merge, "MAX_FILE_BYTES", rows.nbytes // 4)
    table = EmbeddingTable.create(tmp_path, MODEL, h3_resolution=9, partition_resolution=0).upsert(rows)
    assert len(table.files) >= 4
    assert all(a.max_h3 < b.min_h3 for a, b in zip(table.files, table.files[1:], strict=False))
    assert rows_of(table)["sample_id"] == rows["sample_id"]


def test_vacuum_keeps_what_kept_snapshots_name(table: EmbeddingTable) -> None:
    table = table.commit_sidecar("prototypes", {"a": b"a"}, {}).compact()
    before = {n: rows_of(EmbeddingTable.open(table.path, n)) for n in (6, 7, 8)}
    (table.path / "index").mkdir()
    (table.path / "index" / "mine").write_text("not the table's")
    deleted = table.vacuum(keep=3, grace=NOW)
    assert snapshot_numbers(table.storage) == [6, 7, 8]
    assert [path for path in deleted if path.startswith("manifests")] == [
        f"manifests/00000{n}.json" for n in range(1, 6)
    ]
    assert {n: rows_of(EmbeddingTable.open(table.path, n)) for n in before} == before
    assert EmbeddingTable.open(table.path).validate() == []
    assert (table.path / "index" / "mine").exists()
    table.vacuum(keep=1, grace=NOW)
    named = {file.path for file in table.files}
    assert {str(p.relative_to(table.path)) for p in table.path.rglob("part-*")} == named
    assert EmbeddingTable.open(table.path).read_sidecar("prototypes", "a") == b"a"


def test_vacuum_spares_what_others_may_be_at_work_on(table: EmbeddingTable) -> None:
    """A snapshot that was the newest a moment ago, and a part that no manifest names yet."""
    assert table.vacuum(keep=1) == []
    orphan = write_part(table.storage, random_rows(3, seed=9), table.manifest)
    torn = [f"{orphan.path}#1", "staging/0123456789abcdef0123456789abcdef"]
    for path in torn:
        (table.path / path).parent.mkdir(exist_ok=True)
        (table.path / path).write_bytes(b"half")
    assert table.vacuum(keep=1) == []
    assert {orphan.path, *torn} <= set(table.vacuum(keep=1, grace=NOW))
    assert not any((table.path / path).exists() for path in (orphan.path, *torn))
    assert table.validate() == []
    with pytest.raises(TableError, match="keep 0 snapshots"):
        table.vacuum(keep=0)


def commit_part(table: EmbeddingTable, content: pa.Table, **changes: Any) -> EmbeddingTable:
    """A snapshot of one part written past all checks."""
    part = write_part(table.storage, content, table.manifest)
    changed = part.__class__(**vars(part) | changes)
    return table.commit(lambda base: base.following("upsert", {}, files=(changed,)))


def replaced(rows: pa.Table, name: str, values: Any) -> pa.Table:
    return rows.set_column(
        rows.schema.names.index(name), rows.schema.field(name), pa.array(values, rows.schema.field(name).type)
    )


def far_footprints(rows: pa.Table) -> pa.Table:
    first = rows.slice(0, 1)
    geometry, bbox = first["geometry"].to_pylist() * len(rows), first["bbox"].to_pylist() * len(rows)
    return replaced(replaced(rows, "geometry", geometry), "bbox", bbox)


FAULTS: list[tuple[Callable[[pa.Table], pa.Table], str]] = [
    (lambda r: r.take(list(range(len(r)))[::-1]), "rows are not in order of cell"),
    (lambda r: pa.concat_tables([r.slice(0, 1), r]), "1 rows repeat the key"),
    (lambda r: replaced(r, "embedding", [[2.0] * 8] * len(r)), "embedding: a norm is off by 4.7"),
    (lambda r: replaced(r, "embedding", [[np.nan] * 8] * len(r)), "embedding: 10 vectors are not finite"),
    (far_footprints, "h3_cell: 9 rows lie in another cell than their footprint's centre"),
    (lambda r: replaced(r, "bbox", r["bbox"].to_pylist()[::-1]), "bbox: not the bounds of the geometry"),
    (lambda r: r.drop_columns(["n_hr"]), "expected .* of the table's types"),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "message"), FAULTS, ids=[message for _, message in FAULTS])
def test_validate_names_the_fault(
    tmp_path: Path, fault: Callable[[pa.Table], pa.Table], message: str
) -> None:
    box = (5.0, 45.0, 5.1, 45.1)  # in one partition
    rows = random_rows(10, h3_cell=random_cells(10, box=box))
    table = EmbeddingTable.create(tmp_path, MODEL, h3_resolution=9, partition_resolution=0)
    assert commit_part(table, rows).validate() == []
    problems = commit_part(table, fault(rows)).validate()
    assert any(re.search(message, problem) for problem in problems)


def test_validate_compares_the_manifest_with_the_files(tmp_path: Path) -> None:
    table = EmbeddingTable.create(tmp_path, MODEL, h3_resolution=9, partition_resolution=0)
    rows = random_rows(10, h3_cell=random_cells(10, box=(5.0, 45.0, 5.1, 45.1)))
    (problem,) = commit_part(table, rows, rows=11).validate()
    assert problem.endswith("rows or cells are not those that the manifest says")
    (problem,) = commit_part(table, rows, sha256="0" * 64).validate()
    assert problem.endswith("its SHA-256 is not the one in the manifest")
    twice = table.commit(lambda base: base.following("upsert", {}, files=base.files * 2))
    assert "overlap" in twice.validate()[0]


def test_validate_looks_at_the_footer(tmp_path: Path) -> None:
    table = EmbeddingTable.create(tmp_path, MODEL, h3_resolution=9, partition_resolution=0)
    rows = random_rows(10, h3_cell=random_cells(10, box=(5.0, 45.0, 5.1, 45.1)))
    real = replace(table.manifest, simulated=True)
    part = write_part(table.storage, rows, real)
    (problem,) = table.commit(lambda base: base.following("upsert", {}, files=(part,))).validate()
    assert problem.endswith("`emb` is not the table's model and the licence of its rows")
    footer = pq.read_schema(tmp_path / part.path)
    assert json.loads(footer.metadata[b"emb"]) == emb_metadata(MODEL, "float16", simulated=True)
    assert footer.equals(table_schema(8, {}))


def test_the_log_looks_at_each_manifest_once(table: EmbeddingTable, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    for name in ("names", "read"):
        real = getattr(Storage, name)
        monkeypatch.setattr(
            Storage, name, lambda self, path, real=real: (asked.append(path), real(self, path))[1]
        )
    assert [entry.snapshot for entry in table.log()] == [1, 2, 3, 4, 5, 6]
    assert asked == ["manifests", *(f"manifests/00000{n}.json" for n in range(1, 7))]


def test_a_half_written_file_that_takes_its_name_meanwhile_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = place_table(tmp_path)
    half = tmp_path / f"{table.files[0].path}#1"
    rglob = Path.rglob

    def listed(folder: Path, pattern: str) -> list[Path]:
        half.write_bytes(b"half")
        seen = list(rglob(folder, pattern))
        half.unlink()  # its writer renames it
        return seen

    monkeypatch.setattr(Path, "rglob", listed)
    assert table.vacuum() == []
    assert table.validate() == []
