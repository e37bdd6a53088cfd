"""What new rows make of each part of a table: kept, rewritten with those that lie in it, or beside them."""

import numpy as np
import pyarrow as pa
import pytest

from indexer.table.manifest import PartFile
from indexer.table.merge import JOINED_BYTES, Rewrite, plan_partition


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
