"""Vectors without a direction, written past all checks, and duplicates: none is found or stops the work."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from indexer.index import segment_files
from indexer.index.faiss_index import build_index
from indexer.index.planner import Measured, Plan, Point
from indexer.index.recall import CASES
from indexer.prototypes.regional import cells_of_prototype, fit_prototypes, read_prototypes
from indexer.search.query import Query, Vector
from indexer.search.search import search
from indexer.sql.run import run_sql
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.parts import write_part

from ...tolerance import scaling_error, stored_cosine_error
from ..random_rows import MODEL, random_cells, random_rows
from ..small_tables import whole

N = 200
ODD = {3: 0.0, 50: np.nan, 51: np.inf, 120: -np.inf}  # row: what its vector is made of
SAME = slice(10, 30)  # these rows have one vector
POINTS = tuple(Point(kind, share, Plan(8, 120), 0.99, 1e-9, 1.0) for share, kind in CASES)


@pytest.fixture(params=["plain", "indexed"])
def table(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddingTable:
    monkeypatch.setattr(segment_files, "EXACT_ROWS", 50)
    monkeypatch.setattr(segment_files, "measure", lambda vectors, inverted: Measured(POINTS))
    table = EmbeddingTable.create(tmp_path, MODEL, h3_resolution=9, partition_resolution=0)
    rows = random_rows(N, h3_cell=random_cells(N, box=(5.0, 45.0, 5.3, 45.3)))
    vectors = np.stack(rows["embedding"].to_numpy(zero_copy_only=False))
    vectors[SAME] = vectors[SAME.start]
    for row, value in ODD.items():
        vectors[row] = value
    column = rows.schema.get_field_index("embedding")
    values = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), type=rows.schema.field(column).type)
    part = write_part(
        table.storage, rows.set_column(column, rows.schema.field(column), values), table.manifest
    )
    table = table.commit(lambda base: base.following("upsert", {}, files=(part,)))
    if request.param == "indexed":
        build_index(table)
    return table


def test_no_search_returns_a_vector_without_a_direction(table: EmbeddingTable) -> None:
    rows = whole(table)
    same = np.asarray(rows["embedding"][SAME.start].as_py(), np.float32)
    hits = search(table, Query((Vector(same),)), N)
    assert len(hits.rows) == N - len(ODD)
    assert np.isfinite(hits.rows["similarity"].to_numpy()).all()
    odd = {rows["sample_id"][row].as_py() for row in ODD}
    assert not odd & set(hits.rows["sample_id"].to_pylist())
    first = hits.rows.slice(0, 20)
    assert set(first["sample_id"].to_pylist()) == set(rows["sample_id"][SAME].to_pylist())
    np.testing.assert_allclose(first["similarity"].to_numpy(), 1, rtol=0, atol=stored_cosine_error(8))
    few = search(table, Query((Vector(same),)), 5)
    assert few.rows["sample_id"].to_pylist() == rows["sample_id"][SAME][:5].to_pylist(), "ties: table order"


def test_sql_ranks_none_of_them_first(table: EmbeddingTable) -> None:
    rows = whole(table)
    nearest = run_sql(table, f"FROM nearest({rows['h3_cell'][SAME.start].as_py()}, 30)")
    assert np.isfinite(nearest["similarity"].to_numpy()).all()
    assert len(nearest) == 30


def test_prototypes_are_of_the_others(table: EmbeddingTable) -> None:
    info = fit_prototypes(table, region_resolution=2, per_region=4)
    table = EmbeddingTable.open(table.path)
    found = read_prototypes(table)
    assert info.rows == N - len(ODD) == found.n_rows.sum()
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, rtol=scaling_error(8))
    like = [
        name
        for region, number in zip(found.region_cell.tolist(), found.prototype.tolist(), strict=True)
        for name in cells_of_prototype(table, region, number)["sample_id"].to_pylist()
    ]
    assert not {whole(table)["sample_id"][row].as_py() for row in ODD} & set(like)


def test_validate_says_what_is_wrong(table: EmbeddingTable) -> None:
    assert any("embedding: 3 vectors are not finite" in problem for problem in table.validate())
