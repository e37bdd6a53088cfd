"""Searches on a device give the exact answers of this processor: the same rows, numbers and order."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import skyhex
from indexer.errors import QueryError
from indexer.index import segment_files
from indexer.index.faiss_index import build_index, open_index
from indexer.index.on_device import OnDevice
from indexer.index.planner import K, Measured, Plan, Point
from indexer.index.recall import CASES
from indexer.search.diversity import Diversity
from indexer.search.query import Query, Vector
from indexer.search.search import Hits, search, search_many
from indexer.search.words import examples_of, filter_of, query_of
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import KEY, Values
from pipeline.on_device.device import TorchDevice
from pipeline.on_device.searcher import kept_on_device, on_device
from search_app.cli import main as cli

from ...indexer.random_rows import BOX, MODEL, random_cells, random_rows
from ...indexer.sharded import damage_a_shard, sharded_table
from ...indexer.small_tables import place_rows, place_table, whole

Box = tuple[float, float, float, float]
CONDITIONS: tuple[dict[str, Any], ...] = (
    {},
    {"bbox": (5, 45, 6.5, 47)},
    {"where": "cloud_fraction < 0.4"},
    {"modalities": ("s1",), "near": (6, 46, 150)},
    {"start": "2031"},  # holds no row
)
POINTS = tuple(Point(kind, share, Plan(1, K), 0.5, 1e-9, 1.0) for share, kind in CASES)


def some_rows(n: int, seed: int, box: Box, values: Values) -> pa.Table:
    """Some have no Sentinel-1, some are equal."""
    rng = np.random.default_rng(seed)
    vectors, absent = rng.normal(size=(n, MODEL.dimension)), rng.random(n) < 0.3
    vectors[rng.random(n) < 0.2] = vectors[0]
    s1 = np.where(absent[:, None], np.nan, rng.normal(size=vectors.shape))
    sensors = {
        "embedding_s1": s1,
        "n_s1": np.where(absent, 0, 2),
        "embedding_s2": vectors,
        "n_s2": np.full(n, 3),
    }
    return random_rows(n, seed, random_cells(n, seed, box), embedding=vectors, values=values, **sensors)


def some_table(path: Path, values: Values) -> EmbeddingTable:
    """Two segments of an index, and rows that came after it."""
    made = {"h3_resolution": 9, "partition_resolution": 1, "values": values}
    table = EmbeddingTable.create(path, MODEL, **made)  # type: ignore[arg-type]
    for seed, (n, box) in enumerate(((300, BOX), (20, (-60.0, -20.0, -58.0, -18.0)))):
        table = table.upsert(some_rows(n, seed, box, values))
        build_index(table)
    return table.upsert(some_rows(10, 2, (100.0, 10.0, 101.0, 11.0), values))


@pytest.fixture(scope="module", params=["float16", "float32"])
def table(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> EmbeddingTable:
    return some_table(tmp_path_factory.mktemp("device") / "t", request.param)


@pytest.fixture(scope="module")
def device() -> OnDevice:
    return on_device("cpu")


def same(found: Hits, exact: Hits) -> bool:
    """But for the plan."""
    return bool(found.rows == exact.rows and found.notes == exact.notes)


def vectors(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, MODEL.dimension))


@pytest.mark.parametrize("conditions", CONDITIONS, ids=str)
def test_every_question_finds_what_it_finds_here(
    table: EmbeddingTable, device: OnDevice, conditions: dict[str, Any]
) -> None:
    cell = whole(table)["h3_cell"][3].as_py()
    like, unlike = (examples_of(cell=c, vector=vectors(2, i)) for i, c in enumerate((cell, None)))
    filter = filter_of(**conditions)
    for words in ({}, {"match": "any"}, {"match": "all"}, {"invert": True}, {"against": "s1"}):
        query = query_of(like, () if words else unlike, **words)
        for k in (1, 20, 1_000):
            assert same(search(table, query, k, filter, crew=device), search(table, query, k, filter))
    query, differ = query_of(like), Diversity(per_parent=1, parent_resolution=5, relevance=0.5)
    here = search(table, query, 5, filter, diversity=differ)
    assert same(search(table, query, 5, filter, diversity=differ, crew=device), here)


def test_many_questions_find_what_they_find_one_by_one(table: EmbeddingTable, device: OnDevice) -> None:
    queries = [query_of(examples_of(vector=vectors(1, i))) for i in range(40)]
    queries += [
        query_of(examples_of(vector=vectors(3, i)), match=match) for i in range(3) for match in MATCHES
    ]
    together = search_many(table, queries, 15, crew=device)
    assert all(same(*pair) for pair in zip(together, search_many(table, queries, 15), strict=True))
    for hits, query in zip(together, queries, strict=True):
        alone = search(table, query, 15, crew=device).rows  # whose lon and lat come another way, 1e-14 apart
        assert hits.rows.select(["rank", "similarity", *KEY]) == alone.select(["rank", "similarity", *KEY])


MATCHES = ("any", "all", "mean")


def test_the_plan_tells_of_the_device(table: EmbeddingTable, device: OnDevice) -> None:
    index, _ = open_index(table)
    assert index is not None
    assert len(index.segments) == 2
    held = sum(living.count for living in index.living)
    newer = table.row_count - held
    hits = search(table, Query((Vector(vectors(1)[0]),)), crew=device)
    everything = f"exact on cpu over {held} of {held} rows; exact over Parquet over {newer} of {newer} rows"
    assert hits.plan == everything


def test_it_is_exact_where_an_inverted_file_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_files, "EXACT_ROWS", 50)
    monkeypatch.setattr(segment_files, "measure", lambda vectors, inverted: Measured(POINTS))
    table = place_table(tmp_path / "t", n=1_500)
    queries = [Query((Vector(one),)) for one in vectors(10)]
    exact = [search(table, query, 10) for query in queries]
    build_index(table)
    measured, on_cpu = (search_many(table, queries, 10, crew=crew) for crew in (None, on_device("cpu")))
    assert "candidates" in measured[0].plan
    assert any(a.rows != b.rows for a, b in zip(measured, on_cpu, strict=True)), "or nothing was approximate"
    for a, b in zip(on_cpu, exact, strict=True):
        assert a.rows.drop_columns("top_share") == b.rows.drop_columns("top_share")


def test_shards_are_held_as_they_are_asked_for(tmp_path: Path) -> None:
    table = sharded_table(tmp_path / "t")
    said: list[str] = []
    device, query = on_device("cpu", said.append), Query((Vector(vectors(1)[0]),))
    area = filter_of(bbox=(-60, -20, -58, -18))
    few = search(table, query, 9, area, crew=device)
    assert same(few, search(table, query, 9, area))
    assert few.plan.endswith("2 of 4 shards")
    assert len(device._held) == 2
    search(table, query, 9, area, crew=device)
    assert same(search(table, query, 9, crew=device), search(table, query, 9))
    rows = [files.segment for files in open_index(table)[0].segments]  # type: ignore[union-attr]
    counts = [sum(len(one) for one in some) for some in (rows[:2], rows[2:])]
    sizes = [f"{count:,} rows" for count in counts]
    assert len(said) == 2, "once for each time that something is brought over"
    assert sorted(one.partition(" for ")[2].partition(" and")[0] for one in said) == sorted(sizes)


def test_what_does_not_fit_is_said_before_it_is_read(
    table: EmbeddingTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TorchDevice, "free_bytes", 100)
    monkeypatch.setattr(TorchDevice, "hold", lambda *_: pytest.fail("it was read"))
    said: list[str] = []
    with pytest.raises(
        QueryError, match=r"\d+ rows take 0.0 MB, and cpu has room for 0.0 MB: leave the device out"
    ):
        search(table, Query((Vector(vectors(1)[0]),)), crew=on_device("cpu", said.append))
    assert said == []


def test_what_was_not_used_for_longest_goes_where_memory_is_short(
    table: EmbeddingTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = on_device("cpu")
    fused, s1, s2 = (
        Query((Vector(vectors(1)[0]),), against=column, using=column)
        for column in ("embedding", "embedding_s1", "embedding_s2")
    )
    for query in (fused, s1, fused):
        search(table, query, crew=device)
    assert [column for _, column in device._held] == ["embedding_s1"] * 2 + ["embedding"] * 2
    free = iter([0, 0, 1 << 40, 1 << 40, 1 << 40])
    monkeypatch.setattr(TorchDevice, "free_bytes", property(lambda self: next(free)))
    search(table, s2, crew=device)
    assert [column for _, column in device._held] == ["embedding"] * 2 + ["embedding_s2"] * 2


def test_threads_ask_one_device(table: EmbeddingTable) -> None:
    device = on_device("cpu")
    queries = [Query((Vector(one),)) for one in vectors(8)]
    found: dict[int, Hits] = {}
    threads = [
        threading.Thread(target=lambda i=i: found.update({i: search(table, queries[i], crew=device)}))  # type: ignore[misc]
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(same(found[i], search(table, query)) for i, query in enumerate(queries))


def test_a_damaged_segment_is_left_out_as_it_is_here(tmp_path: Path) -> None:
    table = sharded_table(tmp_path / "t", n=200, shards=3)
    damage_a_shard(table)
    query = Query((Vector(vectors(1)[0]),))
    hits = search(EmbeddingTable.open(table.path), query, 9, crew=on_device("cpu"))
    assert "a shard of the index is not used" in hits.notes[0]
    segment_files.open_segment.cache_clear()
    assert same(hits, search(EmbeddingTable.open(table.path), query, 9))


@pytest.fixture
def places(tmp_path: Path) -> Iterator[tuple[EmbeddingTable, str]]:
    table = EmbeddingTable.create(tmp_path / "t", MODEL, h3_resolution=9)
    made = table.upsert(place_rows(np.unique(whole(place_table(tmp_path / "other"))["h3_cell"].to_numpy())))
    build_index(made)
    yield made, f"{whole(made)['h3_cell'][0].as_py():x}"
    kept_on_device.cache_clear()


def test_from_python_a_device_keeps_what_it_holds(places: tuple[EmbeddingTable, str]) -> None:
    table, cell = places
    hits = skyhex.search(table, cell=cell, k=7, device="cpu")
    assert same(hits, skyhex.search(table, cell=cell, k=7))
    assert hits.plan.startswith("exact on cpu over")
    many = skyhex.search_many(table, [Query(tuple(examples_of(cell=cell)))], k=7, device="cpu")
    assert many.rows["similarity"] == hits.rows["similarity"]
    (held,) = kept_on_device("cpu")._held.values()
    skyhex.search(table, cell=cell, device="cpu", bbox=(5, 45, 6, 46))
    assert [*kept_on_device("cpu")._held.values()] == [held]
    with pytest.raises(QueryError, match="device 'tpu': expected cpu, cuda"):
        skyhex.search(table, cell=cell, device="tpu")


def told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `skyhex search WORDS`."""
    monkeypatch.setattr(sys, "argv", ["skyhex", "search", *words])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    out = capsys.readouterr()
    return int(stop.value.code or 0), out.out, " ".join(out.err.split())


def test_from_the_command_line(
    places: tuple[EmbeddingTable, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table, cell = places
    words = ("--cell", cell, "-t", str(table.path), "--format", "csv", "--explain")
    code, here, _ = told(monkeypatch, capsys, *words)
    assert told(monkeypatch, capsys, *words, "--device", "cpu")[1] == here
    code, _, said = told(monkeypatch, capsys, *words, "--device", "cpu")
    assert code == 0
    rows = table.row_count
    assert f"cpu takes 0.0 MB for {rows} rows and had room for" in said
    assert f"plan: exact on cpu over {rows} of {rows} rows" in said
    for odd in (("--device", "cuda:99"), ("--device", "cpu", "--shard-workers", "2")):
        code, out, said = told(monkeypatch, capsys, *words, *odd)
        assert (code, out) == (2, "")
        assert said.startswith(f"error device '{odd[1]}'")
