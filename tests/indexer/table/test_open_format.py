"""The table as others see it: pyarrow and DuckDB with none of our code, and GeoParquet's own rules."""

import json
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from indexer.table.embedding_table import EmbeddingTable

from ...tolerance import stored_length_error
from ..random_rows import MODEL, random_cells, random_rows

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "embedding_table.md"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingTable:
    """Two commits over several partitions; some rows replaced, so a glob would see them twice."""
    path = tmp_path_factory.mktemp("open") / "skyhex-data"
    table = EmbeddingTable.create(path, MODEL, h3_resolution=9, simulated=True)
    everywhere = random_cells(200, box=(-170, -60, 170, 70))
    table = table.upsert(random_rows(200, h3_cell=everywhere))
    return table.upsert(random_rows(50, seed=1, h3_cell=everywhere[:50]))


def test_pyarrow_alone_reads_the_newest_snapshot(table: EmbeddingTable) -> None:
    newest = max((table.path / "manifests").glob("*.json"))
    manifest = json.loads(newest.read_text())
    rows = pa.concat_tables([pq.ParquetFile(table.path / file["path"]).read() for file in manifest["files"]])
    assert rows.num_rows == manifest["row_count"] == 200
    cell = rows["h3_cell"].to_numpy()
    assert (cell[1:] > cell[:-1]).all()
    vectors = np.stack(rows["embedding"].to_numpy(zero_copy_only=False))
    length = np.linalg.norm(vectors.astype(np.float64), axis=1)
    np.testing.assert_allclose(length, 1, rtol=0, atol=stored_length_error(8))


def test_duckdb_alone_reads_it_as_the_specification_says(
    table: EmbeddingTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    (snippet,) = [block.split("```")[0] for block in DOCUMENT.read_text().split("```sql\n")[1:]]
    monkeypatch.chdir(table.path.parent)  # the snippet says 'skyhex-data'
    with duckdb.connect() as connection:
        for statement in connection.extract_statements(snippet):
            answer = connection.execute(statement).fetchall()
    assert answer == [(200, 200)]


def test_geo_metadata_is_that_of_geoparquet_1_1(table: EmbeddingTable) -> None:
    for file in table.files:
        parquet = pq.ParquetFile(table.path / file.path)
        geo = json.loads(parquet.schema_arrow.metadata[b"geo"])
        column = geo["columns"][geo["primary_column"]]
        assert geo["version"] == "1.1.0"
        assert (column["encoding"], column["geometry_types"]) == ("WKB", ["Polygon"])
        assert "crs" not in column  # OGC:CRS84 by default
        rows = parquet.read(["geometry", "bbox"])
        shapes = shapely.from_wkb(rows["geometry"].to_numpy())
        assert column["bbox"] == list(shapely.total_bounds(shapes))
        assert all(shape.exterior.is_ccw for shape in shapes) == (column["orientation"] == "counterclockwise")
        paths = column["covering"]["bbox"]
        bounds = np.stack(
            [rows[top].combine_chunks().field(leaf).to_numpy() for top, leaf in paths.values()], 1
        )
        np.testing.assert_array_equal(bounds, shapely.bounds(shapes))
        assert list(paths) == ["xmin", "ymin", "xmax", "ymax"]


def test_the_emb_footer_says_what_made_the_vectors(table: EmbeddingTable) -> None:
    emb = json.loads(pq.read_schema(table.path / table.files[0].path).metadata[b"emb"])
    assert (emb["type"], emb["dimensions"], emb["data_type"], emb["normalisation"]) == (
        "chip",
        8,
        "float16",
        "L2",
    )
    assert (emb["license"], emb["weights"], emb["simulated"]) == ("Apache-2.0", "untrained", True)
    assert emb["model"]["digest"] == MODEL.digest


def test_vectors_are_plain_and_uncompressed_and_every_page_has_a_checksum(table: EmbeddingTable) -> None:
    metadata = pq.ParquetFile(table.path / table.files[0].path).metadata
    columns = {
        metadata.row_group(0).column(i).path_in_schema: metadata.row_group(0).column(i)
        for i in range(metadata.num_columns)
    }
    vector = columns["embedding.list.element"]
    assert (vector.compression, vector.statistics) == ("UNCOMPRESSED", None)
    assert "RLE_DICTIONARY" not in vector.encodings
    assert columns["sample_id"].compression == "ZSTD"
    assert columns["h3_cell"].statistics.min == table.files[0].min_h3
    assert [s.column_index for s in metadata.row_group(0).sorting_columns] == [0, 1, 2, 3]
