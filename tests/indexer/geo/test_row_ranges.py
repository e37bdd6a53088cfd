"""Sets of rows against sets of numbers."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from indexer.geo.row_ranges import RowRanges

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
