"""Parts of a table: which row groups and columns are opened, which rows come back, where a part lies."""

from pathlib import Path

import h3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from indexer.geo import cells
from indexer.table import parts
from indexer.table.embedding_table import EmbeddingTable

from ..small_tables import place_table

GROUP = 7


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingTable:
    """Parts of several small row groups."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "ROW_GROUP_ROWS", GROUP)
        return place_table(tmp_path_factory.mktemp("parts") / "t", n=45)


@pytest.fixture(scope="module")
def rows(table: EmbeddingTable) -> pa.Table:
    return parts.read_part(table.storage, table.files[0])


def test_a_part_lies_in_the_folder_of_its_partition() -> None:
    cell = h3.str_to_int(h3.latlng_to_cell(47, 10, 9))
    assert parts.folder_of(cell, None) == "rows"
    assert parts.folder_of(cell, 1) == f"h3_r1={h3.latlng_to_cell(47, 10, 1)}"


@pytest.mark.parametrize("asked", [[0], [6, 7], [20, 3, 20, 0], list(range(25, -1, -1))])
@pytest.mark.parametrize("columns", [["sample_id"], ["embedding", "h3_cell"], ["source_items", "n_s2"]])
def test_rows_come_in_the_order_asked(
    table: EmbeddingTable, rows: pa.Table, asked: list[int], columns: list[str]
) -> None:
    taken = parts.take_from_part(table.storage, table.files[0], np.array(asked), columns)
    assert taken.column_names == columns
    assert taken.to_pylist() == rows.select(columns).take(pa.array(asked)).to_pylist()


@pytest.mark.parametrize("batch_rows", [1, 3, 100])
def test_rows_of_some_cells_come_in_order(table: EmbeddingTable, rows: pa.Table, batch_rows: int) -> None:
    cell = rows["h3_cell"].to_numpy()
    few = np.unique(cell)[[1, 2, 6]]
    ranges = cells.merge_ranges([(int(one), int(one)) for one in few])
    for columns in (["sample_id"], ["h3_cell", "n_s2"]):
        found = [*parts.scan_part(table.storage, table.files[0], columns, ranges, batch_rows)]
        assert all(batch.schema.names == columns for batch in found)
        want = rows.filter(pa.array(np.isin(cell, few))).select(columns)
        assert pa.Table.from_batches(found).to_pylist() == want.to_pylist()
    outside = cells.merge_ranges([(0, 5)])
    assert [*parts.scan_part(table.storage, table.files[0], ["sample_id"], outside, batch_rows)] == []
    every = parts.scan_part(table.storage, table.files[0], ["sample_id"], None, batch_rows)
    assert pa.Table.from_batches(every)["sample_id"].to_pylist() == rows["sample_id"].to_pylist()


def test_row_groups_are_opened_by_their_cells(table: EmbeddingTable, rows: pa.Table) -> None:
    file = table.files[0]
    metadata = parts._metadata(table.storage, file)
    cell = rows["h3_cell"].to_numpy()
    assert metadata.num_row_groups == -(-len(cell) // GROUP) > 2
    for first in range(0, len(cell), GROUP):
        group = cell[first : first + GROUP]
        for low, high in ((group[0], group[0]), (group[-1], group[-1]), (group[0] - 1, group[-1] + 1)):
            ranges = cells.merge_ranges([(int(low), int(high))])
            want = [
                number
                for number, start in enumerate(range(0, len(cell), GROUP))
                if cell[start] <= high and cell[min(start + GROUP, len(cell)) - 1] >= low
            ]
            assert parts._groups_in(metadata, ranges) == want
    assert parts._groups_in(metadata, None) == list(range(metadata.num_row_groups))


def test_bounds_of_row_groups_hold_their_footprints(table: EmbeddingTable, rows: pa.Table) -> None:
    found = parts._group_bounds(table.storage, table.files[0])
    boxes = rows["bbox"].combine_chunks()
    for number, first in enumerate(range(0, len(rows), GROUP)):
        west, south, east, north = (
            boxes.field(side).to_numpy()[first : first + GROUP] for side in ("xmin", "ymin", "xmax", "ymax")
        )
        assert found[number].tolist() == [west.min(), south.min(), east.max(), north.max()]


def test_only_the_columns_asked_for_are_read(table: EmbeddingTable) -> None:
    file = table.files[0]
    group = parts._metadata(table.storage, file).row_group(0)
    every = [*parts._spans(group, None)]
    assert len(every) == group.num_columns
    some = [*parts._spans(group, ["h3_cell", "bbox"])]
    names = [group.column(i).path_in_schema.split(".")[0] for i in range(group.num_columns)]
    assert some == [span for span, name in zip(every, names, strict=True) if name in ("h3_cell", "bbox")]
    assert all(stop > start for start, stop in every)


def test_vectors_are_plain_and_the_rest_is_compressed(table: EmbeddingTable) -> None:
    group = parts._metadata(table.storage, table.files[0]).row_group(0)
    for column in map(group.column, range(group.num_columns)):
        vector = column.path_in_schema.startswith("embedding")
        assert column.compression == ("UNCOMPRESSED" if vector else "ZSTD")
        whole = column.path_in_schema.split(".")[0]
        assert column.is_stats_set == (not vector and whole not in ("geometry", "parts"))


def test_physical_columns_of_nested_ones() -> None:
    schema = pa.schema([
        ("a", pa.int64()),
        ("b", pa.struct([("x", pa.int64()), ("y", pa.list_(pa.int64()))])),
        ("c", pa.list_(pa.float16(), 3)),
    ])  # fmt: skip
    assert parts._leaves(schema) == ["a", "b.x", "b.y.list.element", "c.list.element"]


def test_a_footers_checksum_is_of_its_length(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1, 2]}), tmp_path / "a.parquet")
    content = (tmp_path / "a.parquet").read_bytes()
    length = int.from_bytes(content[-8:-4], "little")
    whole = parts._footer_crc32(content)
    assert parts._footer_crc32(content[-8 - length :]) == whole
    changed = bytearray(content)
    changed[0] ^= 1
    assert parts._footer_crc32(bytes(changed)) == whole
    changed[-9 - length + 1] ^= 1
    assert parts._footer_crc32(bytes(changed)) != whole
