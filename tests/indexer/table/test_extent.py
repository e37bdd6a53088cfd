"""The box and the time that hold all rows, of a table and of a part."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import shapely

from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import make_rows

from ..random_rows import MODEL, columns_for, random_cells


def test_an_extent_holds_whatever_comes_in_whatever_order(tmp_path: Path) -> None:
    table = EmbeddingTable.create(tmp_path / "t", MODEL, h3_resolution=9)
    every = random_cells(60)
    for part, year in zip(np.split(every, 3), (2021, 2020, 2022), strict=True):
        start, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
        columns = columns_for(part, year) | {"start": [start] * 20, "end": [end] * 20}
        table = table.upsert(make_rows(**columns))
    extent = table.manifest.extent
    assert extent is not None
    assert (extent.start[:10], extent.end[:10]) == ("2020-01-01", "2023-01-01")
    shapes = shapely.from_wkb(
        [w for batch in table.scan(["geometry"]) for w in batch["geometry"].to_pylist()]
    )
    np.testing.assert_array_equal(extent.bbox, shapely.total_bounds(shapes))


def test_the_footer_of_a_part_has_its_own_box(tmp_path: Path) -> None:
    rows = make_rows(**columns_for(random_cells(50)))
    table = EmbeddingTable.create(tmp_path / "t", MODEL, h3_resolution=9).upsert(rows)
    assert len(table.files) >= 1
    for file in table.files:
        parquet = pq.ParquetFile(table.path / file.path)
        said = json.loads(parquet.schema_arrow.metadata[b"geo"])["columns"]["geometry"]["bbox"]
        own = shapely.from_wkb(parquet.read(["geometry"])["geometry"].to_pylist())
        np.testing.assert_array_equal(said, shapely.total_bounds(own))
