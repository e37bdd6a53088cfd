"""Sets of rows against sets of numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.geo.row_ranges import RowRanges, positions

ROWS = 40
sets_of_rows = st.sets(st.integers(0, ROWS - 1))
pairs = st.lists(st.tuples(st.integers(0, ROWS), st.integers(0, ROWS)), max_size=8)


def ranges(rows: set[int]) -> RowRanges:
    return RowRanges.of_rows(np.array(sorted(rows), np.int64))


def members(found: RowRanges) -> set[int]:
    starts, stops = found.starts.tolist(), found.stops.tolist()
    assert all(start < stop for start, stop in zip(starts, stops, strict=True))
    assert all(stop < start for stop, start in zip(stops, starts[1:], strict=False)), "apart and in order"
    return {row for start, stop in zip(starts, stops, strict=True) for row in range(start, stop)}


@given(sets_of_rows)
def test_rows_come_back(rows: set[int]) -> None:
    found = ranges(rows)
    assert members(found) == rows
    assert found.rows().tolist() == sorted(rows)
    assert found.count == len(rows)
    assert np.flatnonzero(found.mask(ROWS)).tolist() == sorted(rows)


@given(pairs)
def test_merged_is_the_union(bounds: list[tuple[int, int]]) -> None:
    starts, stops = (np.array([pair[i] for pair in bounds], np.int64) for i in (0, 1))
    assert members(RowRanges.merged(starts, stops)) == {row for a, b in bounds for row in range(a, b)}


@given(sets_of_rows, sets_of_rows)
def test_and_is_the_intersection(a: set[int], b: set[int]) -> None:
    assert set((ranges(a) & ranges(b)).rows().tolist()) == a & b


@given(sets_of_rows, st.integers(1, 5))
def test_split_parts_by_length(rows: set[int], shortest: int) -> None:
    long, short = ranges(rows).split(shortest)
    assert set(long.rows().tolist()) | set(short.rows().tolist()) == rows
    assert (long.stops - long.starts >= shortest).all()
    assert (short.stops - short.starts < shortest).all()


@given(sets_of_rows)
def test_keep_takes_a_mask_over_its_own_rows(rows: set[int]) -> None:
    odd = np.array([row % 2 == 1 for row in sorted(rows)], bool)
    assert set(ranges(rows).keep(odd).rows().tolist()) == {row for row in rows if row % 2}


@given(pairs, sets_of_rows)
def test_bits_are_the_mask(bounds: list[tuple[int, int]], rows: set[int]) -> None:
    starts, stops = (200 * np.array([pair[i] for pair in bounds], np.int64) + i for i in (0, 1))
    scattered = np.array(sorted(rows), np.int64)
    found = RowRanges.merged(np.r_[starts, scattered], np.r_[stops, scattered + 1])
    bits = np.unpackbits(found.bits, bitorder="little")
    assert np.flatnonzero(bits).tolist() == found.rows().tolist()


@pytest.mark.parametrize("length", [1, 7, 8, 63, 64, 65, 130, 300])
@pytest.mark.parametrize("start", [0, 1, 7, 8, 60])
def test_long_and_short_ranges_are_marked_alike(start: int, length: int) -> None:
    """A bit and a byte a row, beside others that are short and long."""
    some = RowRanges(np.array([start, start + length + 5]), np.array([start + length, start + length + 6]))
    rows = [*range(start, start + length), start + length + 5]
    assert some.count == length + 1
    assert np.flatnonzero(some.mask(500)).tolist() == rows
    bits = np.unpackbits(some.bits, bitorder="little")
    assert np.flatnonzero(bits).tolist() == rows
    assert len(some.bits) == rows[-1] // 8 + 1 or len(some.bits) == (rows[-1] + 1) // 8 + 1
    long, short = some.pieces
    assert sorted([*long.rows().tolist(), *short.tolist()]) == rows
    assert (long.count > 0) == (length >= 256)


def test_the_elements_of_runs() -> None:
    assert positions(np.array([5, 0, 9]), np.array([2, 0, 3])).tolist() == [5, 6, 9, 10, 11]
    assert positions(np.array([], np.int64), np.array([], np.int64)).tolist() == []


def test_what_spans_a_set_gives_that_set_itself() -> None:
    whole, some = RowRanges.all_of(10), RowRanges(np.array([0, 5]), np.array([2, 10]))
    assert whole & some is some
    assert some & whole is some
    part = RowRanges.all_of(9) & some
    assert part.rows().tolist() == [0, 1, 5, 6, 7, 8]
    assert (RowRanges.all_of(0) & some).count == 0
    assert some.keep(np.ones(7, bool)) is some
