"""What a query resolves to."""

from datetime import datetime
from pathlib import Path

import h3
import numpy as np
import pytest

from indexer.errors import QueryError
from indexer.geo import cells
from indexer.index.faiss_index import build_index, open_index
from indexer.search.filter import Filter
from indexer.search.locate import rows_of_cell
from indexer.search.query import Cell, LonLat, Query, Vector, resolve
from indexer.table.columns import to_matrix
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import make_rows

from ...tolerance import cosine_error
from ..random_rows import MODEL, columns_for, random_cells, squares
from ..small_tables import keys, place_rows, place_table, whole

ANY = Filter()


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingTable:
    return place_table(tmp_path_factory.mktemp("query"))


def vector_of(table: EmbeddingTable, row: int, column: str = "embedding") -> np.ndarray:
    vector = to_matrix(whole(table)[column])[row].astype(np.float32)
    return np.asarray(vector / np.linalg.norm(vector))


def test_a_cell_is_its_latest_period_unless_the_dates_choose(table: EmbeddingTable) -> None:
    rows = whole(table)
    cell = rows["h3_cell"][0].as_py()  # rows 0 and 1: 2023 and 2024
    latest = resolve(table, Query((Cell(cell),)), ANY)
    np.testing.assert_allclose(latest.vectors, [vector_of(table, 1)], rtol=0, atol=cosine_error(8))
    assert latest.own_rows == {keys(rows)[1]}
    assert "2024-01-01 to 2025-01-01" in latest.notes[0]
    dated = resolve(table, Query((Cell(cell),)), Filter(end=datetime(2023, 6, 1)))
    np.testing.assert_allclose(dated.vectors, [vector_of(table, 0)], rtol=0, atol=cosine_error(8))
    assert dated.notes == ()


def test_the_latest_period_is_the_one_that_ends_last(tmp_path: Path) -> None:
    cell = random_cells(1)
    long_, late = ((datetime(2020, 1, 1), datetime(2024, 1, 1)), (datetime(2022, 1, 1), datetime(2023, 1, 1)))
    table = EmbeddingTable.create(tmp_path / "t", MODEL, h3_resolution=9)
    for seed, (start, end) in enumerate((long_, late)):
        table = table.upsert(make_rows(**columns_for(cell, seed) | {"start": [start], "end": [end]}))
    found = resolve(table, Query((Cell(int(cell[0])),)), ANY)
    np.testing.assert_allclose(found.vectors, [vector_of(table, 0)], rtol=0, atol=cosine_error(8))
    assert "2020-01-01 to 2024-01-01" in found.notes[0]


def test_several_samples_of_a_cell_are_averaged(tmp_path: Path) -> None:
    table = place_table(tmp_path, n=3, years=(2024,))
    rows = place_rows(whole(table)["h3_cell"].to_numpy(), years=(2024,), seed=4)
    column = rows.schema.get_field_index("sample_id")
    table = table.upsert(
        rows.set_column(column, rows.schema.field(column), [[f"b{i}" for i in range(len(rows))]])
    )
    found = resolve(table, Query((Cell(whole(table)["h3_cell"][0].as_py()),)), ANY)
    mean = to_matrix(whole(table)["embedding"])[:2].astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(found.vectors, [mean / np.linalg.norm(mean)], rtol=0, atol=cosine_error(8))
    assert len(found.own_rows) == 2
    assert "2 samples" in found.notes[0]


def test_samples_without_the_sensor_are_no_part_of_a_cells_mean(tmp_path: Path) -> None:
    cell = random_cells(1)
    with_s1 = columns_for(np.repeat(cell, 3)) | {"n_s1": [2, 0, 2]}
    s1 = np.where([[True], [False], [True]], with_s1["embedding"] + 1, np.nan)
    table = EmbeddingTable.create(tmp_path / "t", MODEL, h3_resolution=9)
    table = table.upsert(make_rows(**with_s1 | {"embedding_s1": s1}))
    resolved = resolve(table, Query((Cell(int(cell[0])),), using="embedding_s1", against="embedding_s1"), ANY)
    mean = to_matrix(whole(table)["embedding_s1"])[[0, 2]].astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(resolved.vectors, [mean / np.linalg.norm(mean)], rtol=0, atol=cosine_error(8))
    assert {key[1] for key in resolved.own_rows} == {"s0", "s2"}


