"""Shards held by Ray's actors: the answers of this process, and who is late or was ended is said."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

import skyhex
from indexer.index.crew import Crew
from indexer.index.faiss_index import open_index
from indexer.search.filter import Filter, Region
from indexer.search.search import search, search_many
from indexer.table.embedding_table import EmbeddingTable

from ...indexer.sharded import QUERIES, same, sharded_table
from ...processes import descendants, needs_proc
from ...search_app.serve.conftest import serving
from .test_cluster import ROOT

pytestmark = needs_proc


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingTable:
    return sharded_table(tmp_path_factory.mktemp("crew") / "table")


@pytest.fixture
def crew(engine: Any) -> Iterator[Crew]:
    """Two actors on the Ray that these tests share."""
    from pipeline.on_ray.holder import RayHolder

    with Crew(2, limit_s=60.0, begin=partial(RayHolder, 1)) as made:
        yield made


def actors() -> list[int]:
    """Processes that hold shards."""
    ours = descendants(os.getpid()).items()
    return sorted(process for process, command in ours if command.startswith("ray::ShardActor"))


def test_actors_answer_as_this_process_does(table: EmbeddingTable, crew: Crew) -> None:
    area = Filter(region=Region.from_bbox(5, 45, 6, 46))
    for filter in (Filter(), area, Filter(where="n_s2 > 4")):
        assert same(search(table, QUERIES[0], 12, filter, crew=crew), search(table, QUERIES[0], 12, filter))
    together = zip(search_many(table, QUERIES, crew=crew), search_many(table, QUERIES), strict=True)
    assert all(same(*pair) for pair in together)
    assert len(actors()) == 2


def test_an_actor_that_was_ended_is_begun_anew(table: EmbeddingTable, crew: Crew) -> None:
    search(table, QUERIES[0], crew=crew)
    first, second = actors()
    os.kill(first, signal.SIGKILL)
    assert same(search(table, QUERIES[1], crew=crew), search(table, QUERIES[1]))
    assert second in actors()
    assert first not in actors()


def test_a_late_shard_is_said_and_asked_again(table: EmbeddingTable, crew: Crew) -> None:
    search(table, QUERIES[0], crew=crew)
    stopped = actors()[0]
    crew.limit_s = 1.0
    os.kill(stopped, signal.SIGSTOP)
    hits = search(table, QUERIES[1], 2_000, crew=crew)
    assert hits.plan.endswith("2 of 4 shards")
    assert any("2 of 4 shards did not answer in time" in note for note in hits.notes)
    os.kill(stopped, signal.SIGCONT)
    crew.limit_s = 60.0
    assert same(search(table, QUERIES[2], crew=crew), search(table, QUERIES[2]))
    assert stopped in actors()


@pytest.mark.ray
def test_the_service_has_its_shards_held_by_actors(table: EmbeddingTable) -> None:
    """On a Ray of its own."""
    cell = f"{int(next(table.scan(['h3_cell']))['h3_cell'][5].as_py()):x}"
    words = ("--engine", "ray", "--shard-workers", "2", "--shard-limit", "60")
    with serving("-t", str(table.path), *words) as address:
        hits = skyhex.search(address, cell=cell, k=9)
        assert len(actors()) == 2
    here = skyhex.search(table, cell=cell, k=9)
    assert hits.rows["similarity"] == here.rows["similarity"]
    assert hits.plan == here.plan
    assert hits.plan.endswith("4 of 4 shards")
    index, _ = open_index(table)
    assert index is not None
    assert index.shards == 4


def refused(table: EmbeddingTable, *words: str) -> str:
    """What `skyhex serve` says that exits with 2."""
    code = "from search_app.cli.main import run; run()"
    serve = [sys.executable, "-c", code, "serve", "-t", str(table.path), "--port", "0", *words]
    done = subprocess.run(serve, capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.returncode == 2, done.stderr
    return " ".join(done.stderr.split())


@pytest.mark.ray
def test_the_service_says_in_one_line_why_it_has_no_crew(table: EmbeddingTable) -> None:
    assert "expected --engine ray with it" in refused(table, "--address", "auto")
    nobody = refused(table, "--engine", "ray", "--address", "127.0.0.1:9")
    assert "no Ray head answers at 127.0.0.1:9" in nobody
    assert "expected numbers above zero" in refused(table, "--engine", "ray", "--shard-limit", "0")
