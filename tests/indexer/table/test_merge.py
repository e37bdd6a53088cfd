"""What new rows make of each part of a table: kept, rewritten with those that lie in it, or beside them."""

import numpy as np
import pyarrow as pa
import pytest

from indexer.table import merge
from indexer.table.manifest import PartFile
from indexer.table.merge import JOINED_BYTES, Rewrite, plan_partition, replace_rows, split, with_columns


def part(min_h3: int, max_h3: int, rows: int = 100, size: int = JOINED_BYTES) -> PartFile:
    """One that is too large to join others, where nothing else is said."""
    return PartFile(f"rows/{min_h3}.parquet", rows, size, min_h3, max_h3, "", 0)


LOW, HIGH = part(10, 20), part(30, 40)


@pytest.mark.parametrize(
    ("cells", "steps"),
    [
        ([], [LOW, HIGH]),
        ([5, 9], [((), [5, 9]), LOW, HIGH]),
        ([5, 10], [((LOW,), [5, 10]), HIGH]),  # the cell that the part begins with is its own
        ([20], [((LOW,), [20]), HIGH]),
        ([21, 29], [LOW, ((), [21, 29]), HIGH]),
        ([15, 35], [((LOW,), [15]), ((HIGH,), [35])]),
        ([25, 30], [LOW, ((HIGH,), [25, 30])]),
        ([40, 41], [LOW, ((HIGH,), [40]), ((), [41])]),
        ([41], [LOW, HIGH, ((), [41])]),
        ([1, 20, 25, 50], [((LOW,), [1, 20]), ((), [25]), HIGH, ((), [50])]),
    ],
)
def test_new_rows_go_to_the_part_that_they_overlap_and_else_beside(
    cells: list[int], steps: list[object]
) -> None:
    rows = pa.table({"h3_cell": pa.array(cells, pa.uint64())})
    planned = [
        step if isinstance(step, PartFile) else (step.parts, step.fresh["h3_cell"].to_pylist())
        for step in plan_partition([LOW, HIGH], rows)
        if isinstance(step, PartFile) or step.fresh is not None
    ]
    assert planned == steps


def test_small_neighbours_join_what_is_rewritten_and_large_ones_stay() -> None:
    small, large = part(10, 20, rows=2, size=100), part(30, 40, rows=500, size=100)
    rows = pa.table({"h3_cell": np.array([21, 22], np.uint64)})
    (first, second) = plan_partition([small, large], rows)
    assert isinstance(first, Rewrite)
    assert (first.parts, first.rows) == ((small,), 4)
    assert second is large
    heavy = part(10, 20, rows=2, size=JOINED_BYTES)
    assert plan_partition([heavy], rows)[0] is heavy


@pytest.mark.parametrize(
    ("rows", "size", "joins"),
    [
        (3, 100, True),  # no larger than the three new ones
        (4, 100, False),
        (1, JOINED_BYTES - 24, True),  # with the 24 bytes of new rows as large as may be
        (1, JOINED_BYTES - 23, False),
    ],
)
def test_a_part_joins_new_rows_where_it_is_no_larger_and_both_are_no_file(
    rows: int, size: int, joins: bool
) -> None:
    before, after = part(10, 20, rows, size), part(60, 70, rows, size)
    fresh = pa.table({"h3_cell": np.array([30, 40, 50], np.uint64)})
    for files in ([before], [after]):
        steps = plan_partition(files, fresh)
        assert len(steps) == (1 if joins else 2)
        (rewrite,) = [step for step in steps if isinstance(step, Rewrite)]
        assert rewrite.parts == (tuple(files) if joins else ())
        assert rewrite.fresh is not None
        assert rewrite.fresh["h3_cell"].to_pylist() == [30, 40, 50]
        assert rewrite.rows == (3 + rows if joins else 3)
        assert rewrite.bytes == (24 + size if joins else 24)


def test_parts_that_have_no_new_rows_beside_them_are_left_as_they_are() -> None:
    small = [part(10, 11, 1, 10), part(20, 21, 1, 10)]
    assert plan_partition(small, pa.table({"h3_cell": pa.array([], pa.uint64())})) == small


