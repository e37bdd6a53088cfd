"""A table's own alignment of its sensors."""

from pathlib import Path

import h3
import numpy as np
import pytest

from indexer.alignment.alignment import (
    Fitted,
    _folds,
    align,
    fit,
    fitted_of,
    folds_of,
    is_aligned,
    read_map,
    read_pairs,
    recall,
)
from indexer.alignment.cca import CCA
from indexer.geo import cells
from indexer.index.faiss_index import build_index
from indexer.search.query import Cell, Query, Vector
from indexer.search.search import search
from indexer.table.columns import to_matrix
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import make_rows

from ..random_rows import MODEL, columns_for, random_cells
from ..small_tables import whole

ROWS = 600
S1, S2 = "embedding_s1", "embedding_s2"


def sensors(n: int, seed: int = 0, noise: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """One landscape (n, 4) as two sensors show it in eight numbers each: (n, 8) twice."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(n, 4))
    views = (hidden @ rng.normal(size=(4, 8)) + noise * rng.normal(size=(n, 8)) for _ in range(2))
    s1, s2 = (view / np.linalg.norm(view, axis=1, keepdims=True) for view in views)
    return s1.astype(np.float32), s2.astype(np.float32)


def sensor_table(folder: Path, n: int = ROWS, **vectors: np.ndarray) -> EmbeddingTable:
    h3_cell = np.unique(random_cells(n))
    s1, s2 = sensors(len(h3_cell))
    columns = columns_for(h3_cell) | {"embedding_s1": s1, "embedding_s2": s2} | vectors
    table = EmbeddingTable.create(folder, MODEL, h3_resolution=9)
    return table.upsert(make_rows(**columns))


@pytest.fixture(scope="module")
def aligned(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingTable:
    return align(sensor_table(tmp_path_factory.mktemp("aligned") / "t"))[0]


def own_rank(table: EmbeddingTable, row: int, align: bool) -> int:
    """At which place a row's Sentinel-1 finds the row's own Sentinel-2."""
    cell = whole(table)["h3_cell"][row].as_py()
    hits = search(table, Query((Cell(cell),), using=S1, against=S2, align=align), ROWS, include_query=True)
    return int(hits.rows["h3_cell"].to_pylist().index(cell))


def test_one_sensor_finds_its_own_row_in_another(aligned: EmbeddingTable) -> None:
    found = {(one.using, one.against): one for one in fitted_of(aligned)}
    assert set(found) == {(S1, S2), (S2, S1)}
    for one in found.values():
        assert one.recall > 0.9 > 0.3 > one.recall_before, one  # 10 of 200 are found by chance: 0.05
        assert one.pairs == aligned.row_count
    with_it, without = (
        np.mean([own_rank(aligned, row, align) for row in range(20)]) for align in (True, False)
    )
    assert with_it < 10
    assert without > 100  # of 600


def test_the_plan_says_so_and_without_it_the_answer_is_the_old_one(aligned: EmbeddingTable) -> None:
    cell = whole(aligned)["h3_cell"][0].as_py()
    first = aligned.storage.root
    before = EmbeddingTable.open(first, 2)  # the snapshot without an alignment
    asked = Query((Cell(cell),), using=S1, against=S2)
    assert "aligned by S1 -> S2" in search(aligned, asked, 5).plan
    as_is = search(aligned, Query((Cell(cell),), using=S1, against=S2, align=False), 5)
    old = search(before, asked, 5)
    assert as_is.plan == old.plan
    assert "aligned" not in old.plan
    assert as_is.rows["similarity"].equals(old.rows["similarity"])
    assert "aligned" not in search(aligned, Query((Cell(cell),), using=S1, against=S1), 5).plan


def test_the_mapped_query_is_searched_alike_with_and_without_an_index(aligned: EmbeddingTable) -> None:
    query = Query((Vector(sensors(1, seed=3)[0][0]),), using=S1, against=S2)
    read = search(aligned, query, 10).rows["h3_cell"].to_pylist()
    build_index(aligned)
    assert search(aligned, query, 10).rows["h3_cell"].to_pylist() == read


def test_similarity_is_the_cosine_of_the_mapped_query(aligned: EmbeddingTable) -> None:
    vector, mapped = sensors(1, seed=4)[0][0], read_map(aligned, S1, S2)
    assert mapped is not None
    hit = search(aligned, Query((Vector(vector),), using=S1, against=S2), 1).rows
    row = to_matrix(aligned.lookup(cell=hit["h3_cell"][0].as_py())[S2])[0].astype(np.float64)
    wanted = mapped(vector[None] / np.linalg.norm(vector))[0]
    assert hit["similarity"][0].as_py() == pytest.approx(float(row @ wanted / np.linalg.norm(row)), abs=1e-6)


def test_sensors_that_share_nothing_are_not_aligned(tmp_path: Path) -> None:
    n = len(np.unique(random_cells(ROWS)))
    apart = np.random.default_rng(9).normal(size=(n, 8)).astype(np.float32)
    table = sensor_table(tmp_path / "t", embedding_s1=apart)
    after, fitted = align(table)
    assert all(one.recall < 0.15 for one in fitted)  # 10 of 200 by chance: 0.05
    kept = fitted_of(after)
    assert all(one.recall > one.recall_before for one in kept)


def test_too_few_rows_or_blocks_are_left_alone(tmp_path: Path) -> None:
    table = sensor_table(tmp_path / "few", n=200)
    assert read_pairs(table, S1, S2) is None
    assert align(table) == (table, ())
    assert folds_of(np.repeat(["a", "b", "c"], 200)) is None


def test_a_block_lies_in_one_fold() -> None:
    blocks = np.repeat([f"b{i}" for i in range(12)], 30)
    fold = folds_of(blocks)
    assert fold is not None
    assert all(len(set(fold[blocks == name])) == 1 for name in set(blocks))
    assert np.bincount(fold).tolist() == [120, 120, 120]


def test_rows_that_change_make_the_alignment_an_old_one(tmp_path: Path) -> None:
    table, _ = align(sensor_table(tmp_path / "t"))
    assert is_aligned(table)
    changed = table.upsert(make_rows(**columns_for(random_cells(1, seed=5))))
    assert not is_aligned(changed)
    assert fitted_of(changed) == fitted_of(table)  # still of use


def test_a_map_into_another_dimension(aligned: EmbeddingTable) -> None:
    pairs = read_pairs(aligned, S1, S2)
    assert pairs is not None
    forth, back = fit(type(pairs)(pairs.x, pairs.y[:, :6], pairs.fold), S1, S2)
    assert forth.matrix.shape == (8, 6)
    assert back.matrix.shape == (6, 8)
    assert forth.fitted.recall > 0.9
    assert forth.fitted.recall_before == 0


def test_directions_of_a_turned_and_shifted_view_agree_wholly() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 8))
    y = x @ np.linalg.qr(rng.normal(size=(8, 8)))[0] + 3
    a, b = CCA.fit(x, y, 1e-6, 3).project(x, y)
    assert [np.corrcoef(a[:, i], b[:, i])[0, 1] for i in range(3)] == pytest.approx([1, 1, 1], abs=1e-4)


def test_sensors_may_have_different_dimensions(tmp_path: Path) -> None:
    cells = np.unique(random_cells(ROWS))
    table, _ = align(sensor_table(tmp_path / "t", embedding_s1=sensors(len(cells))[0][:, :6]))
    there, back = read_map(table, S1, S2), read_map(table, S2, S1)
    assert there is not None
    assert back is not None
    assert (there.matrix.shape, there.mean.shape) == ((6, 8), (6,))
    assert (back.matrix.shape, back.mean.shape) == ((8, 6), (8,))
    assert all(one.recall > 0.9 > 0 == one.recall_before for one in fitted_of(table))
    asked = table.lookup(cell=int(cells[5]))
    hits = search(table, Query((Vector(to_matrix(asked[S1])[0]),), using=S1, against=S2), 10)
    assert int(cells[5]) in hits.rows["h3_cell"].to_pylist()


def test_recall_counts_the_rows_that_are_at_least_as_like() -> None:
    """Of twelve rows each query is like all before its own more: the first ten find it among ten."""
    angles = np.radians(np.arange(12) * 5)
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert recall(np.tile(rows[:1], (12, 1)), rows) == 10 / 12
    assert recall(rows, rows) == 1
    assert recall(np.tile(rows[:1], (12, 1)), np.tile(rows[:1], (12, 1))) == 0  # all alike: none is told


def test_few_blocks_have_no_folds_and_six_have() -> None:
    assert folds_of(np.array(list("abcde"))) is None
    fold = folds_of(np.array(list("abcdef")))
    assert fold is not None
    assert np.bincount(fold).tolist() == [2, 2, 2]
    assert not (np.sort(fold) == fold).all(), "neighbours may part"


def test_a_small_area_has_folds_of_finer_cells() -> None:
    centre = h3.latlng_to_cell(47, 10, 9)
    near = np.array([h3.str_to_int(cell) for cell in h3.grid_disk(centre, 12)], np.uint64)
    fold = _folds(near)
    assert fold is not None
    coarsest = next(r for r in range(5, 10) if len(set(cells.parents(near, r).tolist())) >= 6)
    blocks = cells.parents(near, coarsest)
    assert all(len(set(fold[blocks == block])) == 1 for block in set(blocks.tolist()))
    assert _folds(near[:5]) is None


def test_what_a_fit_says_of_itself() -> None:
    fitted = Fitted("embedding_s1", "embedding_s2", 1234, 0.5, 0.25, 1000, 0.1, 8)
    assert str(fitted) == "S1 -> S2: 1,234 pairs, recall@10 of 1,000 0.500, 0.250 without"
