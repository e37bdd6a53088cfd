"""The time axis of a store, in each form that publishers give it."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from data.products.stores import year_index, years_of
from data.sample import InputError

NANOSECONDS = "nanoseconds since 1970-01-01"


@dataclass
class Axis:
    """An array of a store, as far as it is asked."""

    values: np.ndarray
    attrs: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, part: slice) -> np.ndarray:
        return self.values[part]


DATES = np.array(["1969-07-20", "2017-01-01", "2024-12-31"], "datetime64[ns]")


@pytest.mark.parametrize(
    ("axis", "years"),
    [
        (Axis(np.array([2017, 2199, 1901], np.int16)), [2017, 2199, 1901]),
        (Axis(np.array([2024], np.uint16)), [2024]),
        (Axis(DATES), [1969, 2017, 2024]),
        (Axis(DATES.astype(np.int64), {"units": NANOSECONDS}), [1969, 2017, 2024]),
    ],
)
def test_years_are_numbers_or_dates(axis: Axis, years: list[int]) -> None:
    assert years_of({"time": axis}, "a.zarr") == years


@pytest.mark.parametrize("values", [[2017, 2200], [1900], [0, 1, 2], [2017.0, 2018.0]])
def test_what_is_neither_is_refused(values: list[float]) -> None:
    with pytest.raises(InputError, match="are neither years nor dates"):
        years_of({"time": Axis(np.array(values))}, "a.zarr")


def test_a_store_without_time_is_refused() -> None:
    with pytest.raises(InputError, match="has no time axis"):
        years_of({}, "a.zarr")


def test_the_year_asked_for_or_the_only_one() -> None:
    two, one = ({"time": Axis(np.array(years))} for years in ([2017, 2018], [2020]))
    assert year_index(two, "a", 2018) == (1, 2018)
    assert year_index(one, "a", None) == (0, 2020)
    for group, year, said in (
        (two, None, "2017, 2018: give one with --year"),
        (one, 2021, "asked for was 2021"),
    ):
        with pytest.raises(InputError, match=said):
            year_index(group, "a", year)
