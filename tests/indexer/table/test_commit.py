"""Commits that meet others, die half-way or run out of disk."""

import itertools
import json
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from unittest.mock import DEFAULT, Mock

import numpy as np
import pyarrow as pa
import pytest

from indexer.errors import TableError
from indexer.geo import cells
from indexer.table import storage
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.stac_item import ITEM

from ..full_disk import with_file_size_limit
from ..random_rows import MODEL, random_cells, random_rows

ROOT = Path(__file__).resolve().parents[3]
ROWS = 5  # of a commit

WRITE_FOREVER = """
import sys, itertools
from pathlib import Path
from indexer.table.embedding_table import EmbeddingTable
from tests.indexer.random_rows import random_rows
table = EmbeddingTable.open(Path(sys.argv[1]))
for seed in itertools.count(table.snapshot):
    table = table.upsert(random_rows(40, seed=seed), input_key=str(seed))
    print(seed, flush=True)
"""


def new_table(path: Path) -> EmbeddingTable:
    return EmbeddingTable.create(path, MODEL, h3_resolution=9, partition_resolution=2)


def names(table: EmbeddingTable) -> list[str]:
    return [name for batch in table.scan(["sample_id"]) for name in batch["sample_id"].to_pylist()]


def write_many(path: Path, writer: int, commits: int, take_turns: bool) -> None:
    """Each writer has its own rows, and all of them also replace the same one, in the same place."""
    storage.LONGEST_TURN_S = 60.0 if take_turns else 0.0
    table = EmbeddingTable.open(path)
    for commit in range(commits):
        own = [f"{writer}-{commit}-{row}" for row in range(ROWS - 1)]
        table = table.upsert(
            random_rows(ROWS, seed=commit, h3_cell=places(commit), sample_id=[*own, "shared"])
        )


def places(commit: int) -> np.ndarray:
    """(ROWS,) cells so near each other that all commits meet in a few parts."""
    return random_cells(ROWS, commit, box=(5.0, 45.0, 5.2, 45.2))


@pytest.mark.parametrize(
    ("writers", "commits", "take_turns"),
    [(8, 10, True), (8, 50, False)],
    ids=["one machine", "many machines"],
)
def test_writers_at_once_lose_and_double_nothing(
    tmp_path: Path, writers: int, commits: int, take_turns: bool
) -> None:
    new_table(tmp_path)
    with ProcessPoolExecutor(writers, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(write_many, tmp_path, writer, commits, take_turns) for writer in range(writers)]
        for job in jobs:
            job.result()
    table = EmbeddingTable.open(tmp_path)
    found = names(table)
    own = {f"{w}-{c}-{r}" for w in range(writers) for c in range(commits) for r in range(ROWS - 1)}
    shared = len({int(places(commit)[-1]) for commit in range(commits)})
    assert sorted(found) == sorted([*own, *["shared"] * shared])
    assert table.snapshot == 1 + writers * commits
    assert json.loads((tmp_path / ITEM).read_text())["properties"]["version"] == str(table.snapshot)
    assert sum(entry.summary.get("rows_added", 0) for entry in table.log()) == table.row_count == len(found)
    assert table.validate() == []


def test_the_loser_of_a_race_plans_again_on_the_winners_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = new_table(tmp_path)
    mine, theirs = random_rows(30, seed=1), random_rows(30, seed=2)
    put_new = storage.Storage.put_new
    monkeypatch.setattr(storage.Storage, "turn", nullcontext)  # the winner is on another machine

    def be_late(self: storage.Storage, path: str, content: bytes) -> None:
        monkeypatch.setattr(storage.Storage, "put_new", put_new)
        EmbeddingTable.open(tmp_path).upsert(theirs)
        put_new(self, path, content)

    monkeypatch.setattr(storage.Storage, "put_new", be_late)
    after = table.upsert(mine)
    assert (after.snapshot, after.row_count) == (3, 60)
    assert after.validate() == []


