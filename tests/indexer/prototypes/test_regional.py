"""Prototypes of a table: within their regions, enough rows each, the same again from the same seed."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from indexer.errors import QueryError, TableError
from indexer.geo import cells
from indexer.prototypes import assignments, region_rows
from indexer.prototypes.assignments import read_assignments
from indexer.prototypes.regional import cells_of_prototype, fit_prototypes, read_prototypes
from indexer.table import parts
from indexer.table.columns import to_matrix, unit
from indexer.table.embedding_table import EmbeddingTable

from ..random_rows import MODEL, random_cells, random_rows
from ..small_tables import keys, place_rows, place_table, whole

RESOLUTION = 3


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prototypes")
    table = place_table(path, n=400)
    fit_prototypes(table, region_resolution=RESOLUTION, per_region=6, seed=1)
    return path


@pytest.fixture
def table(path: Path) -> EmbeddingTable:
    return EmbeddingTable.open(path)


def test_each_region_has_its_own_and_at_least_ten_rows_each(table: EmbeddingTable) -> None:
    found = read_prototypes(table)
    rows = whole(table)
    sizes = dict(
        zip(
            *np.unique(cells.parents(rows["h3_cell"].to_numpy(), RESOLUTION), return_counts=True), strict=True
        )
    )
    assert found.region_resolution == RESOLUTION
    assert set(found.regions.tolist()) == {region for region, size in sizes.items() if size >= 10}
    assert any(size < 10 for size in sizes.values()), "the table has a region too small"
    assert found.n_rows.min() >= 10
    for region in found.regions.tolist():
        assert len(found.of_region(region)) <= min(6, sizes[region] // 10)
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, rtol=1e-5)


def test_a_row_is_assigned_to_the_nearest_of_its_own_region(table: EmbeddingTable) -> None:
    found, rows, given = read_prototypes(table), whole(table), read_assignments(table)
    vector_of = dict(zip(keys(rows), to_matrix(rows["embedding"]).astype(np.float32), strict=True))
    assert (np.diff(given["h3_cell"].to_numpy().astype(np.int64)) >= 0).all()
    assert len(given) == found.n_rows.sum()
    for key, row in zip(keys(given), given.to_pylist(), strict=True):
        assert row["region_cell"] == cells.parent(row["h3_cell"], RESOLUTION)
        cosines = found.of_region(row["region_cell"]) @ unit(vector_of[key])
        assert row["prototype"] == cosines.argmax()
        assert row["prototype_similarity"] == pytest.approx(cosines.max(), abs=1e-6)


def test_rows_of_small_regions_have_none(table: EmbeddingTable) -> None:
    found = read_prototypes(table)
    rows = whole(table)
    outside = ~np.isin(cells.parents(rows["h3_cell"].to_numpy(), RESOLUTION), found.regions)
    assert outside.any()
    assert not set(keys(rows.filter(pa.array(outside)))) & set(keys(read_assignments(table)))


def test_cells_of_a_prototype_come_most_alike_first(table: EmbeddingTable) -> None:
    found = read_prototypes(table)
    region = int(found.regions[0])
    rows = cells_of_prototype(table, region, 0)
    assert len(rows) == found.n_rows[found.region_cell == region][0]
    assert (np.diff(rows["prototype_similarity"].to_numpy()) <= 0).all()


def test_the_same_prototype_elsewhere(table: EmbeddingTable) -> None:
    found = read_prototypes(table)
    region = int(found.regions[0])
    like = found.like(region, 0, k=4)
    others = found.vectors[found.region_cell != region] @ found.of_region(region)[0]
    np.testing.assert_allclose(like["similarity"].to_numpy(), np.sort(others)[::-1][:4], rtol=1e-6)
    assert region not in like["region_cell"].to_pylist()
    with pytest.raises(QueryError, match="expected 0 to"):
        found.like(region, 99)
    with pytest.raises(QueryError, match="no prototypes"):
        found.of_region(0)


def test_fitting_takes_the_memory_of_a_sample_not_of_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (region_rows, assignments):
        monkeypatch.setattr(module, "SCAN_ROWS", 1_000)
    monkeypatch.setattr(region_rows, "SAMPLE_ROWS", 500)
    monkeypatch.setattr(parts, "ROW_GROUP_ROWS", 1_000)
    n, model = 20_000, replace(MODEL, dimension=128)
    vectors = np.random.default_rng(0).normal(size=(n, model.dimension)).astype(np.float32)
    table = EmbeddingTable.create(tmp_path, model, h3_resolution=9)
    table = table.upsert(random_rows(n, embedding=vectors, model=model))
    pool, usual = pa.proxy_memory_pool(pa.default_memory_pool()), pa.default_memory_pool()
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        info = fit_prototypes(table, region_resolution=1, per_region=10)
        peak = tracemalloc.get_traced_memory()[1] + pool.max_memory()
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(usual)
    assert (info.rows, info.regions) == (n, 1)
    assert peak < vectors.nbytes / 2


def test_the_seed_decides_whatever_other_regions_there_are(table: EmbeddingTable, tmp_path: Path) -> None:
    found = read_prototypes(table)
    region = int(found.regions[-1])
    rows = whole(table)
    mine = cells.parents(rows["h3_cell"].to_numpy(), RESOLUTION) == region
    alone = EmbeddingTable.create(tmp_path, MODEL, h3_resolution=9)
    alone = alone.upsert(
        rows.filter(pa.array(mine)).replace_schema_metadata(place_rows(random_cells(1)).schema.metadata)
    )
    fit_prototypes(alone, region_resolution=RESOLUTION, per_region=6, seed=1)
    again = read_prototypes(EmbeddingTable.open(tmp_path))
    np.testing.assert_allclose(again.vectors, found.of_region(region), rtol=1e-5, atol=1e-6)


def test_a_region_larger_than_the_sample_is_fitted_on_a_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(region_rows, "SAMPLE_ROWS", 50)
    info = fit_prototypes(place_table(tmp_path, n=200), region_resolution=1, per_region=3)
    found = read_prototypes(EmbeddingTable.open(tmp_path))
    assert (
        info.rows == found.n_rows.sum() == 2 * len(np.unique(whole(EmbeddingTable.open(tmp_path))["h3_cell"]))
    )
    assert info.prototypes == len(found.vectors) >= 2


def test_a_sample_is_drawn_evenly_from_the_whole_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(region_rows, "SAMPLE_ROWS", 300)
    sample = region_rows._Sample(region=1, seed=0)
    for piece in range(10):
        sample.add(np.full((200, 1), piece, np.float32))
    pieces, counts = np.unique(sample.vectors, return_counts=True)
    assert pieces.tolist() == list(range(10))
    assert counts.sum() == 300
    assert counts.min() > 15, "30 of each are expected"


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    table = place_table(tmp_path, n=10)
    with pytest.raises(TableError, match="prototypes fit"):
        read_prototypes(table)
    with pytest.raises(QueryError, match="0 to 9"):
        fit_prototypes(table, region_resolution=10)
    with pytest.raises(QueryError, match="1 or more"):
        fit_prototypes(table, per_region=0)


def test_an_empty_table_has_no_prototypes(tmp_path: Path) -> None:
    info = fit_prototypes(EmbeddingTable.create(tmp_path, MODEL, h3_resolution=9))
    assert (info.regions, info.rows) == (0, 0)
    assert len(read_prototypes(EmbeddingTable.open(tmp_path)).vectors) == 0


def test_progress_counts_the_rows_of_the_table(tmp_path: Path) -> None:
    table, told = place_table(tmp_path, n=60), []
    fit_prototypes(table, region_resolution=1, per_region=2, progress=lambda *state: told.append(state))
    assert told[-1] == (table.row_count, table.row_count)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_sample_holds_twice_its_rows_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(region_rows, "SAMPLE_ROWS", 10)
    sample = region_rows._Sample(7, seed=0)
    for first in range(0, 300, 3):
        sample.add(np.arange(first, first + 3, dtype=np.float32)[:, None])
        assert sum(map(len, sample._vectors)) <= 20
    kept = sample.vectors[:, 0]
    assert len(set(kept.tolist())) == 10
    assert (np.diff(kept) > 0).all()
    assert kept.min() < 150 < kept.max()