def test_a_chain_of_small_parts_joins_one_after_the_other() -> None:
    """As in a binary counter: 4, 2, 1 and one new row become one file of eight."""
    files = [part(10, 11, 4, 400), part(20, 21, 2, 200), part(30, 31, 1, 100)]
    (all_of_them,) = plan_partition(files, pa.table({"h3_cell": np.array([40], np.uint64)}))
    assert isinstance(all_of_them, Rewrite)
    assert (all_of_them.parts, all_of_them.rows) == (tuple(files), 8)


@pytest.mark.parametrize(
    ("stored", "sizes"),
    [(1, [10]), (100, [10]), (101, [5, 5]), (200, [5, 5]), (201, [3, 3, 4]), (400, [2, 3, 2, 3])],
)
def test_rows_are_split_into_files_of_so_many_bytes(
    monkeypatch: pytest.MonkeyPatch, stored: int, sizes: list[int]
) -> None:
    monkeypatch.setattr(merge, "MAX_FILE_BYTES", 100)
    pieces = split(pa.table({"h3_cell": np.arange(10, dtype=np.uint64)}), stored)
    assert [len(piece) for piece in pieces] == sizes
    assert pa.concat_tables(pieces)["h3_cell"].to_pylist() == list(range(10))


def test_rows_of_one_cell_are_not_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge, "MAX_FILE_BYTES", 100)
    cell = np.repeat(np.array([1, 2, 3], np.uint64), [1, 8, 1])
    pieces = split(pa.table({"h3_cell": cell}), 200)
    assert [piece["h3_cell"].to_pylist() for piece in pieces] == [[1], [2] * 8 + [3]]


def keyed(names: list[str], values: list[int], cell: int = 7) -> pa.Table:
    n = len(names)
    moment = pa.timestamp("us", tz="UTC")
    return pa.table({
        "h3_cell": pa.array([cell] * n, pa.uint64()),
        "sample_id": names,
        "start_datetime": pa.array([0] * n, moment),
        "end_datetime": pa.array([1] * n, moment),
        "value": values,
    })  # fmt: skip


def test_new_rows_replace_those_of_their_key() -> None:
    old = pa.concat_tables([keyed(["a", "b", "d"], [1, 2, 4]), keyed(["b"], [9], cell=8)])
    rows, replaced = replace_rows(old, keyed(["b", "c"], [20, 30]))
    assert replaced == 1
    assert rows["sample_id"].to_pylist() == ["a", "b", "c", "d", "b"]
    assert rows["value"].to_pylist() == [1, 20, 30, 4, 9]
    same, none = replace_rows(old, keyed(["x"], [0], cell=9))
    assert (none, len(same)) == (0, 5)


def test_old_and_new_rows_of_one_key_may_be_combined() -> None:
    def added(old: pa.Table, new: pa.Table) -> pa.Table:
        assert old["sample_id"].to_pylist() == new["sample_id"].to_pylist() == ["a", "c"]
        total = [x + y for x, y in zip(old["value"].to_pylist(), new["value"].to_pylist(), strict=True)]
        return new.set_column(4, "value", pa.array(total))

    rows, replaced = replace_rows(
        keyed(["a", "b", "c"], [1, 2, 3]), keyed(["a", "c", "e"], [10, 30, 50]), added
    )
    assert replaced == 2
    assert dict(zip(rows["sample_id"].to_pylist(), rows["value"].to_pylist(), strict=True)) == {
        "a": 11, "b": 2, "c": 33, "e": 50,
    }  # fmt: skip


def test_columns_that_rows_lack_are_null_and_their_licence_is_the_models() -> None:
    schema = pa.schema([("value", pa.int64()), ("licence", pa.string()), ("more", pa.float32())])
    bare = with_columns(pa.table({"value": [1, 2]}), schema, "MIT")
    assert bare.to_pydict() == {"value": [1, 2], "licence": ["MIT"] * 2, "more": [None] * 2}
    said = with_columns(pa.table({"licence": ["X", None], "value": [1, 2]}), schema, "MIT")
    assert said["licence"].to_pylist() == ["X", "MIT"]
