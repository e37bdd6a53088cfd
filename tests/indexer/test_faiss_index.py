"""The index: built, brought up to date, damaged; and the inverted file scored against exact search."""

import shutil
from pathlib import Path

import faiss
import numpy as np
import pytest

from indexer import faiss_index, ivf, planner, segment_files
from indexer.errors import TableError
from indexer.faiss_index import build_index, describe_index, index_info, open_index
from indexer.filters import Filter, Region
from indexer.ivf import Ivf
from indexer.mapped import DamagedIndexError
from indexer.planner import Measured, Plan, Point, choose
from indexer.query import Query, Vector
from indexer.row_ranges import RowRanges
from indexer.search import search
from indexer.table import EmbeddingTable
from indexer.vectors import Vectors, nearest

from .random_rows import MODEL, random_cells
from .small_tables import place_rows, place_table, similarities, whole

QUERY = np.arange(1, MODEL.dimension + 1).astype(np.float32)


def best(table: EmbeddingTable, k: int = 10, **conditions: object) -> np.ndarray:
    hits = search(table, Query((Vector(QUERY),)), k, Filter(**conditions))  # type: ignore[arg-type]
    return np.asarray(hits.rows["similarity"])


def expected(table: EmbeddingTable, k: int = 10) -> np.ndarray:
    return np.sort(similarities(whole(table), QUERY))[::-1][:k]


def files_below(path: Path) -> list[str]:
    files = (file for file in (path / "index").rglob("*") if file.is_file() and file.name != ".lock")
    return sorted(str(file.relative_to(path)) for file in files)


def test_building_twice_does_nothing_the_second_time(tmp_path: Path) -> None:
    table = place_table(tmp_path)
    seen: list[tuple[int, int]] = []
    first = build_index(table, progress=lambda done, total: seen.append((done, total)))
    assert (first.rows, first.missing_rows, first.segments, first.action) == (table.row_count, 0, 1, "built")
    assert seen[-1] == (table.row_count, table.row_count)
    before = files_below(tmp_path)
    assert build_index(table).action == "nothing to do"
    assert files_below(tmp_path) == before
    assert not [name for name in before if "building" in name or "committing" in name]


def test_few_new_rows_make_a_segment_and_many_a_new_index(tmp_path: Path) -> None:
    table = place_table(tmp_path, n=300)
    build_index(table)
    table = table.upsert(place_rows(random_cells(5, box=(150, 10, 151, 11))))  # a partition of its own
    assert describe_index(table).endswith("run `skyhex index`")
    added = build_index(table)
    assert (added.action, added.segments, added.replaced_rows) == ("added a segment", 2, 0)
    np.testing.assert_allclose(best(table), expected(table), atol=1e-3)
    table = table.upsert(place_rows(random_cells(200, seed=8)))
    rebuilt = build_index(table)
    assert (rebuilt.action, rebuilt.segments, rebuilt.rows) == ("built", 1, table.row_count)
    np.testing.assert_allclose(best(table), expected(table), atol=1e-3)
    folders = [path for path in (tmp_path / "index").iterdir() if path.is_dir()]
    assert len(folders) == 1, "segments that no index names are deleted"


def test_an_index_serves_older_and_newer_snapshots(tmp_path: Path) -> None:
    old = place_table(tmp_path, n=100)
    new = old.upsert(place_rows(random_cells(50, seed=8)))
    for built_from in (old, new):
        shutil.rmtree(tmp_path / "index", ignore_errors=True)
        build_index(built_from)
        for table in (old, new):
            np.testing.assert_allclose(best(table, 500), expected(table, 500), atol=1e-3)


def test_an_empty_table_can_be_indexed(tmp_path: Path) -> None:
    table = EmbeddingTable.create(tmp_path, MODEL, h3_resolution=9)
    assert build_index(table).rows == 0
    table = table.upsert(place_rows(random_cells(5)))
    assert build_index(table).rows == 10


def test_a_disk_that_refuses_leaves_the_index_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = place_table(tmp_path, n=100)
    build_index(table)
    before = files_below(tmp_path)
    newer = table.upsert(place_rows(random_cells(50, seed=8)))

    def full(self: object, rows: np.ndarray) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(segment_files.ArrayWriter, "append", full)
    with pytest.raises(TableError, match="No space left"):
        build_index(newer)
    assert files_below(tmp_path) == before


def test_no_index_is_said_so(tmp_path: Path) -> None:
    table = place_table(tmp_path, n=10)
    assert index_info(table) is None
    assert "skyhex index" in describe_index(table)


