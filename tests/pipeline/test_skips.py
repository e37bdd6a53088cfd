"""What is left out is kept, whoever else writes, and whatever became of the file."""

import json
from pathlib import Path

import pytest

from data.site import Skip
from indexer.table.embedding_table import EmbeddingTable
from pipeline.skips import LOST_REASON, SKIPPED_FILE, keep_skips, settle_skips

from ..indexer.random_rows import MODEL, random_rows


@pytest.fixture
def table(tmp_path: Path) -> EmbeddingTable:
    """Rows s0 to s4."""
    return EmbeddingTable.create(tmp_path, MODEL, h3_resolution=9).upsert(random_rows(5))


def test_jobs_on_one_table_keep_what_others_left_out(table: EmbeddingTable) -> None:
    keep_skips(table, [Skip("a", "cloud")])
    keep_skips(EmbeddingTable.open(table.path), [Skip("b#0_1", "nodata"), Skip("s1", "cloud")])
    assert settle_skips(table, ["a", "b#0_1", "s1"]) == [Skip("a", "cloud"), Skip("b", "nodata")]
    assert [entry["sample_id"] for entry in json.loads((table.path / SKIPPED_FILE).read_text())] == ["a", "b"]


def test_rows_that_another_job_committed_are_no_longer_left_out(table: EmbeddingTable) -> None:
    keep_skips(table, [Skip("late", "cloud")])
    table.upsert(random_rows(1, seed=9, sample_id=["late"]))
    assert settle_skips(table, ["late"]) == []


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"null", b"7", b'{"sample_id": "a"}', b"[" * 100_000, b"\xff\xfe",
     b'[1, null, {"sample_id": 3}]', b'[{"sample_id": "a"}, {"sample_id": ["a"], "reason": {}}]'],
    ids=range(9),
)  # fmt: skip
def test_a_damaged_file_is_made_again(table: EmbeddingTable, content: bytes) -> None:
    (table.path / SKIPPED_FILE).write_bytes(content)
    keep_skips(table, [Skip("b", "nodata")])
    assert settle_skips(table, ["a", "b", "s0"]) == [Skip("b", "nodata"), Skip("a", LOST_REASON)]
    (table.path / SKIPPED_FILE).write_bytes(content)
    assert settle_skips(table, ["a", "b", "s0"]) == [Skip("a", LOST_REASON), Skip("b", LOST_REASON)]
