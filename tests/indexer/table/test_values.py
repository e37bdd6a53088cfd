"""Tables of float32: made, kept, rewritten, exported and refused as such; all others stay as they were."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from indexer.errors import TableError
from indexer.index.faiss_index import build_index, open_index
from indexer.table import schema
from indexer.table.columns import to_matrix
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.export import export
from indexer.table.importers import import_file
from indexer.table.manifest import read_manifest
from search_app.cli.info import describe

from ..random_rows import MODEL, random_rows
from .test_extra_columns import version
from .test_terms import FREE, LAYOUT, YEAR, written

N = 60


def wide(seed: int = 0, n: int = N) -> pa.Table:
    return random_rows(
        n, seed, values="float32", embedding_s1=np.random.default_rng(seed).normal(size=(n, 8))
    )


@pytest.fixture
def table(tmp_path: Path) -> EmbeddingTable:
    table = EmbeddingTable.create(
        tmp_path / "t", MODEL, h3_resolution=9, partition_resolution=1, values="float32"
    )
    return table.upsert(wide()).upsert(wide(seed=1))


def held(table: EmbeddingTable, column: str = "embedding") -> np.ndarray:
    return to_matrix(pa.Table.from_batches(table.scan([column]))[column])


def test_what_was_made_is_what_is_kept(table: EmbeddingTable) -> None:
    made = {bytes(row) for seed in (0, 1) for row in to_matrix(wide(seed)["embedding"])}
    for one in (table, table.compact(), EmbeddingTable.open(table.path)):
        assert held(one).dtype == held(one, "embedding_s1").dtype == np.float32
        assert {bytes(row) for row in held(one)} == made
        assert one.validate() == []
    assert (version(table), table.values) == (3, "float32")
    assert "kept as float32" in describe(table)["model"]


def test_files_and_item_say_so(table: EmbeddingTable) -> None:
    footer = pq.read_metadata(table.path / table.files[0].path).metadata
    emb = json.loads(footer[b"emb"])
    assert (emb["data_type"], "quantization" in emb, footer[b"skyhex:schema_version"]) == (
        "float32",
        False,
        b"3",
    )
    said = json.loads((table.path / "item.json").read_text())["properties"]
    assert (said["data_type"], "emb:quantization" in said) == ("float32", False)
    assert said["emb:postprocessing"]["expression"].endswith("float32")


def test_the_index_maps_it_as_it_is(table: EmbeddingTable) -> None:
    build_index(table)
    index, notes = open_index(table)
    assert index is not None
    assert notes == ()
    (files,) = index.segments
    np.testing.assert_array_equal(files.segment.vectors["embedding"].matrix.whole(), held(table))


def test_exports_round_only_when_asked(table: EmbeddingTable, tmp_path: Path) -> None:
    export(table, tmp_path / "a.parquet", "geoparquet")
    out = pq.read_table(tmp_path / "a.parquet")
    np.testing.assert_array_equal(to_matrix(out["embedding"]), held(table))
    assert "quantization" not in json.loads(out.schema.metadata[b"emb"])
    export(table, tmp_path / "b.parquet", "geoparquet", "float16")
    out = pq.read_table(tmp_path / "b.parquet")
    np.testing.assert_array_equal(to_matrix(out["embedding"]), held(table).astype(np.float16))
    assert json.loads(out.schema.metadata[b"emb"])["quantization"]["quantized_dtype"] == "float16"


def test_rows_of_the_other_kind_are_refused(table: EmbeddingTable, tmp_path: Path) -> None:
    with pytest.raises(
        TableError, match=r"have float16 vectors, the table .* float32: make them with values="
    ):
        table.upsert(random_rows(5))
    plain = EmbeddingTable.create(tmp_path / "p", MODEL, h3_resolution=9, partition_resolution=1)
    with pytest.raises(TableError, match="have float32 vectors"):
        plain.upsert(wide())
    with pytest.raises(TableError, match="keeps float16 vectors, not float32: make another table"):
        EmbeddingTable.open_or_create(tmp_path / "p", MODEL, h3_resolution=9, values="float32")
    assert version(plain.upsert(random_rows(5))) == 1
    assert "values" not in json.loads((plain.path / "manifests/000002.json").read_text())


def test_a_program_that_knows_version_2_alone_refuses_it(
    table: EmbeddingTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.table.manifest.NEWEST_SCHEMA_VERSION", schema.EXTRA_SCHEMA_VERSION)
    with pytest.raises(TableError, match="has schema version 3, this program reads 1 to 2: update it"):
        read_manifest(table.storage)


def test_an_import_keeps_what_was_published_to_float32(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", FREE, range(4))
    table = import_file(path, LAYOUT, tmp_path / "t", period=YEAR, values="float32").table
    given = np.array(pq.read_table(path)["embedding"].to_pylist())
    unit = given / np.linalg.norm(given, axis=1, keepdims=True)
    rows = pa.Table.from_batches(table.scan(["sample_id", "embedding"])).sort_by("sample_id")
    np.testing.assert_allclose(to_matrix(rows["embedding"]), unit, rtol=3 * 2**-24, atol=1e-12)
    more = import_file(
        written(tmp_path / "b.parquet", FREE, range(4, 6)), LAYOUT, tmp_path / "t", period=YEAR
    ).table
    assert (more.values, more.row_count) == ("float32", 6)
    with pytest.raises(TableError, match="keeps float32 vectors, not float16"):
        import_file(path, LAYOUT, tmp_path / "t", period=YEAR, values="float16")