def test_an_unknown_cell_names_the_nearest(table: EmbeddingTable) -> None:
    known = whole(table)["h3_cell"][0].as_py()
    beside = next(c for c in h3.grid_disk(h3.int_to_str(known), 1) if h3.str_to_int(c) != known)
    with pytest.raises(QueryError, match=f"no cell {beside}: the nearest is {known:x}"):
        resolve(table, Query((Cell.parse(beside),)), ANY)


def test_finer_cells_stand_for_their_parent_and_coarser_ones_are_refused(table: EmbeddingTable) -> None:
    cell = whole(table)["h3_cell"][0].as_py()
    finer = h3.str_to_int(h3.cell_to_center_child(h3.int_to_str(cell), 11))
    found = resolve(table, Query((Cell(finer),)), ANY)
    np.testing.assert_array_equal(found.vectors, resolve(table, Query((Cell(cell),)), ANY).vectors)
    assert "finer" in found.notes[0]
    with pytest.raises(QueryError, match="coarser than the table's 9"):
        resolve(table, Query((Cell(cells.parent(cell, 7)),)), ANY)


def test_a_place_is_its_cell_or_the_nearest_row_close_by(table: EmbeddingTable) -> None:
    cell = whole(table)["h3_cell"][0].as_py()
    lon, lat = (float(v[0]) for v in cells.centres([cell]))
    there = resolve(table, Query((Cell(cell),)), ANY).vectors
    np.testing.assert_array_equal(resolve(table, Query((LonLat(lon, lat),)), ANY).vectors, there)
    near = resolve(table, Query((LonLat(lon, lat + 0.006),)), ANY)  # 670 m: another cell
    np.testing.assert_array_equal(near.vectors, there)
    assert "66" in near.notes[0] or "67" in near.notes[0]
    with pytest.raises(QueryError, match=r"no row within 1 km .*the nearest is"):
        resolve(table, Query((LonLat(lon, lat - 4),)), ANY)
    with pytest.raises(QueryError, match="no place"):
        resolve(table, Query((LonLat(200, 95),)), ANY)


def test_a_place_is_the_row_whose_footprint_holds_it_with_the_nearest_middle(tmp_path: Path) -> None:
    """Two wide footprints overlap; a place in neither is near no row."""
    west, east = (cells.cell_at(lon, 46.0, 9) for lon in (6.0, 6.05))
    here = np.array([west, east], np.uint64)
    table = EmbeddingTable.create(tmp_path, MODEL, h3_resolution=9)
    wide = make_rows(**columns_for(here) | {"footprint": squares(here, 0.04)})
    far = np.array([cells.cell_at(-60.0, -20.0, 9)], np.uint64)  # in a part of its own
    table = table.upsert(wide).upsert(make_rows(**columns_for(far, seed=1) | {"sample_id": ["far"]}))
    for lon, name, holder in ((6.02, "s0", west), (6.03, "s1", east), (5.97, "s0", west), (6.08, "s1", east)):
        found = resolve(table, Query((LonLat(lon, 46.0),)), ANY)
        assert [key[:2] for key in found.own_rows] == [(holder, name)]
        assert found.notes == (f"{name} of cell {holder:x} holds the place",)
    with pytest.raises(QueryError, match="no row within 1 km"):
        resolve(table, Query((LonLat(6.2, 46.0),)), ANY)
    own = make_rows(**columns_for(here[1:], seed=2) | {"sample_id": [cells.cell_to_text(east)]})
    lon, lat = (float(side[0]) for side in cells.centres([east]))
    found = resolve(table.upsert(own), Query((LonLat(lon, lat),)), ANY)
    assert {key[0] for key in found.own_rows} == {east}, "a cell's own rows, without a look at footprints"
    assert found.notes == (f"cell {east:x} has 2 samples: their mean is compared",)


