"""Commits in a bucket: writers at once, writers that die, a network that loses and cuts."""

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from indexer.errors import TableError
from indexer.table import storage
from indexer.table.embedding_table import EmbeddingTable

from ..indexer.random_rows import MODEL, random_cells, random_rows
from .network import Fault, Network

ROOT = Path(__file__).resolve().parents[2]
WRITERS, COMMITS, ROWS = 8, 20, 4
WRITE_FOREVER = """
import sys, itertools
from indexer.table.embedding_table import EmbeddingTable
from tests.indexer.random_rows import random_rows
table = EmbeddingTable.open(sys.argv[1])
for seed in itertools.count(table.snapshot):
    table = table.upsert(random_rows(40, seed=seed), input_key=str(seed))
    print(seed, flush=True)
"""


def names(table: EmbeddingTable) -> list[str]:
    return [name for batch in table.scan(["sample_id"]) for name in batch["sample_id"].to_pylist()]


def new_table(address: str) -> EmbeddingTable:
    return EmbeddingTable.create(address, MODEL, h3_resolution=9, partition_resolution=2)


def places(commit: int) -> np.ndarray:
    """(ROWS,) cells so near each other that all commits meet in a few parts."""
    return random_cells(ROWS, commit, box=(5.0, 45.0, 5.2, 45.2))


def write_many(address: str, writer: int) -> None:
    table = EmbeddingTable.open(address)
    for commit in range(COMMITS):
        own = [f"{writer}-{commit}-{row}" for row in range(ROWS)]
        table = table.upsert(random_rows(ROWS, seed=commit, h3_cell=places(commit), sample_id=own))


def sometimes(seed: int) -> "itertools.chain[Fault]":
    """A fault in a twentieth of all requests."""
    rng = random.Random(seed)
    faults: list[Fault] = ["busy", "cut", "lost", "slow"]
    return itertools.chain.from_iterable(
        [rng.choice(faults) if rng.random() < 0.05 else None] for _ in itertools.count()
    )


def test_writers_at_once_lose_and_double_nothing_on_a_bad_network(address: str, between: Network) -> None:
    new_table(address)
    faults = sometimes(seed=1)
    between.fault_of = lambda method, path: next(faults)
    with ThreadPoolExecutor(WRITERS) as pool:
        for job in [pool.submit(write_many, address, writer) for writer in range(WRITERS)]:
            job.result()
    between.fault_of = lambda method, path: None
    table = EmbeddingTable.open(address)
    expected = {f"{w}-{c}-{r}" for w in range(WRITERS) for c in range(COMMITS) for r in range(ROWS)}
    assert sorted(names(table)) == sorted(expected)
    assert table.snapshot == 1 + WRITERS * COMMITS
    assert sum(entry.summary.get("rows_added", 0) for entry in table.log()) == len(expected)
    assert table.validate() == []


def test_a_loser_plans_again_on_the_winners_snapshot(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "LONGEST_TURN_S", 0.0)  # writers of many machines
    new_table(address)

    def write(writer: int) -> int:
        table = EmbeddingTable.open(address)
        for commit in range(5):
            table = table.upsert(random_rows(3, seed=10 * writer + commit))
        return table.snapshot

    with ThreadPoolExecutor(3) as pool:
        assert max(pool.map(write, range(3))) == 16
    assert EmbeddingTable.open(address).row_count == 45


@pytest.mark.parametrize("fault", ["lost", "busy", "conflict"])
def test_a_commit_whose_answer_is_lost_is_recognised(address: str, between: Network, fault: Fault) -> None:
    table = new_table(address)
    left = iter([fault, fault])
    between.fault_of = lambda method, path: next(left, None) if _commits(method, path) else None
    after = table.upsert(random_rows(30, seed=1), input_key="a")
    assert next(left, None) is None  # it did happen
    assert (after.snapshot, after.row_count, EmbeddingTable.open(address).snapshot) == (2, 30, 2)


def _commits(method: str, path: str) -> bool:
    return method == "PUT" and "/manifests/" in path


def test_killed_writers_leave_a_readable_table(address: str) -> None:
    new_table(address)
    committed = 0
    for attempt in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITE_FOREVER, address],
            cwd=ROOT,
            env=dict(os.environ),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(0.05 * attempt)
        child.send_signal(signal.SIGKILL)
        reported = [int(line) for line in child.communicate()[0].split()]
        table = EmbeddingTable.open(address)
        assert table.validate() == []
        assert table.row_count == 40 * (table.snapshot - 1) == len(names(table))
        assert {str(seed) for seed in reported} <= table.input_keys
        assert table.snapshot - 1 > committed
        committed = table.snapshot - 1


def test_of_many_that_make_a_table_one_does(address: str) -> None:
    def make(number: int) -> int:
        return (
            EmbeddingTable.open_or_create(address, MODEL, h3_resolution=9)
            .upsert(random_rows(5, seed=number))
            .snapshot
        )

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(make, range(6))) == [2, 3, 4, 5, 6, 7]


def test_a_network_that_stays_bad_is_an_error_and_nothing_is_half_written(
    address: str, between: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = new_table(address).upsert(random_rows(30, seed=1))
    between.fault_of = lambda method, path: "elsewhere" if method == "PUT" else None
    with pytest.raises(TableError, match=r"cannot write .*lies in another region: set AWS_REGION to it"):
        table.upsert(random_rows(30, seed=2))
    between.fault_of = lambda method, path: None
    assert EmbeddingTable.open(address).manifest == table.manifest
