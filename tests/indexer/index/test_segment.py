"""Rows of a segment and rows of the parts that it holds, whole or a piece of each."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from indexer.geo.row_ranges import RowRanges
from indexer.index import segment
from indexer.index.mapped import DamagedIndexError
from indexer.index.segment import Keys, Part, Segment, at, missing_parts, read_segments, scan_part
from indexer.table.manifest import PartFile

from ..small_tables import place_table, whole

WHOLE, PIECE, LAST = Part("a", 4), Part("b", 5, first_row=10), Part("c", 3)
NUMBERS = np.arange(12)
SEGMENT = Segment((WHOLE, PIECE, LAST), Keys.of(NUMBERS.astype(np.uint64), NUMBERS, NUMBERS), {})


@pytest.mark.parametrize(
    ("places", "rows"),
    [
        ({}, []),
        ({"a": [0, 3], "c": [2]}, [0, 3, 11]),
        ({"b": [0, 9, 10, 12, 14, 15, 40]}, [4, 6, 8]),  # of these the segment has 10 to 14
        ({"c": [1, 2, 3, 40]}, [10, 11]),  # a longer part of that name
        ({"c": [2, 3]}, [11]),
        ({"a": [3, 4]}, [3]),
        ({"gone": [1]}, []),
    ],
)
def test_rows_at_places_are_those_that_the_segment_has(places: dict[str, list[int]], rows: list[int]) -> None:
    given = {path: np.array(at, np.int64) for path, at in places.items()}
    assert SEGMENT.rows_at(given).rows().tolist() == rows


def test_places_of_rows_are_parts_and_rows_in_them() -> None:
    part, row = SEGMENT.places(np.array([0, 3, 4, 8, 9, 11]))
    assert part.tolist() == [0, 0, 1, 1, 2, 2]
    assert row.tolist() == [0, 3, 10, 14, 0, 2]
    assert SEGMENT.part_ids({"b": 7, "c": 2}).tolist() == [-1, 7, 2]
    assert SEGMENT.living({"a", "c"}).rows().tolist() == [0, 1, 2, 3, 9, 10, 11]
    assert PIECE.with_rows(1, 3) == Part("b", 2, first_row=11)


def parts_of(*said: tuple[str, int, int]) -> Segment:
    made = tuple(Part(*one) for one in said)
    rows = sum(part.rows for part in made)
    return Segment(made, Keys.of(*(np.arange(rows) for _ in range(3))), {})


@dataclass(frozen=True)
class Files:
    """A table, as far as its parts are asked."""

    files: tuple[PartFile, ...]


TABLE = Files(tuple(PartFile(path, rows, 1, 0, 0, "", 0) for path, rows in (("a", 5), ("b", 3))))


@pytest.mark.parametrize(
    ("held", "missing"),
    [
        ([], [("a", 5, 0), ("b", 3, 0)]),
        ([("a", 5, 0)], [("b", 3, 0)]),
        ([("a", 2, 0), ("b", 3, 0)], [("a", 3, 2)]),
        ([("a", 2, 3), ("b", 1, 1)], [("a", 3, 0), ("b", 1, 0), ("b", 1, 2)]),
        ([("a", 2, 3), ("a", 3, 0), ("b", 3, 0), ("gone", 9, 0)], []),
    ],
)
def test_what_no_segment_holds(held: list[tuple[str, int, int]], missing: list[tuple[str, int, int]]) -> None:
    one_each = [parts_of(one) for one in held]
    for segments in (one_each, [parts_of(*held)]):
        assert missing_parts(TABLE, segments) == tuple(Part(*one) for one in missing)  # type: ignore[arg-type]


def test_two_segments_hold_no_row_twice() -> None:
    with pytest.raises(DamagedIndexError, match="two segments hold the same rows of a"):
        missing_parts(TABLE, [parts_of(("a", 3, 0)), parts_of(("a", 3, 2))])  # type: ignore[arg-type]


def test_rows_of_living_parts_and_where_they_are_in_a_table() -> None:
    made = parts_of(("a", 5, 0), ("b", 3, 2), ("c", 1, 0))
    assert made.living({"a", "c"}).rows().tolist() == [0, 1, 2, 3, 4, 8]
    assert made.living({"x"}).count == 0
    assert made.part_ids({"b": 7, "c": 0}).tolist() == [-1, 7, 0]
    assert made.paths == {"a", "b", "c"}
    assert (made.part_starts.tolist(), len(made)) == ([0, 5, 8, 9], 9)
    assert Part("a", 9, 2).with_rows(3, 5) == Part("a", 2, 5)


def test_values_at_one_range_are_no_copy() -> None:
    values = np.arange(10)
    one = at(values, RowRanges(np.array([2]), np.array([5])))
    assert one.tolist() == [2, 3, 4]
    assert one.base is values
    two = at(values, RowRanges(np.array([2, 7]), np.array([4, 9])))
    assert two.tolist() == [2, 3, 7, 8]


@pytest.mark.parametrize("batch_rows", [1, 4, 100])
def test_a_piece_of_a_part_is_read_from_parquet_whatever_the_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_rows: int
) -> None:
    monkeypatch.setattr(segment, "SEGMENT_ROWS", batch_rows)
    table = place_table(tmp_path, n=30)
    file = table.files[0]
    cell = whole(table)["h3_cell"].to_numpy()[: file.rows]
    for first, count in ((0, file.rows), (3, 9), (file.rows - 2, 2)):
        batches = [*scan_part(table, Part(file.path, count, first), ["embedding"])]
        found = np.concatenate([batch["h3_cell"].to_numpy() for batch in batches])
        assert found.tolist() == cell[first : first + count].tolist()
        pieces = [*read_segments(table, [Part(file.path, count, first)], ["embedding"])]
        ends = [(piece.parts[0].first_row, piece.parts[0].first_row + len(piece)) for piece in pieces]
        assert (ends[0][0], ends[-1][1]) == (first, first + count)
        assert all(stop == start for (_, stop), (start, _) in pairwise(ends))
