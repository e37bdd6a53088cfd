"""The STAC item beside a table: what it says is true, pystac reads it, and it is never a stale lie."""

import json
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pystac
import pytest
import shapely
from pystac.extensions.table import TableExtension
from pystac.validation.stac_validator import JsonSchemaSTACValidator

from indexer.errors import TableError
from indexer.table import storage
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.manifest import Imagery, manifest_path
from indexer.table.stac_item import ITEM, write_item
from indexer.table.terms import shared

from ..random_rows import MODEL, random_cells, random_rows, squares
from ..small_tables import whole

# The names that the embedding extension 0.0.1 allows in an item's properties (its json-schema/schema.json).
ITEM_FIELDS = {
    f"emb:{name}"
    for name in ("runtime_parameters", "preprocessing", "postprocessing", "fit_for_use", "spatial_coverage",
                 "uncertainty", "quantization", "energy")
}  # fmt: skip


@pytest.fixture
def table(tmp_path: Path) -> EmbeddingTable:
    table = EmbeddingTable.create(tmp_path / "alps", MODEL, h3_resolution=9, simulated=True)
    assert not (table.path / ITEM).exists(), "an empty table is nowhere"
    table = table.upsert(random_rows(40, h3_cell=random_cells(40), embedding_s2=np.ones((40, 8))))
    return table.upsert(random_rows(9, 1, h3_cell=random_cells(9, 1, box=(20, 10, 21, 11))))


def item_of(table: EmbeddingTable) -> dict[str, object]:
    document: dict[str, object] = json.loads((table.path / ITEM).read_text())
    return document


def test_it_is_stac(table: EmbeddingTable) -> None:
    document = item_of(table)
    assert document["stac_version"] == "1.0.0"
    core = document | {"stac_version": "1.1.0"}  # whose schemas pystac brings along: no network
    check = JsonSchemaSTACValidator().validate_core
    check(core, pystac.STACObjectType.ITEM, "1.1.0")
    with pytest.raises(pystac.STACValidationError):
        check(core | {"bbox": ["west"]}, pystac.STACObjectType.ITEM, "1.1.0")


def test_its_emb_fields_are_those_of_the_extension(table: EmbeddingTable) -> None:
    document = item_of(table)
    properties = document["properties"]
    assert isinstance(properties, dict)
    assert {name for name in properties if name.startswith("emb:")} <= ITEM_FIELDS
    assert "embeddings" in document["assets"]  # type: ignore[operator]
    assert set(properties["emb:postprocessing"]) == {"format", "expression"}
    assert set(properties["emb:quantization"]) == {"method", "original_dtype", "quantized_dtype"}
    said = properties["emb:runtime_parameters"]
    assert (said["type"], said["dimensions"], said["normalisation"]) == ("chip", 8, "L2")
    assert (said["model"]["name"], said["model"]["digest"]) == (MODEL.name, MODEL.digest)
    assert (said["weights"], said["simulated"], said["h3_resolution"]) == ("untrained", True, 9)
    assert (properties["license"], properties["data_type"]) == ("Apache-2.0", "float16")


def test_pystac_reads_it_and_every_href_leads_to_the_file(table: EmbeddingTable) -> None:
    item = pystac.Item.from_file(str(table.path / ITEM))
    rows = whole(table)
    assert item.id == "alps"
    assert item.bbox == list(shapely.total_bounds(shapely.from_wkb(rows["geometry"].to_numpy())))
    assert shapely.geometry.shape(item.geometry).bounds == tuple(item.bbox)
    assert item.common_metadata.start_datetime == min(rows["start_datetime"].to_pylist())
    assert item.common_metadata.end_datetime == max(rows["end_datetime"].to_pylist())
    columns = TableExtension.ext(item)
    assert (columns.row_count, columns.primary_geometry) == (49, "geometry")
    assert [column.name for column in columns.columns] == table.schema.names  # type: ignore[union-attr]
    assert columns.columns[6].col_type == "fixed_size_list<halffloat not null>[8]"  # type: ignore[index]
    assert item.assets["embeddings"].get_absolute_href() == str(table.path / manifest_path(3))
    parts = {key: asset for key, asset in item.assets.items() if "data" in (asset.roles or ())}
    assert list(parts) == [file.path for file in table.files]
    for file, asset in zip(table.files, parts.values(), strict=True):
        href = asset.get_absolute_href()
        assert href is not None
        assert Path(href).stat().st_size == file.bytes == asset.extra_fields["file:size"]
        assert asset.extra_fields["file:checksum"] == "1220" + file.sha256
    shutil.move(table.path, table.path.with_name("elsewhere"))
    moved = pystac.Item.from_file(str(table.path.with_name("elsewhere") / ITEM))
    assert all(Path(str(asset.get_absolute_href())).exists() for asset in moved.assets.values())


