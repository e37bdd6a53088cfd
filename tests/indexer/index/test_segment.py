"""Rows of a segment and rows of the parts that it holds, whole or a piece of each."""

import numpy as np
import pytest

from indexer.index.segment import Keys, Part, Segment

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
