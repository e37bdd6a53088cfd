"""Whoever embeds, and however many of them: the same rows under the same keys."""

from pathlib import Path
from typing import Any

import pytest

from indexer.table.embedding_table import EmbeddingTable
from pipeline import embed_job

from .conftest import Job, rows


def test_rows_and_keys_are_those_of_the_local_engine(
    job: Job, here: EmbeddingTable, engine: Any, tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []
    report = job.run(
        tmp_path / "t", engine=engine, granularity=10, progress=lambda done, total: told.append((done, total))
    )
    assert rows(report.table).equals(rows(here), check_metadata=True)
    assert report.table.input_keys == here.input_keys
    assert report.table.manifest.imagery == here.manifest.imagery
    assert report.embedded == here.row_count > 60
    assert told[-1] == (report.embedded, report.embedded)
    finer = [EmbeddingTable.open(embed_job.finer_path(t.storage.root, 10)) for t in (report.table, here)]
    assert rows(finer[0]).equals(rows(finer[1]), check_metadata=True)
    again = job.run(tmp_path / "t", engine=engine, granularity=10)
    assert (again.embedded, again.already) == (0, report.embedded)


@pytest.mark.parametrize("first", ["here", "ray"])
def test_a_job_goes_on_under_the_other_engine(
    job: Job, here: EmbeddingTable, engine: Any, tmp_path: Path, first: str
) -> None:
    engines = {"here": None, "ray": engine}

    def stop_at_thirty(done: int, total: int) -> None:
        if done > 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job.run(tmp_path / "t", engine=engines.pop(first), progress=stop_at_thirty)
    held = EmbeddingTable.open(tmp_path / "t").row_count
    (other,) = engines.values()
    report = job.run(tmp_path / "t", engine=other)
    assert 20 < held == report.already < here.row_count
    assert rows(report.table).equals(rows(here), check_metadata=True)
    assert report.table.input_keys == here.input_keys