def test_it_follows_every_commit(table: EmbeddingTable) -> None:
    def version() -> object:
        return item_of(table)["properties"]["version"]  # type: ignore[index]

    assert version() == "3"
    table = table.commit_sidecar("prototypes", {"assignments.parquet": b"abc"}, {})
    assert version() == "4"
    assert table.manifest.sidecars["prototypes"].files[0].path in item_of(table)["assets"]  # type: ignore[operator]
    table = table.compact()
    assert version() == "5"
    table.compact()
    assert version() == "5", "nothing was committed"


def test_of_several_writers_the_newest_snapshot_has_the_last_word(table: EmbeddingTable) -> None:
    """A writer that was slow between its commit and its item."""
    newer = table.upsert(random_rows(5, seed=7))
    write_item(table.storage, table.manifest)
    assert item_of(newer)["properties"]["version"] == str(newer.snapshot)  # type: ignore[index]


def test_vacuum_leaves_no_item_of_a_snapshot_that_is_gone(table: EmbeddingTable) -> None:
    old = (table.path / ITEM).read_bytes()
    newer = table.upsert(random_rows(40, seed=3, h3_cell=random_cells(40)))
    (table.path / ITEM).write_bytes(old)  # as if the writer had died
    newer.vacuum(grace=timedelta(0))
    item = pystac.Item.from_file(str(table.path / ITEM))
    assert item.properties["version"] == str(newer.snapshot)
    assert all(Path(str(asset.get_absolute_href())).exists() for asset in item.assets.values())


def test_a_disk_that_refuses_the_item_leaves_the_commit(
    table: EmbeddingTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = storage.Storage.put

    def full(self: storage.Storage, path: str, content: bytes, flush: bool = True) -> None:
        if path == ITEM:
            raise TableError("no space left")
        put(self, path, content, flush)

    monkeypatch.setattr(storage.Storage, "put", full)
    assert table.upsert(random_rows(5, seed=7)).snapshot == 4
    assert item_of(table)["properties"]["version"] == "3"  # type: ignore[index]


def test_the_extent_holds_the_antimeridian_and_is_found_where_a_manifest_lacks_it(tmp_path: Path) -> None:
    table = EmbeddingTable.create(tmp_path, MODEL, h3_resolution=9).upsert(random_rows(20))
    first = table.manifest.extent
    table = table.commit(lambda base: replace(base, snapshot=base.snapshot + 1, extent=None))
    h3_cell = random_cells(1, box=(179.999, 0, 179.9999, 0.001))
    table = table.upsert(random_rows(1, h3_cell=h3_cell, footprint=squares(h3_cell, 0.01)))
    boxes = pa.concat_tables([whole(table)])["bbox"].to_pylist()
    assert first is not None
    assert table.manifest.extent is not None
    assert table.manifest.extent.bbox == (
        -180.0,
        min(box["ymin"] for box in boxes),
        180.0,
        max(box["ymax"] for box in boxes),
    )
    assert table.manifest.extent.start == first.start


@pytest.mark.parametrize(
    ("licence", "expected"), [("CC-BY-4.0", "CC-BY-4.0"), ("ask the publisher", "other")]
)
def test_a_licence_that_stac_does_not_take_is_other(licence: str, expected: str) -> None:
    assert shared([licence]) == expected


def test_terms_of_the_imagery_stand_beside_the_models_and_stay(table: EmbeddingTable) -> None:
    def imagery(licence: str, year: int) -> Imagery:
        return Imagery("s2", "Earth Search v1", licence, (f"Sentinel data {year}",), (f"offset of {year}",))

    rows = [random_rows(5, seed, h3_cell=random_cells(5, seed)) for seed in (5, 6, 7)]
    table = table.upsert(rows[0], imagery=[imagery("CC-BY-SA-4.0", 2024)])
    table = table.upsert(rows[1], imagery=[imagery("CC-BY-SA-4.0", 2023), imagery("other", 2023)])
    table = EmbeddingTable.open(table.path).upsert(rows[2]).compact()
    said = [(s.licence, s.attribution) for s in EmbeddingTable.open(table.path).manifest.imagery]
    assert said == [
        ("CC-BY-SA-4.0", ("Sentinel data 2023", "Sentinel data 2024")),
        ("other", ("Sentinel data 2023",)),
    ]
    footers = [
        pq.read_schema(table.path / file.path).metadata.get(b"imagery", b"[]")
        for file in table.manifest.files
    ]
    assert {"CC-BY-SA-4.0"} <= {source["licence"] for f in footers for source in json.loads(f)}
    properties = item_of(table)["properties"]
    assert properties["license"] == "other"
    assert properties["skyhex:model_license"] == MODEL.licence
    assert [source["license"] for source in properties["skyhex:imagery"]] == ["CC-BY-SA-4.0", "other"]
    assert table.validate() == []
