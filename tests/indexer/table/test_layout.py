"""A small table is one run of files; once it outgrows that it has partitions; compaction goes back."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from indexer.sql.run import run_sql
from indexer.table import merge, parts
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import KEY

from ..random_rows import MODEL, random_cells, random_rows

GLOBE = (-180.0, -80.0, 180.0, 80.0)


def rows_over_the_globe(n: int, seed: int = 0, id_of: int = 0) -> pa.Table:
    """Rows that share no coarse cell to speak of; equal seeds are equal keys, `id_of` draws the vectors."""
    cells = random_cells(n, seed, box=GLOBE)
    other = random_rows(n, seed + 1000 * id_of, h3_cell=cells)
    own = random_rows(n, seed, h3_cell=cells)
    return own.set_column(
        own.schema.get_field_index("embedding"), own.schema.field("embedding"), other["embedding"]
    )


def rows_of(table: EmbeddingTable) -> pa.Table:
    return pa.Table.from_batches(table.scan(), table.schema)


def folders(table: EmbeddingTable) -> set[str]:
    return {file.path.split("/")[0] for file in table.files}


def test_rows_all_over_the_globe_are_one_file(tmp_path: Path) -> None:
    table = EmbeddingTable.create(tmp_path, MODEL, h3_resolution=9)
    assert [len(table.upsert(rows_over_the_globe(300)).files)] == [1]
    table = EmbeddingTable.open(tmp_path)
    assert folders(table) == {"rows"}
    assert table.validate() == []
    assert b'"schema_version": 4' in (tmp_path / "manifests/000002.json").read_bytes()


def test_a_table_that_outgrows_its_file_gets_partitions_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = EmbeddingTable.create(tmp_path / "small", MODEL, h3_resolution=9).upsert(rows_over_the_globe(200))
    monkeypatch.setattr(merge, "SMALL_TABLE_BYTES", table.manifest.stored_bytes + 1)
    again, more = rows_over_the_globe(200, id_of=1).slice(0, 50), rows_over_the_globe(100, seed=7)
    grown = table.upsert([again, more])
    assert grown.manifest.partition_resolution == merge.GROWN_PARTITION
    assert all(folder.startswith(f"h3_r{merge.GROWN_PARTITION}=") for folder in folders(grown))
    assert grown.manifest.summary == {"rows_added": 100, "rows_replaced": 50}
    assert grown.validate() == []
    other = EmbeddingTable.create(tmp_path / "parted", MODEL, h3_resolution=9, partition_resolution=0)
    assert rows_of(grown) == rows_of(other.upsert(rows_over_the_globe(200)).upsert([again, more]))
    assert b'"schema_version": 1' in (tmp_path / "small/manifests/000003.json").read_bytes()
    assert rows_of(EmbeddingTable.open(tmp_path / "small", 2)) == rows_of(table)  # its file is still there


def test_old_and_new_rows_are_combined_while_a_table_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = EmbeddingTable.create(tmp_path, MODEL, h3_resolution=9).upsert(rows_over_the_globe(60))
    monkeypatch.setattr(merge, "SMALL_TABLE_BYTES", 1)
    grown = table.upsert(rows_over_the_globe(60, id_of=1), combine=lambda old, new: old)
    assert rows_of(grown) == rows_of(table)
    assert grown.manifest.partition_resolution == merge.GROWN_PARTITION


def test_compaction_makes_one_file_of_a_small_table_of_many(tmp_path: Path) -> None:
    table = EmbeddingTable.create(tmp_path, MODEL, h3_resolution=9, partition_resolution=1)
    table = table.upsert(rows_over_the_globe(80))
    assert len(table.files) > 50
    after = table.compact()
    assert [len(after.files), *folders(after)] == [1, "rows"]
    assert rows_of(after) == rows_of(table)
    assert after.validate() == []
    assert after.compact().snapshot == after.snapshot
    after.vacuum(keep=1, grace=timedelta(0))
    assert [path.parent.name for path in tmp_path.rglob("part-*")] == ["rows"]


@pytest.mark.parametrize("partition", [None, 0, 2])
def test_sql_reads_a_region_of_any_layout(tmp_path: Path, partition: int | None) -> None:
    rows = rows_over_the_globe(120)
    table = EmbeddingTable.create(tmp_path, MODEL, h3_resolution=9, partition_resolution=partition).upsert(
        rows
    )
    cell = int(rows["h3_cell"][17].as_py())
    found = run_sql(table, f"SELECT {', '.join(KEY)} FROM embeddings_in({cell}) ORDER BY ALL")
    assert np.array(found["h3_cell"]).tolist() == [cell]


def test_a_lost_attempt_to_grow_leaves_out_no_row_that_another_put_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = EmbeddingTable.create(tmp_path, MODEL, h3_resolution=9).upsert(rows_over_the_globe(20))
    merger = merge.Merger(table.storage, rows_over_the_globe(10, seed=7))
    with monkeypatch.context() as patch:
        patch.setattr(merge, "SMALL_TABLE_BYTES", 1)
        merger.merge(table.manifest)
    again = rows_over_the_globe(20, id_of=1)
    newer = table.upsert(again)  # the same keys, other vectors
    monkeypatch.setattr(merge, "SMALL_TABLE_BYTES", 1)
    merged = merger.merge(newer.manifest)
    rows = pa.concat_tables([parts.read_part(table.storage, file) for file in merged.files])
    kept = pa.concat_tables([again, rows_over_the_globe(10, seed=7)]).sort_by(
        [(name, "ascending") for name in KEY]
    )
    assert rows.sort_by([(name, "ascending") for name in KEY])["embedding"].equals(kept["embedding"])
