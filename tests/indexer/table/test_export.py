"""Rows that leave: what other programs find in the three forms."""

import json
import sys
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pystac
import pytest
import shapely

from data.stac_files import _parquet_items
from indexer.errors import TableError
from indexer.geo import cells
from indexer.table import export as export_module
from indexer.table.columns import to_matrix
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.export import export
from indexer.table.manifest import Imagery
from tests.indexer.random_rows import MODEL, random_rows
from tests.indexer.small_tables import place_table

N = 50
IMAGERY = Imagery("product", "someone", "CC-BY-4.0", ("Contains data of the product.",))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingTable:
    made = EmbeddingTable.create(tmp_path_factory.mktemp("t") / "mine", MODEL, h3_resolution=9)
    return made.upsert(random_rows(N), imagery=[IMAGERY])


@pytest.fixture(scope="module")
def rows(table: EmbeddingTable):  # type: ignore[no-untyped-def]
    return table.lookup()


def test_geoparquet_holds_every_row_with_its_cell_as_text(table, rows, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(export_module, "ROW_GROUP_ROWS", 16)
    out = tmp_path / "a.parquet"
    told: list[tuple[int, int]] = []
    export(table, out, "geoparquet", progress=lambda *done: told.append(done))
    file = pq.ParquetFile(out)
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [16, 16, 16, 2]
    assert told == [(16, N), (32, N), (48, N), (50, N)]
    found = file.read()
    assert found["h3_cell"].to_pylist() == cells.cells_to_text(rows["h3_cell"].to_numpy())
    vectors = np.stack(found["embedding"].to_numpy())
    assert vectors.dtype == np.float32
    assert (vectors == to_matrix(rows["embedding"])).all()  # float32 holds each float16
    assert found["geometry"].equals(rows["geometry"])
    geo = json.loads(file.schema_arrow.metadata[b"geo"])["columns"]["geometry"]
    assert geo["geometry_types"] == ["Polygon"]
    assert geo["bbox"] == list(shapely.total_bounds(shapely.from_wkb(rows["geometry"].to_numpy())))
    assert json.loads(file.schema_arrow.metadata[b"emb"])["license"] == MODEL.licence
    assert json.loads(file.schema_arrow.metadata[b"imagery"])[0]["attribution"] == list(IMAGERY.attribution)
    assert list(tmp_path.iterdir()) == [out]


def test_bounds_are_those_of_all_parts(tmp_path: Path) -> None:
    table = place_table(tmp_path / "t")
    assert len(table.files) > 1
    export(table, tmp_path / "a.parquet", "geoparquet")
    file = pq.ParquetFile(tmp_path / "a.parquet")
    geo = json.loads(file.schema_arrow.metadata[b"geo"])["columns"]["geometry"]
    shapes = shapely.from_wkb(file.read(["geometry"])["geometry"].to_numpy())
    assert geo["bbox"] == list(shapely.total_bounds(shapes))


def test_duckdb_reads_it_and_joins_on_the_cell(table, rows, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "a.parquet"
    export(table, out, "geoparquet")
    cell = cells.cell_to_text(int(rows["h3_cell"][7].as_py()))
    found = duckdb.sql(f"SELECT sample_id, embedding[1] FROM '{out}' WHERE h3_cell = '{cell}'").fetchall()
    assert found == [(rows["sample_id"][7].as_py(), float(rows["embedding"][7].as_py()[0]))]


def test_float16_stays_float16(table, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    export(table, tmp_path / "a.parquet", "geoparquet", "float16")
    schema = pq.read_schema(tmp_path / "a.parquet")
    assert schema.field("embedding").type.value_type == "halffloat"
    assert json.loads(schema.metadata[b"emb"])["data_type"] == "float16"


def test_stac_geoparquet_holds_an_item_a_row(table, rows, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "items.parquet"
    export(table, out, "stac-geoparquet")
    items = list(_parquet_items(str(out), out.read_bytes()))
    assert len({item["id"] for item in items}) == N
    assert pq.read_table(out)["type"].to_pylist() == ["Feature"] * N
    first = pystac.Item.from_dict(items[0])
    cell = cells.cell_to_text(int(rows["h3_cell"][0].as_py()))
    assert first.id == f"{cell}_{rows['sample_id'][0].as_py()}_20240101T000000Z_20250101T000000Z"
    assert first.bbox == list(rows["bbox"][0].as_py().values())
    assert first.properties["h3_cell"] == cell
    assert first.properties["start_datetime"] == "2024-01-01T00:00:00Z"
    assert first.properties["license"] == "other"  # of two licences neither holds for the whole
    assert first.properties["embedding"] == rows["embedding"][0].as_py()
    assert first.assets["embedding"].href == "./items.parquet"
    about = json.loads(pq.read_schema(out).metadata[b"stac-geoparquet"])
    shared = about["collections"]["mine"]
    assert first.collection_id == shared["id"] == "mine"
    assert IMAGERY.attribution[0] in shared["description"]
    assert shared["skyhex:imagery"][0]["license"] == "CC-BY-4.0"
    pystac.Collection.from_dict(shared)


def test_a_failed_export_leaves_what_was_there(table, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "a.parquet"
    out.write_bytes(b"before")

    def breaks(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(export_module, "_plain", breaks)
    with pytest.raises(TableError, match="disk full"):
        export(table, out, "geoparquet")
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]
    assert out.read_bytes() == b"before"


def test_lance_without_its_package_says_what_to_install(table, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setitem(sys.modules, "lance", None)
    with pytest.raises(TableError, match="pip install pylance"):
        export(table, tmp_path / "a.lance", "lance")


def test_lance(table, rows, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    lance = pytest.importorskip("lance")
    export(table, tmp_path / "a.lance", "lance", "float16")
    found = lance.dataset(str(tmp_path / "a.lance"))
    assert found.count_rows() == N
    assert found.to_table()["sample_id"].to_pylist() == rows["sample_id"].to_pylist()
    assert b"imagery" in found.schema.metadata
    with pytest.raises(TableError, match="there already"):
        export(table, tmp_path / "a.lance", "lance")


def test_an_empty_table_is_nothing_to_export(tmp_path: Path) -> None:
    empty = EmbeddingTable.create(tmp_path / "t", MODEL, h3_resolution=9)
    with pytest.raises(TableError, match="no rows"):
        export(empty, tmp_path / "a.parquet", "geoparquet")


@pytest.mark.parametrize("sizes", [[], [3], [4], [5], [1, 2, 3, 4, 5], [20], [4, 4], [0, 9]])
def test_rows_come_in_groups_of_one_size_but_the_last(
    monkeypatch: pytest.MonkeyPatch, sizes: list[int]
) -> None:
    monkeypatch.setattr(export_module, "ROW_GROUP_ROWS", 4)
    ends = np.cumsum([0, *sizes])
    batches = [pa.record_batch({"n": pa.array(range(a, b), pa.int64())}) for a, b in pairwise(ends.tolist())]
    groups = [*export_module._grouped(batches)]
    total = int(ends[-1])
    assert [n for group in groups for n in group["n"].to_pylist()] == list(range(total))
    assert [len(group) for group in groups if len(group)] == [4] * (total // 4) + [total % 4] * (
        total % 4 > 0
    )


def test_an_items_id_is_its_key() -> None:
    moment = pa.timestamp("us", tz="UTC")
    rows = pa.table({
        "h3_cell": ["8a", "8b"],
        "sample_id": ["8a", "b"],
        "start_datetime": pa.array([0, 1_700_000_000_500_000], moment),
        "end_datetime": pa.array([86_400_000_000, 1_700_000_001_000_000], moment),
    })  # fmt: skip
    assert export_module._ids(rows).to_pylist() == [
        "8a_19700101T000000Z_19700102T000000Z",
        "8b_b_20231114T221320.500000Z_20231114T221321Z",
    ]
