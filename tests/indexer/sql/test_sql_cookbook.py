"""Every query of docs/sql.md, run on a table that holds the cells it names."""

import io
import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from indexer.geo import cells
from indexer.geo.great_circle import distance_km
from indexer.sql.run import run_sql
from indexer.table.columns import to_matrix
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import KEY, make_rows

from ...tolerance import cosine_error
from ..random_rows import MODEL, columns_for, random_cells

DOCUMENT = (Path(__file__).resolve().parents[3] / "docs" / "sql.md").read_text()
QUESTIONS = re.findall(r"^## (\d+\. .*?)\n(?:.*?)```sql\n(.*?)```", DOCUMENT, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingTable:
    """300 cells in two years, the document's own among them, and prototypes in one region."""
    named = {cells.parse_cell(text) for text in re.findall(r"'(8\w{14})'", DOCUMENT)}
    rows = [cell for cell in named if cells.resolution_of(cell) == 9]
    h3_cell = np.unique(np.r_[np.array(rows, np.uint64), random_cells(300, box=(2.5, 49.6, 3.0, 50.0))])
    table = EmbeddingTable.create(
        tmp_path_factory.mktemp("cookbook"), MODEL, h3_resolution=9, partition_resolution=3
    )
    for year in (2023, 2024):
        columns = columns_for(h3_cell, seed=year)
        n = len(h3_cell)
        columns |= {
            "start": [datetime(year, 1, 1, tzinfo=UTC)] * n,
            "end": [datetime(year + 1, 1, 1, tzinfo=UTC)] * n,
        }
        without_s1, without_s2 = np.arange(n) % 3 == 0, (np.arange(n) >= 5) & (np.arange(n) < 9)
        one_modality = {
            "embedding_s1": np.where(without_s1[:, None], np.nan, columns["embedding"][::-1]),
            "embedding_s2": np.where(without_s2[:, None], np.nan, columns["embedding"]),
        }
        table = table.upsert(make_rows(**columns | one_modality))
    return with_prototypes(table)


def with_prototypes(table: EmbeddingTable) -> EmbeddingTable:
    """Two prototypes for the first region."""
    rows = pa.Table.from_batches(table.scan(KEY), pa.schema([table.schema.field(name) for name in KEY]))
    region = cells.parents(rows["h3_cell"].to_numpy(), 4)
    rows = rows.append_column("region_cell", pa.array(region)).filter(pa.array(region == region[0]))
    n = len(rows)
    rows = rows.append_column("prototype", pa.array(np.arange(n) % 2, pa.int32()))
    rows = rows.append_column("prototype_similarity", pa.array(np.linspace(0, 1, n), pa.float32()))
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(16, np.float32)), 8)
    prototypes = pa.table(
        {
            "region_cell": pa.array([region[0]] * 2, pa.uint64()),
            "prototype": pa.array([0, 1], pa.int32()),
            "vector": vectors,
            "n_rows": pa.array([n - n // 2, n // 2], pa.int64()),
        }
    )
    files = {"assignments.parquet": parquet(rows), "prototypes.parquet": parquet(prototypes)}
    return table.commit_sidecar("prototypes", files, {})


def parquet(rows: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(rows, sink)
    return sink.getvalue()


def test_the_cookbook_answers_at_least_ten_questions() -> None:
    assert len(QUESTIONS) >= 10
    assert [int(title.split(".")[0]) for title, _ in QUESTIONS] == list(range(1, len(QUESTIONS) + 1))


@pytest.mark.parametrize(("title", "query"), QUESTIONS, ids=[title for title, _ in QUESTIONS])
def test_a_query_of_the_cookbook_has_an_answer(table: EmbeddingTable, title: str, query: str) -> None:
    answer = run_sql(table, query)
    assert answer.num_rows > 0
    assert not any(column.null_count for column in answer.columns)


def answer_to(table: EmbeddingTable, number: int) -> list[dict[str, object]]:
    return list(run_sql(table, QUESTIONS[number - 1][1]).to_pylist())


def test_some_answers_against_numpy(table: EmbeddingTable) -> None:
    rows = pa.Table.from_batches(table.scan(), table.schema)
    vectors = np.stack(rows["embedding"].to_numpy(zero_copy_only=False)).astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cell, year = rows["h3_cell"].to_numpy(), np.array([t.year for t in rows["start_datetime"].to_pylist()])
    query = vectors[(cell == cells.parse_cell("89194921593ffff")) & (year == 2024)][0]
    others = cell != cells.parse_cell("89194921593ffff")
    expected = np.sort(vectors[others] @ query)[::-1][:10]
    np.testing.assert_allclose(
        [row["similarity"] for row in answer_to(table, 2)],
        expected,
        rtol=0,
        atol=cosine_error(vectors.shape[1]),
    )

    change = 1 - np.einsum("nd,nd->n", vectors[year == 2023], vectors[year == 2024])
    np.testing.assert_allclose(
        [row["change"] for row in answer_to(table, 7)],
        np.sort(change)[::-1][:10],
        rtol=0,
        atol=cosine_error(vectors.shape[1]),
    )

    s1, s2 = (to_matrix(rows[f"embedding_{name}"]).astype(np.float64) for name in ("s1", "s2"))
    agreement = (s1 * s2).sum(axis=1) / np.linalg.norm(s1, axis=1) / np.linalg.norm(s2, axis=1)
    assert np.isnan(agreement).sum() > 200, "rows without a sensor"
    least = np.sort(agreement)[:10]  # NaN comes last
    np.testing.assert_allclose([row["agreement"] for row in answer_to(table, 11)], least, atol=1e-6)

    (content,) = answer_to(table, 1)
    assert (content["rows"], content["cells"]) == (len(cell), len(np.unique(cell)))
    assert sum(row["rows"] for row in answer_to(table, 5)) == len(cell)  # type: ignore[misc]

    lon, lat = cells.centres(np.unique(cell))
    x, y = cells.centres([cells.parse_cell("89194921593ffff")])
    near = np.sort(np.repeat(distance_km(lon, lat, x, y), 2))
    found = [row["km"] for row in answer_to(table, 12)]
    np.testing.assert_allclose(found, near[near < 2], atol=1e-6)
