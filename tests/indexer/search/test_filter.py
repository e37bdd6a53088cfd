"""Times and months against Python's own dates."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import QueryError
from indexer.search.filter import Filter

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
days = st.integers(-4000, 20_000)
periods = st.lists(st.tuples(days, st.integers(1, 500)), max_size=20)


def microseconds(day: np.ndarray) -> np.ndarray:
    return np.asarray(day, np.int64) * 86_400_000_000


@given(periods, days, st.integers(1, 2000))
def test_periods_that_overlap(rows: list[tuple[int, int]], start: int, length: int) -> None:
    asked = Filter(start=EPOCH + timedelta(days=start), end=EPOCH + timedelta(days=start + length))
    begin, end = np.array([r[0] for r in rows], int), np.array([sum(r) for r in rows], int)
    expected = [bool(set(range(s, s + n)) & set(range(start, start + length))) for s, n in rows]
    assert asked.matches_time(microseconds(begin), microseconds(end)).tolist() == expected


@given(periods, st.sets(st.integers(1, 12), min_size=1, max_size=4))
def test_months_that_a_period_touches(rows: list[tuple[int, int]], months: set[int]) -> None:
    begin, end = np.array([r[0] for r in rows], int), np.array([sum(r) for r in rows], int)
    expected = [any((EPOCH + timedelta(days=d)).month in months for d in range(s, s + n)) for s, n in rows]
    assert (
        Filter(months=tuple(months)).matches_time(microseconds(begin), microseconds(end)).tolist() == expected
    )


def test_zones_are_heeded_and_none_means_utc() -> None:
    start, end = microseconds(np.array([10])), microseconds(np.array([11]))
    naive, plus2 = datetime(1970, 1, 12), datetime(1970, 1, 12, 1, tzinfo=timezone(timedelta(hours=2)))
    assert not Filter(start=naive).matches_time(start, end)[0]
    assert Filter(start=plus2).matches_time(start, end)[0]


def test_conditions_on_columns_become_one_predicate() -> None:
    assert Filter().predicate is None
    asked = Filter(where="cloud_fraction < 0.2 -- clear", modalities=("s1",))
    assert asked.predicate == "(cloud_fraction < 0.2 -- clear\n) AND n_s1 > 0"


def test_what_cannot_hold_is_refused() -> None:
    with pytest.raises(QueryError, match="start before the end"):
        Filter(start=datetime(2024, 1, 1), end=datetime(2023, 1, 1))
    with pytest.raises(QueryError, match="1 to 12"):
        Filter(months=(13,))
    with pytest.raises(QueryError, match="hr, s2, s1"):
        Filter(modalities=("lidar",))


@pytest.mark.parametrize("modalities", [(), ("s1",), ("hr", "s2", "s1"), ("s1", "s1", "s2", "hr")])
def test_rows_may_be_asked_for_with_some_or_all_sensors(modalities: tuple[str, ...]) -> None:
    assert Filter(modalities=modalities).modalities == modalities
    with pytest.raises(QueryError, match="expected some of hr, s2, s1"):
        Filter(modalities=(*modalities, "s3"))


@pytest.mark.parametrize(("month", "is_one"), [(0, False), (1, True), (12, True), (13, False)])
def test_months_go_from_1_to_12(month: int, is_one: bool) -> None:
    if is_one:
        assert Filter(months=(6, month)).months == (6, month)
    else:
        with pytest.raises(QueryError, match="expected numbers 1 to 12"):
            Filter(months=(6, month))