def test_any_damaged_file_is_noticed_and_the_search_is_still_right(tmp_path: Path) -> None:
    table = place_table(tmp_path)
    build_index(table)
    rng = np.random.default_rng(0)
    for name in files_below(tmp_path):
        path = tmp_path / "index" / Path(name).relative_to("index")
        good = path.read_bytes()
        for damage in ("flip", "truncate", "remove"):
            _forget()
            content = bytearray(good)
            if damage == "flip":
                content[rng.integers(len(content))] ^= 0xFF
            path.write_bytes(content if damage == "flip" else content[:-3])
            if damage == "remove":
                path.unlink()
            region = Region.from_bbox(-180, -90, 180, 90)
            hits = search(table, Query((Vector(QUERY),), against="embedding"), 10, Filter(region=region))
            np.testing.assert_allclose(hits.rows["similarity"], expected(table), atol=1e-3)
            if _is_read(name):
                assert "skyhex index" in " ".join(hits.notes), (name, damage)
            path.write_bytes(good)
    _forget()
    assert not search(table, Query((Vector(QUERY),)), 10).plan.count("Parquet")


def test_a_damaged_index_is_mended_by_building_it_again(tmp_path: Path) -> None:
    table = place_table(tmp_path)
    build_index(table)
    for name in files_below(tmp_path):
        path = tmp_path / "index" / Path(name).relative_to("index")
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content)
        _forget()
        assert build_index(table).action == "built", name
        _forget()
        assert "index" not in " ".join(search(table, Query((Vector(QUERY),)), 10).notes)
    assert build_index(table).action == "nothing to do"


def _is_read(name: str) -> bool:
    """Whether a search of `embedding` in a region touches the file's content."""
    return "embedding_s1" not in name and "_us.bin" not in name


def _forget() -> None:
    """What this process knows of files on disk."""
    segment_files.open_segment.cache_clear()
    segment_files._open_inverted.cache_clear()


# An inverted file over many rows: low-dimensional clusters in spatial order.
ROWS, DIMENSION = 120_000, 32


