"""Columns beyond those of every table: kept, merged, and the one reason for version 2."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from indexer.errors import TableError
from indexer.sql.run import run_sql
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import PARTS, make_rows

from ..random_rows import MODEL, columns_for, random_cells

CELLS = random_cells(60, seed=4)
PART = {"source": "a#0", "grid": "EPSG:32632", "pixels": 9, "cell_pixels": 21, "elsewhere": False,
        "valid_pixels": 8, "lengths": 8.01, "sums": [1.0, 2.0], "squares": None}  # fmt: skip


def rows_with(first: int, last: int, **extra: pa.Array) -> pa.Table:
    names = {"sample_id": [f"{cell:x}" for cell in CELLS[first:last].tolist()]}
    return make_rows(**columns_for(CELLS[first:last]) | names, extra=extra)


def counted(first: int, last: int, start: int = 0) -> pa.Table:
    return rows_with(first, last, pixels=pa.array(range(start, start + last - first), pa.int32()))


def version(table: EmbeddingTable) -> int:
    number = json.loads(table.storage.read(f"manifests/{table.snapshot:06}.json"))["schema_version"]
    assert isinstance(number, int)
    return number


@pytest.fixture
def table(tmp_path: Path) -> EmbeddingTable:
    return EmbeddingTable.create(tmp_path / "t", MODEL, h3_resolution=9, partition_resolution=1)


def test_a_table_takes_version_2_with_its_first_further_column(table: EmbeddingTable) -> None:
    plain = table.upsert(rows_with(0, 20))
    assert (version(table), version(plain)) == (1, 1)
    assert "extra" not in json.loads(plain.storage.read("manifests/000002.json"))
    more = plain.upsert(counted(20, 40))
    assert version(more) == 2
    assert more.schema.names[-1] == "pixels"
    assert more.validate() == []
    reopened = EmbeddingTable.open(more.path)
    held = reopened.lookup(columns=["h3_cell", "pixels"]).to_pylist()
    assert sum(row["pixels"] is None for row in held) == 20
    assert sum(row["pixels"] or 0 for row in held) == sum(range(20))
    assert run_sql(reopened, "SELECT count(*) AS n FROM embeddings WHERE pixels > 5").to_pylist() == [
        {"n": 14}
    ]


def test_every_type_comes_back_as_it_was(table: EmbeddingTable) -> None:
    columns = {
        "a": pa.array([True, None]), "b": pa.array([1, None], pa.int32()),
        "c": pa.array([2**60, None], pa.int64()),
        "d": pa.array([0.5, None], pa.float32()), "e": pa.array([0.1, None], pa.float64()),
        "f": pa.array(["x", None]), "parts": pa.array([[PART], None], PARTS),
    }  # fmt: skip
    rows = rows_with(0, 2, **columns)
    kept = table.upsert(rows).compact()
    assert kept.validate() == []
    assert kept.lookup().select(list(columns)).to_pylist() == rows.select(list(columns)).to_pylist()


def test_other_types_and_changed_types_are_refused(table: EmbeddingTable) -> None:
    with pytest.raises(TableError, match=r"column odd is duration.*expected one of bool, int32"):
        rows_with(0, 1, odd=pa.array([1], pa.duration("s")))
    full = table.upsert(counted(0, 5))
    with pytest.raises(TableError, match="column pixels is float64, in the table int32"):
        full.upsert(rows_with(5, 6, pixels=pa.array([1.5])))


def added(old: pa.Table, fresh: pa.Table) -> pa.Table:
    """The sum of both pixels, where a row is there already."""
    assert old.select(["h3_cell", "sample_id"]) == fresh.select(["h3_cell", "sample_id"])
    total = pc.add(old["pixels"], fresh["pixels"]).combine_chunks()
    return fresh.set_column(fresh.schema.get_field_index("pixels"), fresh.schema.field("pixels"), total)


def test_rows_that_are_there_are_combined_and_an_input_counts_once(table: EmbeddingTable) -> None:
    first = table.upsert(counted(0, 40), input_key="a", combine=added)
    second = first.upsert(counted(20, 60, start=100), input_key="b", combine=added)
    again = first.upsert(counted(20, 60, start=100), input_key="b", combine=added)  # by another writer
    assert again.snapshot == second.snapshot
    held = {row["h3_cell"]: row["pixels"] for row in again.lookup(columns=["h3_cell", "pixels"]).to_pylist()}
    want = dict.fromkeys(CELLS.tolist(), 0)
    for first_row, last, start in ((0, 40, 0), (20, 60, 100)):
        for row in counted(first_row, last, start).select(["h3_cell", "pixels"]).to_pylist():
            want[row["h3_cell"]] += row["pixels"]
    assert held == want
    assert again.manifest.summary == {"rows_added": 20, "rows_replaced": 20}
    assert np.array_equal(np.sort(CELLS), again.lookup(columns=["h3_cell"])["h3_cell"].to_numpy())
