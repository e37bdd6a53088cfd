"""A sharded index answers as one segment does, shard by shard, and says what it lacks."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from indexer.errors import TableError
from indexer.index import faiss_index, ivf, sample, segment_files
from indexer.index.faiss_index import build_index, index_info, open_index
from indexer.index.planner import Plan, Point
from indexer.index.segment import Part, missing_parts
from indexer.index.shards import CENTROIDS, cut
from indexer.search.best_rows import Answer, Best, Shards
from indexer.search.filter import Filter, Region
from indexer.search.query import Cell, Query, Vector
from indexer.search.search import search, search_many
from indexer.table.embedding_table import EmbeddingTable

from ..random_rows import MODEL, random_cells
from ..small_tables import keys, place_rows, place_table, similarities, whole

QUERY = Query((Vector(np.random.default_rng(1).normal(size=MODEL.dimension)),))
ROOT = Path(__file__).parents[3]
ALL = Filter()
INVERTED = (Point("region", 1e-4, Plan(), 1, 1, 1), Point("all", 1.0, Plan(2, 60), 1, 0.1, 9))


def answer(table: EmbeddingTable, filter: Filter = ALL, query: Query = QUERY, k: int = 12) -> list[object]:
    rows = search(table, query, k, filter).rows
    return [*zip(keys(rows), rows["similarity"].to_pylist(), strict=True)]


@pytest.fixture
def table(tmp_path: Path) -> EmbeddingTable:
    """Three parts, the middle one much the largest."""
    made = place_table(tmp_path / "table", n=300)
    more = random_cells(900, seed=4, box=(100.0, 10.0, 101.0, 11.0))
    return made.upsert(place_rows(np.unique(more), seed=4))


def test_rows_are_cut_between_cells_into_equal_shards(table: EmbeddingTable) -> None:
    cells = whole(table)["h3_cell"].to_numpy()
    for count in (1, 2, 7, 16):
        shards = cut(table, count)
        rows = [sum(part.rows for part in shard) for shard in shards]
        assert len(shards) == count
        assert sum(rows) == table.row_count
        assert max(rows) - min(rows) <= 3, "two rows a cell"
        ends = np.cumsum(rows)[:-1]
        assert (cells[ends] != cells[ends - 1]).all(), "a cell is in one shard"
        pieces = [part for shard in shards for part in shard]
        assert {part.path for part in pieces} == {file.path for file in table.files}
    with pytest.raises(TableError, match=r"cannot be cut between cells into 129 shards: ask for 1 to 128"):
        cut(table, 129)
    few = place_table(table.path.parent / "few", n=6)
    with pytest.raises(TableError, match="12 rows cannot be cut between cells into 9 shards"):
        cut(few, 9)


@pytest.mark.parametrize("workers", [1, 2])
def test_shards_answer_as_one_segment(table: EmbeddingTable, tmp_path: Path, workers: int) -> None:
    area = Filter(region=Region.from_bbox(100.2, 10.2, 100.7, 10.7))
    sql = Filter(where="n_s2 > 4 AND cloud_fraction < 0.5")
    cell = Query((Cell(int(whole(table)["h3_cell"][700].as_py())),), against="embedding_s1")
    asked = [(Filter(), QUERY), (area, QUERY), (sql, QUERY), (area, cell), (Filter(), cell)]
    expected = [answer(table, *one) for one in asked]
    info = build_index(table, shards=5, workers=workers)
    assert (info.action, info.shards, info.segments, info.rows) == ("built", 5, 5, table.row_count)
    assert "5 shards" in str(info)
    assert [answer(table, *one) for one in asked] == expected
    assert (
        search(table, QUERY, 12).plan
        == f"exact over {table.row_count:,} of {table.row_count:,} rows; 5 of 5 shards"
    )
    many = search_many(table, [QUERY, cell], 12)
    assert [hits.rows["similarity"].to_pylist() for hits in many] == [
        [similarity for _, similarity in expected[i]] for i in (0, 4)
    ]
    assert many[0].notes == search(table, QUERY, 12).notes
    assert build_index(table).action == "nothing to do", "it stays cut as it is"
    assert build_index(table, shards=1).shards == 0
    assert [answer(table, *one) for one in asked] == expected


def test_an_area_chooses_shards(table: EmbeddingTable) -> None:
    build_index(table, shards=8)
    here = Filter(region=Region.from_cells([int(whole(table)["h3_cell"][5].as_py())]))
    assert search(table, QUERY, 12, here).plan == f"exact over 2 of {table.row_count:,} rows; 1 of 8 shards"
    nowhere = search(table, QUERY, 12, Filter(region=Region.from_bbox(-1, -1, 0, 0)))
    assert nowhere.plan.endswith("0 of 8 shards")
    assert "no row matches the filter" in nowhere.notes


def test_centroids_are_fitted_once_and_shared(table: EmbeddingTable, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = answer(table)
    monkeypatch.setattr(segment_files, "EXACT_ROWS", 50)
    monkeypatch.setattr(ivf, "SHORTEST_LIST", 4)
    monkeypatch.setattr(segment_files, "measure", lambda vectors, inverted: faiss_index_measured())
    build_index(table, shards=4)
    index, notes = open_index(table)
    assert index is not None
    assert notes == ()
    assert {files.inverted("embedding").lists for files in index.segments} == {  # type: ignore[union-attr]
        ivf.list_count(table.row_count, MODEL.dimension)
    }
    centroids = [centroids_of(files.inverted("embedding").index) for files in index.segments]  # type: ignore[union-attr]
    assert all((one == centroids[0]).all() for one in centroids)
    found = search(table, QUERY, 12)
    assert "72 candidates from 2 lists, refined" in found.plan
    rows = [similarity for _, similarity in answer(table)]
    assert np.mean(np.isin(rows, [similarity for _, similarity in expected])) > 0.5
    few = sorted((table.path / "index" / CENTROIDS).iterdir())
    assert [path.name.split("-")[1] for path in few] == ["embedding.faiss", "embedding_s1.faiss"]
    build_index(table, shards=1)
    assert not (table.path / "index" / CENTROIDS).exists()


def faiss_index_measured() -> object:
    from indexer.index.planner import Measured

    return Measured(INVERTED)


def centroids_of(index: object) -> np.ndarray:
    import faiss

    lists = faiss.extract_index_ivf(index)
    return np.asarray(faiss.downcast_index(lists.quantizer).reconstruct_n(0, lists.nlist))


def test_newer_rows_come_as_a_segment_until_they_are_many(table: EmbeddingTable) -> None:
    build_index(table, shards=4)
    newer = table.upsert(place_rows(np.unique(random_cells(30, seed=9, box=(30, 30, 31, 31))), seed=9))
    stale = answer(newer)
    assert "rows were read from Parquet" in " ".join(search(newer, QUERY, 12).notes)
    info = build_index(newer)
    assert (info.action, info.shards, info.segments, info.missing_rows) == ("added a segment", 4, 5, 0)
    assert answer(newer) == stale
    assert search(newer, QUERY, 12).plan.endswith("5 of 5 shards")
    assert answer(table) == answer(EmbeddingTable.open(table.path, table.snapshot))
    many = newer.upsert(place_rows(np.unique(random_cells(400, seed=10, box=(30, 40, 31, 41))), seed=10))
    expected = answer(many)
    info = build_index(many)
    assert (info.action, info.shards, info.segments) == ("built", 4, 4)
    assert answer(many) == expected


@pytest.mark.parametrize("damage", ["removed", "cut", "flipped", "no folder"])
def test_a_shard_that_cannot_be_read_is_said_and_costs_no_row(table: EmbeddingTable, damage: str) -> None:
    expected = answer(table)
    build_index(table, shards=4)
    assert answer(table) == expected
    index, _ = open_index(table)
    assert index is not None
    folder = index.segments[1].folder
    spoil(folder, damage)
    forget()
    hits = search(EmbeddingTable.open(table.path), QUERY, 12)
    assert [*zip(keys(hits.rows), hits.rows["similarity"].to_pylist(), strict=True)] == expected
    lost = len(index.segments[1].segment)
    assert f"{lost:,} rows were read from Parquet, 1 of the index's shards being damaged" in hits.notes
    assert any(
        note.startswith("a shard of the index is not used") and "skyhex index" in note for note in hits.notes
    )
    assert hits.plan.endswith(f"exact over Parquet over {lost:,} of {lost:,} rows; 3 of 4 shards")
    kept = {files.folder.name: stamp(files.folder) for files in index.segments if files.folder != folder}
    info = build_index(EmbeddingTable.open(table.path))
    assert (info.action, info.shards, info.segments) == ("built", 4, 4)
    assert {name: stamp(folder.parent / name) for name in kept} == kept, "sound shards are not written again"
    hits = search(EmbeddingTable.open(table.path), QUERY, 12)
    assert not any("shard" in note for note in hits.notes)
    assert hits.plan.endswith("4 of 4 shards")


def spoil(folder: Path, damage: str) -> None:
    path = folder / "embedding.bin"
    content = path.read_bytes()
    if damage == "removed":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    else:
        shutil.rmtree(folder)


def stamp(folder: Path) -> int:
    return (folder / segment_files.DESCRIPTION).stat().st_mtime_ns


def forget() -> None:
    segment_files.open_segment.cache_clear()
    segment_files._open_inverted.cache_clear()


def test_a_build_that_was_killed_goes_on(table: EmbeddingTable) -> None:
    build_index(table)
    expected, root = answer(table), table.path / "index"
    before = {path.name for path in root.iterdir()}
    script = textwrap.dedent("""
        import sys
        from indexer.index import shards
        from indexer.index.faiss_index import build_index
        from indexer.table.embedding_table import EmbeddingTable

        write, written = shards.write_segment, []
        def tell(*args, **words):
            if len(written) == 3:
                print("three", flush=True)
                input()
            written.append(write(*args, **words))
            return written[-1]
        shards.write_segment = tell
        build_index(EmbeddingTable.open(sys.argv[1]), shards=6)
    """)
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(table.path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == b"three\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = {path.name: stamp(path) for path in root.iterdir() if path.is_dir() and path.name not in before}
    assert len(done) == 3
    assert answer(table) == expected, "by the index that was there"
    assert index_info(table).shards == 0  # type: ignore[union-attr]
    assert build_index(table, shards=6).segments == 6
    assert {name: stamp(root / name) for name in done} == done
    assert {path.name for path in root.iterdir() if path.is_dir()} >= set(done)
    assert not {path.name for path in root.iterdir() if path.is_dir()} & before
    assert answer(table) == expected


def test_a_worker_that_dies_says_what_to_do(table: EmbeddingTable, monkeypatch: pytest.MonkeyPatch) -> None:
    from indexer.index import shards

    monkeypatch.setattr(shards, "_write", dying)
    with pytest.raises(
        TableError, match=r"a process that did a piece of the work died.*with fewer --workers"
    ):
        build_index(table, shards=4, workers=2)
    assert index_info(table) is None


def dying(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_an_older_program_leaves_a_sharded_index_out(table: EmbeddingTable) -> None:
    build_index(table, shards=3)
    (path,) = (table.path / "index").glob("0*.json")
    document = json.loads(path.read_bytes())
    assert document["format"] == "skyhex-index-2"
    assert (document["shards"], len(document["segments"])) == (3, 3)
    build_index(table, shards=1)
    (path,) = (table.path / "index").glob("0*.json")
    document = json.loads(path.read_bytes())
    assert {*document} == {"format", "snapshot", "segments"}
    assert document["format"] == "skyhex-index-1"


def test_what_segments_lack_is_told_in_pieces(table: EmbeddingTable) -> None:
    build_index(table, shards=3)
    index, _ = open_index(table)
    assert index is not None
    segments = [files.segment for files in index.segments]
    assert missing_parts(table, segments) == ()
    middle = missing_parts(table, [segments[0], segments[2]])
    assert middle == segments[1].parts
    assert missing_parts(table, []) == tuple(map(Part.whole, table.files))
    with pytest.raises(faiss_index.DamagedIndexError, match="two segments hold the same rows"):
        missing_parts(table, [*segments, segments[1]])


def test_exact_similarities_come_from_every_shard(table: EmbeddingTable) -> None:
    build_index(table, shards=9)
    rows = whole(table)
    (vector,) = QUERY.positives
    expected = np.sort(similarities(rows, vector.values))[::-1][:30]  # type: ignore[union-attr]
    found = search(table, QUERY, 30).rows["similarity"].to_numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_samples_of_shards_are_one_sample(table: EmbeddingTable, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (sample, segment_files):
        monkeypatch.setattr(module, "SAMPLE_ROWS", 400)
    monkeypatch.setattr(sample, "FEWEST_ROWS", 20)
    build_index(table)
    shares = search(table, QUERY, 40).rows["top_share"].to_numpy()
    build_index(table, shards=4)
    index, _ = open_index(table)
    assert index is not None
    assert [len(files.sample("embedding").cells) for files in index.segments] == [100] * 4  # type: ignore[union-attr]
    np.testing.assert_allclose(search(table, QUERY, 40).rows["top_share"].to_numpy(), shares, atol=0.02)


def test_plans_of_shards_are_one_phrase() -> None:
    assert str(Plan(24, 80)) == "80 candidates from 24 lists, refined"
    plans = {Plan(24, 80): (3, 5), Plan(1_000, 40): (7, 20), Plan(): (1, 9), None: (2, 2)}
    assert str(Answer(Best(*[np.empty(0)] * 6), plans, Shards(3, 4, {}))) == (
        "40 to 80 candidates from 24 to 1,000 lists, refined over 10 of 25 rows; exact over 1 of 9 rows; "
        "exact over Parquet over 2 of 2 rows; 3 of 4 shards"
    )