@pytest.fixture(scope="module")
def clustered() -> np.ndarray:
    """(n, d) float16 unit vectors of intrinsic dimension 6, neighbours alike, with duplicates and a zero."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(300, 6))
    cluster = np.where(
        rng.random(ROWS) < 0.7, np.repeat(rng.integers(0, 300, ROWS // 60), 60), rng.integers(0, 300, ROWS)
    )
    flat = (centres[cluster] + 0.4 * rng.normal(size=(ROWS, 6))) @ rng.normal(size=(6, DIMENSION))
    flat += 0.02 * rng.normal(size=flat.shape)
    matrix = (flat / np.linalg.norm(flat, axis=1, keepdims=True)).astype(np.float16)
    matrix[1000:1020] = matrix[1000]
    matrix[7] = 0
    return matrix


@pytest.fixture(scope="module")
def inverted(clustered: np.ndarray) -> Ivf:
    return ivf.train(clustered)


def test_many_lists_are_found_by_a_graph(
    clustered: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ivf, "GRAPH_LISTS", 64)
    few = clustered[:6400]
    trained = ivf.train(few)
    path = tmp_path / "embedding.faiss"
    again = ivf.read(path, trained.write(path), *few.shape)
    assert isinstance(again._coarse, faiss.IndexHNSW)
    rows, query = RowRanges.all_of(len(few)), few[500].astype(np.float32)
    exact = nearest(few, rows, query, 10)[1]
    for found in (again.candidates(query[None], rows, 60, 32)[0], again.near(query, rows, 2000, 8)):
        assert np.isin(exact, found).mean() >= 0.9
    for probes in (1, 3, again.lists):
        lists = list(again._outwards(query, probes))
        assert len(lists[0]) == probes
        assert sorted(np.concatenate(lists).tolist()) == list(range(again.lists))
    everything = again.near(query, rows, len(few), 1)
    assert np.array_equal(np.sort(everything), rows.rows()), "those that the graph does not reach, too"


def test_centroids_are_fitted_on_gpus_where_there_are_some(
    clustered: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[faiss.Index] = []

    def to_gpus(index: faiss.Index) -> faiss.Index:
        moved.append(index)
        return index

    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    monkeypatch.setattr(faiss, "index_cpu_to_all_gpus", to_gpus)
    few = clustered[:6400]
    trained = ivf.train(few)
    assert [index.ntotal for index in moved] == [trained.lists], "the centroids of the last iteration"
    rows, query = RowRanges.all_of(len(few)), few[500].astype(np.float32)
    found = trained.candidates(query[None], rows, 60, trained.lists)[0]
    assert np.isin(nearest(few, rows, query, 10)[1], found).all()


def recall(clustered: np.ndarray, inverted: Ivf, plan: Plan, rows: RowRanges, k: int = 10) -> float:
    held = Vectors.of(clustered)
    shares = []
    for row in range(500, ROWS, 6007):
        query = clustered[row].astype(np.float32)
        found = planner.run(plan, held, inverted, rows, query, k)[1]
        exact = nearest(clustered, rows, query, k)[1]
        assert len(found) == len(exact) == min(k, rows.count)
        assert np.isin(found, rows.rows()).all()
        shares.append(np.isin(exact, found).mean())
    return float(np.mean(shares))


def some_rows(kind: str, share: float) -> RowRanges:
    if kind == "random":
        return RowRanges.of_rows(np.flatnonzero(np.random.default_rng(1).random(ROWS) < share))
    start = int(ROWS * (1 - share) / 2)
    return RowRanges.merged(np.array([start]), np.array([start + int(ROWS * share)]))


@pytest.mark.parametrize("kind", ["random", "region"])
@pytest.mark.parametrize("share", [0.01, 0.1, 1.0])
def test_the_inverted_file_finds_what_exact_search_finds(
    clustered: np.ndarray, inverted: Ivf, kind: str, share: float
) -> None:
    assert recall(clustered, inverted, Plan(512, candidates=600), some_rows(kind, share)) >= 0.99


@pytest.mark.parametrize("plan", [planner.EXACT, Plan(20, enough=300), Plan(16, candidates=60)], ids=str)
@pytest.mark.parametrize("share", [0.0001, 0.2, 1.0])
def test_many_queries_are_answered_as_one_by_one(
    clustered: np.ndarray, inverted: Ivf, plan: Plan, share: float
) -> None:
    held, rows = Vectors.of(clustered), some_rows("random", share)
    queries = clustered[500:ROWS:20011].astype(np.float32)
    together = planner.run_many(plan, held, inverted, rows, queries, 20)
    assert len(together) == len(queries)
    for query, (similarity, found) in zip(queries, together, strict=True):
        alone, rows_alone = planner.run(plan, held, inverted, rows, query, 20)
        np.testing.assert_allclose(similarity, alone, atol=1e-5)
        assert len(np.intersect1d(found, rows_alone)) >= len(found) - 2, "but for equal ones"


def test_fewer_candidates_than_asked_for_means_exact(clustered: np.ndarray, inverted: Ivf) -> None:
    assert recall(clustered, inverted, Plan(1, candidates=5), some_rows("random", 0.001), k=50) == 1.0


@pytest.mark.parametrize("rows", [some_rows("region", 0.05), some_rows("random", 0.05)], ids=["one", "many"])
def test_near_rows_are_those_of_the_nearest_lists_until_enough(
    clustered: np.ndarray, inverted: Ivf, rows: RowRanges
) -> None:
    query = clustered[ROWS // 2].astype(np.float32)
    everything = inverted.near(query, rows, ROWS, 1)
    assert np.array_equal(np.sort(everything), rows.rows()), "every list in the end, none twice"
    for enough in (1, 50, 1000):
        found = inverted.near(query, rows, enough, 2)
        assert enough <= len(found) <= len(everything)
        assert np.array_equal(found, everything[: len(found)]), "the same lists, from the nearest on"
    similarity = clustered.astype(np.float32) @ query
    near = inverted.near(query, rows, 200, 2)
    assert similarity[near].mean() > similarity[rows.rows()].mean() + 0.2


def test_an_inverted_file_is_read_back_and_checked(
    clustered: np.ndarray, inverted: Ivf, tmp_path: Path
) -> None:
    path = tmp_path / "embedding.faiss"
    digest = inverted.write(path)
    again = ivf.read(path, digest, ROWS, DIMENSION)
    queries, everything = clustered[500:503].astype(np.float32), RowRanges.all_of(ROWS)
    np.testing.assert_array_equal(
        again.candidates(queries, everything, 100, 16), inverted.candidates(queries, everything, 100, 16)
    )
    for rows, dimension in ((ROWS + 1, DIMENSION), (ROWS, DIMENSION + 1)):
        with pytest.raises(DamagedIndexError, match="is not an index of"):
            ivf.read(path, digest, rows, dimension)
    content = bytearray(path.read_bytes())
    content[60] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DamagedIndexError, match="digest"):
        ivf.read(path, digest, ROWS, DIMENSION)
    with pytest.raises(DamagedIndexError):
        ivf.read(tmp_path / "missing.faiss", digest, ROWS, DIMENSION)


def test_a_file_that_is_no_index_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "embedding.faiss"
    path.write_bytes(b"IxPT" + b"\xff" * 200)  # a transform of absurd size
    before = faiss.get_deserialization_vector_byte_limit()
    with pytest.raises(DamagedIndexError):
        ivf.read(path, ivf._sha256(path), ROWS, DIMENSION)
    assert faiss.get_deserialization_vector_byte_limit() == before, "others may read larger files"


def test_what_is_measured_is_true(clustered: np.ndarray, inverted: Ivf) -> None:
    measured = planner.measure(Vectors.of(clustered), inverted)
    assert [(p.selectivity, p.kind) for p in measured.points] == [
        (share, kind) for share in planner.SELECTIVITIES for kind in ("region", "random")
    ]
    assert min(point.recall for point in measured.points) >= planner.TARGET_RECALL
    assert measured.ever_helps
    for point in measured.points:
        assert recall(clustered, inverted, point.plan, some_rows(point.kind, point.selectivity)) >= 0.95
    assert Measured.from_json(measured.to_json()) == measured


def test_the_plan_is_that_of_the_nearest_smaller_share() -> None:
    tenth, all_rows = Plan(64, enough=200), Plan(16, candidates=200)
    points = [
        Point(kind, share, plan, 0.99, 1.0, exact_ms)
        for share, plan, exact_ms in ((0.01, planner.EXACT, 1.0), (0.1, tenth, 10), (1.0, all_rows, 100))
        for kind in planner.KINDS
    ]
    measured = Measured(tuple(points))
    n = 1_000_000
    assert choose(None, n // 2, n, 10) == planner.EXACT
    assert choose(measured, n // 200, n, 10) == planner.EXACT
    assert choose(measured, n // 20, n, 10) == planner.EXACT
    assert choose(measured, n // 2, n, 10) == tenth
    assert choose(measured, n // 10 - n // 1000, n, 10) == tenth, "a little smaller is as good"
    assert choose(measured, n, n, 10) == all_rows
    assert choose(measured, n, n, 90) == Plan(48, candidates=1800)
    assert choose(measured, n // 2, n, 90) == Plan(192, enough=600)
    assert choose(measured, n, n, 5000) == planner.EXACT
    assert choose(measured, 150, 150, 10) == planner.EXACT, "fewer rows than candidates"


def test_large_tables_get_an_inverted_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_files, "EXACT_ROWS", 50)
    refined = Plan(8, candidates=300)
    plan = [Point(kind, s, refined, 0.99, 1e-9, 1.0) for s in planner.SELECTIVITIES for kind in planner.KINDS]
    monkeypatch.setattr(segment_files, "measure", lambda vectors, inverted: Measured(tuple(plan)))
    table = place_table(tmp_path, n=300)
    info = build_index(table)
    assert info.recall.keys() == {"embedding", "embedding_s1"}
    shares = "0.0001, 0.001, 0.01, 0.1, 1"
    assert f"recall@10 0.990, 0.990, 0.990, 0.990, 0.990 at {shares} of the rows;" in str(info)
    hits = search(table, Query((Vector(QUERY),)), 10)
    assert "lists, refined" in hits.plan
    np.testing.assert_allclose(hits.rows["similarity"], expected(table), atol=1e-3)
    path = next((tmp_path / "index").rglob("embedding.faiss"))
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    _forget()
    again = search(table, Query((Vector(QUERY),)), 10)
    assert "Parquet" in again.plan
    np.testing.assert_allclose(again.rows["similarity"], expected(table), atol=1e-3)


def test_an_inverted_file_that_never_helps_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment_files, "EXACT_ROWS", 50)
    monkeypatch.setattr(segment_files, "measure", lambda vectors, inverted: Measured(()))
    table = place_table(tmp_path, n=300)
    build_index(table)
    assert faiss_index.index_info(table).recall == {}  # type: ignore[union-attr]
    assert not list((tmp_path / "index").rglob("*.faiss"))
    assert open_index(table)[0] is not None
