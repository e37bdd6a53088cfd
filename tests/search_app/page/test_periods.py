"""The periods that a table's rows are of, as words that the comparison reads."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from indexer.search.words import period_of
from search_app.page import periods
from search_app.page.cached import RowKeys
from search_app.page.periods import periods_of

from ..make_table import small_table


def test_years_in_order(tmp_path: Path) -> None:
    assert periods_of(small_table(tmp_path / "t", years=(2023, 2021))) == ["2021", "2023"]


@pytest.mark.parametrize(
    ("start", "end", "word"),
    [
        (datetime(2021, 6, 1), datetime(2021, 7, 1), "2021-06"),
        (datetime(2021, 6, 30), datetime(2021, 7, 1), "2021-06-30"),
        (datetime(2021, 6, 30, 10, 5), datetime(2021, 6, 30, 10, 6), "2021-06-30"),
        (datetime(2021, 6, 30, 10, 5), datetime(2021, 6, 30, 10, 5), "2021-06-30"),
        (datetime(2021, 3, 1), datetime(2021, 10, 1), "2021-03-01/2021-10-01"),
    ],
)
def test_a_word_means_the_period(
    start: datetime, end: datetime, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = keys_of([start], [end])
    monkeypatch.setattr(periods, "read_keys", lambda table: keys)
    assert periods_of(small_table(tmp_path / "t")) == [word]
    assert period_of(word).matches_time(keys.start_us, keys.end_us).all()


def test_many_periods_are_offered_by_the_year(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(periods, "MAX_PERIODS", 3)
    starts = [datetime(2020, 12, 31), *(datetime(2022, 1, day) for day in (1, 2, 3))]
    keys = keys_of(starts, [datetime(2021, 1, 1), *(datetime(2022, 1, day) for day in (2, 3, 4))])
    monkeypatch.setattr(periods, "read_keys", lambda table: keys)
    assert periods_of(small_table(tmp_path / "t")) == ["2020", "2021", "2022"]


def keys_of(starts: list[datetime], ends: list[datetime]) -> RowKeys:
    n = len(starts)
    cells, none = np.zeros(n, np.uint64), np.full(n, -1, np.int64)
    start_us, end_us = (
        np.array([round(day.replace(tzinfo=UTC).timestamp() * 1e6) for day in days])
        for days in (starts, ends)
    )
    return RowKeys(cells, start_us, end_us, cells, none)