def test_vectors_are_scaled_and_checked(table: EmbeddingTable) -> None:
    values = np.arange(1, MODEL.dimension + 1)
    found = resolve(table, Query((Vector(values),)), ANY).vectors
    np.testing.assert_allclose(found, [values / np.linalg.norm(values)], rtol=0, atol=cosine_error(8))
    with pytest.raises(QueryError, match="3 dimensions"):
        resolve(table, Query((Vector(np.ones(3)),)), ANY)
    for bad in (
        np.zeros(MODEL.dimension),
        np.full(MODEL.dimension, np.nan),
        np.full(MODEL.dimension, np.inf),
    ):
        with pytest.raises(QueryError, match="no direction"):
            resolve(table, Query((Vector(bad),)), ANY)


def test_examples_that_cancel_out_are_refused(table: EmbeddingTable) -> None:
    one = np.ones(MODEL.dimension)
    with pytest.raises(QueryError, match="cancel"):
        resolve(table, Query((Vector(one), Vector(-one))), ANY)
    with pytest.raises(QueryError, match="cancel"):
        resolve(table, Query((Vector(one),), (Vector(one),), negative_weight=1.0), ANY)


def test_a_query_turned_over_and_negatives_alone(table: EmbeddingTable) -> None:
    a, b = Vector(np.eye(MODEL.dimension)[0]), Vector(np.eye(MODEL.dimension)[1])
    mean = resolve(table, Query((a, b)), ANY)
    for opposite in (Query((a, b), invert=True), Query((), (a, b)), Query((), (a, b), negative_weight=0)):
        np.testing.assert_array_equal(resolve(table, opposite, ANY).vectors, -mean.vectors)
    np.testing.assert_array_equal(resolve(table, Query((), (a, b), invert=True), ANY).vectors, mean.vectors)
    twice = resolve(table, Query((a, a, b)), ANY).vectors[0]
    np.testing.assert_allclose(twice[:2], np.array([2, 1]) / np.sqrt(5), rtol=0, atol=cosine_error(8))
    ways = [
        resolve(table, Query((a, b), match=match, invert=invert), ANY).all_of
        for match in ("any", "all")
        for invert in (False, True)
    ]
    assert ways == [False, True, True, False]
    assert not resolve(table, Query((a,), match="all"), ANY).all_of
    with pytest.raises(QueryError, match="expected mean, any, all"):
        Query((a,), match="each")  # type: ignore[arg-type]
    with pytest.raises(QueryError, match="True or False"):
        Query((a,), invert="yes")  # type: ignore[arg-type]


def test_columns_must_be_there_and_so_must_the_vector(table: EmbeddingTable) -> None:
    rows = whole(table)
    with pytest.raises(QueryError, match="embedding_hr"):
        resolve(table, Query((Cell(rows["h3_cell"][0].as_py()),), against="embedding_hr"), ANY)
    with pytest.raises(QueryError, match="no example"):
        resolve(table, Query(()), ANY)
    counts = dict(zip(rows["h3_cell"].to_pylist(), rows["n_s1"].to_pylist(), strict=True))
    for cell, n_s1 in zip(rows["h3_cell"].to_pylist(), rows["n_s1"].to_pylist(), strict=True):
        counts[cell] = max(counts[cell], n_s1)
    without = next(cell for cell, n in counts.items() if n == 0)
    with pytest.raises(QueryError, match="no embedding_s1"):
        resolve(table, Query((Cell(without),), using="embedding_s1"), ANY)


def test_an_index_gives_the_same_rows_as_parquet(tmp_path: Path) -> None:
    table = place_table(tmp_path)
    build_index(table)
    index, rows = open_index(table)[0], whole(table)
    for cell in rows["h3_cell"].to_pylist()[::9]:
        for column in ("embedding", "embedding_s1"):
            keys, matrix = rows_of_cell(table, index, cell, column)
            keys_read, matrix_read = rows_of_cell(table, None, cell, column)
            assert keys.equals(keys_read)
            np.testing.assert_array_equal(matrix, matrix_read)
    moved = table.upsert(place_rows(rows["h3_cell"].to_numpy()[:1], years=(2024,), seed=5))
    replaced = rows["h3_cell"][0].as_py()
    old, new = (rows_of_cell(t, open_index(t)[0], replaced, "embedding")[1] for t in (table, moved))
    assert not np.array_equal(old, new), "a replaced row is read from its new part"
    assert len(rows_of_cell(table, index, cells.cell_at(0, 0, 9), "embedding")[0]) == 0