def test_of_jobs_that_begin_a_table_at_once_all_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_new = storage.Storage.put_new

    def be_late(self: storage.Storage, path: str, content: bytes) -> None:
        monkeypatch.setattr(storage.Storage, "put_new", put_new)
        EmbeddingTable.create(tmp_path, MODEL, h3_resolution=9).upsert(random_rows(30, seed=1))
        put_new(self, path, content)

    monkeypatch.setattr(storage.Storage, "put_new", be_late)
    table = EmbeddingTable.open_or_create(tmp_path, MODEL, h3_resolution=9)
    assert table.snapshot == 2, "what the other wrote is there"
    assert table.upsert(random_rows(30, seed=2)).row_count == 60
    with pytest.raises(TableError, match="H3 resolution 12"):
        EmbeddingTable.open_or_create(tmp_path, MODEL, h3_resolution=12)
    with pytest.raises(TableError, match=r"two.*skyhex/test"):
        EmbeddingTable.open_or_create(tmp_path, replace(MODEL, name="two", digest="2" * 64), h3_resolution=9)


def test_the_names_of_a_new_table_are_flushed_in_every_directory_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []
    fsync = storage.os.fsync
    monkeypatch.setattr(
        storage.os, "fsync", lambda f: (flushed.append(str(Path(f"/proc/self/fd/{f}").readlink())), fsync(f))
    )
    EmbeddingTable.create(tmp_path / "new" / "deep" / "table", MODEL, h3_resolution=9)
    assert {str(tmp_path), str(tmp_path / "new"), str(tmp_path / "new/deep")} <= set(flushed)
    flushed.clear()
    table = EmbeddingTable.open(tmp_path / "new/deep/table").commit_sidecar("kind", {"a": b"a"}, {})
    assert str(table.path) in flushed[: flushed.index(str(table.path / "sidecars")) + 2]


def test_killed_writers_leave_a_readable_table(tmp_path: Path) -> None:
    new_table(tmp_path)
    committed = 0
    for attempt in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITE_FOREVER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        child.stdout.readline()  # it is at work: kill it in the middle of a later commit
        time.sleep(0.017 * attempt)
        child.send_signal(signal.SIGKILL)
        reported = [int(line) for line in child.communicate()[0].split()]
        table = EmbeddingTable.open(tmp_path)
        assert table.validate() == []
        assert table.row_count == 40 * (table.snapshot - 1) == len(names(table))
        assert len(table.input_keys) == table.snapshot - 1 > committed  # what was reported is there
        assert {str(seed) for seed in reported} <= table.input_keys
        committed = table.snapshot - 1


def test_a_writer_that_dies_at_any_of_its_writes_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = new_table(tmp_path).upsert(random_rows(30, seed=1))
    before = pa.Table.from_batches(table.scan())
    obstore_put = storage.obstore.put
    writes = 0
    while True:
        outcomes = [*itertools.repeat(DEFAULT, writes), KeyboardInterrupt]
        monkeypatch.setattr(storage.obstore, "put", Mock(wraps=obstore_put, side_effect=outcomes))
        try:
            table.upsert(random_rows(30, seed=2))
            break
        except KeyboardInterrupt:
            if EmbeddingTable.open(tmp_path).snapshot > table.snapshot:
                break  # only the STAC item was still to be written
            assert pa.Table.from_batches(EmbeddingTable.open(tmp_path).scan()) == before
            writes += 1
    assert writes >= 2  # several parts and the manifest
    assert EmbeddingTable.open(tmp_path).row_count == 60


def test_a_full_disk_leaves_the_table_as_it_was(tmp_path: Path) -> None:
    table = new_table(tmp_path).upsert(random_rows(30, seed=1))
    with pytest.raises(TableError, match=r"cannot write .*part-.*File too large"):
        with_file_size_limit(4_096, lambda: table.upsert(random_rows(3_000, seed=2)))
    assert EmbeddingTable.open(tmp_path).manifest == table.manifest
    assert table.validate() == []
    assert table.upsert(random_rows(30, seed=2)).row_count == 60


def test_a_place_that_cannot_be_written_is_an_error_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"cannot open /proc/nowhere/table: .*") as caught:
        new_table(Path("/proc/nowhere/table"))
    assert "\n" not in str(caught.value)
    table = new_table(tmp_path)
    partition = cells.parent(int(random_cells(1)[0]), 2)
    (tmp_path / f"h3_r2={partition:x}").write_text("a file in the way")
    with pytest.raises(TableError, match="cannot write"):
        table.upsert(random_rows(1))
    assert EmbeddingTable.open(tmp_path).snapshot == table.snapshot
