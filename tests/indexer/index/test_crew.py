"""Processes that hold shards: the same answers, and who is late or was ended is said."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.index import crew as crew_module
from indexer.index.crew import Crew
from indexer.index.faiss_index import build_index, open_index
from indexer.search.filter import Filter, Region
from indexer.search.search import search, search_many
from indexer.table.embedding_table import EmbeddingTable

from ...processes import has_ended
from ..sharded import QUERIES, damage_a_shard, same, sharded_table
from ..small_tables import place_table


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingTable:
    return sharded_table(tmp_path_factory.mktemp("crew") / "table")


@pytest.fixture(scope="module")
def crew() -> Iterator[Crew]:
    with Crew(2, limit_s=60.0) as made:
        yield made


def pids(crew: Crew) -> list[int]:
    return [worker._holder.process.pid for worker in crew._workers if worker._holder is not None]  # type: ignore[attr-defined]


def test_a_crew_answers_as_this_process_does(table: EmbeddingTable, crew: Crew) -> None:
    area = Filter(region=Region.from_bbox(5, 45, 6, 46))
    for query in QUERIES:
        for filter in (Filter(), area, Filter(where="n_s2 > 4")):
            assert same(search(table, query, 12, filter, crew=crew), search(table, query, 12, filter))
    together = zip(search_many(table, QUERIES, crew=crew), search_many(table, QUERIES), strict=True)
    assert all(same(*pair) for pair in together)
    assert len(pids(crew)) == 2
    index, _ = open_index(table)
    assert index is not None
    assert [len(worker.held) for worker in crew._workers] == [2, 2], "each shard has its own worker"


def test_a_worker_that_was_ended_is_begun_anew(table: EmbeddingTable, crew: Crew) -> None:
    search(table, QUERIES[0], crew=crew)
    first, second = pids(crew)
    os.kill(first, signal.SIGKILL)
    assert same(search(table, QUERIES[1], crew=crew), search(table, QUERIES[1]))
    assert first not in pids(crew)
    assert second in pids(crew)


def test_a_late_shard_is_said_and_asked_again(table: EmbeddingTable) -> None:
    index, _ = open_index(table)
    assert index is not None
    with Crew(4, limit_s=60.0) as crew:
        search(table, QUERIES[0], crew=crew)
        stopped = crew._of(index.segments[2].folder)
        pid = stopped._holder.process.pid  # type: ignore[union-attr]
        crew.limit_s = 1.0
        os.kill(pid, signal.SIGSTOP)
        hits = search(table, QUERIES[1], 2_000, crew=crew)
        lost, rows = len(index.segments[2].segment), table.row_count
        assert hits.plan == f"exact over {rows - lost:,} of {rows:,} rows; 3 of 4 shards"
        assert (
            f"1 of 4 shards did not answer in time, so {lost:,} rows that match were not compared: "
            "better ones may be among them"
        ) in hits.notes
        assert len(hits.rows) == rows - lost
        os.kill(pid, signal.SIGCONT)
        crew.limit_s = 60.0
        assert same(search(table, QUERIES[2], crew=crew), search(table, QUERIES[2]))
        assert stopped._holder.process.pid == pid, "it went on"  # type: ignore[union-attr]


def test_a_worker_that_answers_no_more_is_ended(
    table: EmbeddingTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew_module, "LOST_S", 0.0)
    with Crew(1, limit_s=60.0) as crew:
        search(table, QUERIES[0], crew=crew)
        (pid,) = pids(crew)
        crew.limit_s = 0.5
        os.kill(pid, signal.SIGSTOP)
        assert len(search(table, QUERIES[1], crew=crew).rows) == 0
        time.sleep(0.1)
        crew.limit_s = 60.0
        assert same(search(table, QUERIES[2], crew=crew), search(table, QUERIES[2]))
        assert pid not in pids(crew)


def test_a_worker_tells_of_damage(tmp_path: Path) -> None:
    table = place_table(tmp_path / "table", n=200)
    expected = search(table, QUERIES[0], 9).rows["similarity"]
    build_index(table, shards=3)
    damage_a_shard(table)
    with Crew(2) as crew:
        hits = search(table, QUERIES[0], 9, crew=crew)
    assert hits.rows["similarity"] == expected
    assert any(note.startswith("a shard of the index is not used") for note in hits.notes)
    assert hits.plan.endswith("2 of 3 shards")


def test_workers_end_with_the_crew(table: EmbeddingTable) -> None:
    with Crew(2) as crew:
        search(table, QUERIES[0], crew=crew)
        begun = pids(crew)
    assert all(map(has_ended, begun))
