"""The time axis of a store, in each form that publishers give it."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from data.products import stores
from data.products.stores import (
    _step,
    axis_sizes,
    block_of,
    grid_of,
    is_store,
    scaled_codes,
    version_of,
    year_index,
    years_of,
)
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


@dataclass
class Array:
    """An array of a store, as far as its shape is asked."""

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    names: tuple[str, ...] | None = None

    @property
    def metadata(self) -> SimpleNamespace:
        return SimpleNamespace(dimension_names=self.names)

    @property
    def ndim(self) -> int:
        return len(self.shape)


@dataclass
class Line:
    """An axis of a store."""

    values: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    def __getitem__(self, part: Any) -> Any:
        return self.values[part]


@pytest.mark.parametrize(
    ("names", "sizes"),
    [
        (None, {"time": 2, "band": 3, "y": 4, "x": 5}),
        (("band", "time", "latitude", "longitude"), {"band": 2, "time": 3, "y": 4, "x": 5}),
        (("time", "easting", "northing", "band"), {"time": 2, "x": 3, "y": 4, "band": 5}),
    ],
)
def test_axes_go_by_several_names(names: tuple[str, ...] | None, sizes: dict[str, int]) -> None:
    array = Array((2, 3, 4, 5), (1, 3, 2, 4), names)
    assert axis_sizes(array) == sizes
    chunks = dict(zip(sizes, (1, 3, 2, 4), strict=True))
    assert block_of(array) == (chunks["y"], chunks["x"])
    assert axis_sizes(Array((4, 5), (4, 5))) == {"y": 4, "x": 5}


class Group(dict[str, Any]):
    attrs: dict[str, Any]


def group(x: np.ndarray, y: np.ndarray, **attrs: Any) -> Group:
    made = Group(embeddings=Array((1, 3, len(y), len(x)), (1, 3, 1, 1)), x=Line(x), northing=Line(y))
    made.attrs = attrs
    return made


def test_a_grid_lies_around_the_centres_of_its_axes() -> None:
    made = grid_of(group(np.array([5.0, 15, 25]), np.array([95.0, 85])), "EPSG:32632", "a")
    assert (made.transform, made.shape) == ((10.0, 0.0, 0.0, 0.0, -10.0, 100.0), (2, 3))


def test_a_transform_stands_in_where_an_axis_has_no_step() -> None:
    one = group(np.array([5.0]), np.array([95.0, 85]), **{"spatial:transform": [10, 0, 7, 0, -10, 9, 0]})
    assert grid_of(one, "EPSG:32632", "a").transform == (10, 0, 7, 0, -10, 9)
    for odd in (None, [1, 2, 3, 4, 5], "10 0 7 0 -10 9"):
        with pytest.raises(InputError, match="neither axes x and y nor a spatial:transform"):
            grid_of(
                group(np.array([5.0]), np.array([95.0, 85]), **{"spatial:transform": odd}), "EPSG:32632", "a"
            )


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ([0, 10, 20], 10),
        ([20, 10, 0], -10),
        ([0, 10, 20.00001], 10.000005),
        ([0, 10, 20.0001], None),
        ([5, 5, 5], None),
    ],
)
def test_an_axis_is_evenly_spaced(values: list[float], step: float | None) -> None:
    line = Line(np.array(values, float))
    if step is not None:
        assert _step(line, "x") == pytest.approx(step, rel=1e-12)
    else:
        with pytest.raises(InputError, match="not evenly spaced"):
            _step(line, "x")


def test_a_scale_between_0_and_1_says_that_there_is_data() -> None:
    codes = np.arange(12, dtype=np.int8).reshape(2, 1, 6)
    scale = np.array([[0.0, 0.5, 1.0, np.nan, np.inf, -0.5]], np.float32)
    made = scaled_codes(codes, scale)
    assert made.valid.tolist() == [[False, True, False, False, False, False]]
    assert made.terms(slice(None), slice(None))[:, 0, 1].tolist() == [0.5, 3.5]
    each = np.full((2, 1, 6), 0.25, np.float32)
    each[1, 0, 4] = 0
    by_value = scaled_codes(codes, each)
    assert by_value.valid.tolist() == [[True, True, True, True, False, True]]
    assert by_value.values[:, 0, 4].tolist() == [1.0, 0.0]


def test_what_is_a_store_and_when_it_changes(tmp_path: Path) -> None:
    for href, is_one in (
        ("s3://b/a.zarr", True),
        ("a.icechunk/", True),
        ("a.tif", False),
        (str(tmp_path), False),
        ("https://h/a", False),
    ):
        assert is_store(href) is is_one
    (tmp_path / "zarr.json").write_text("{}")
    assert is_store(str(tmp_path))
    assert version_of("s3://b/a.zarr") == ""
    assert version_of(str(tmp_path)) == str(tmp_path.stat().st_mtime_ns)
    with pytest.raises(InputError, match="no such store"):
        version_of(str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("href", "options"),
    [
        ("s3://tessera-embeddings/a.zarr/", {"skip_signature": True, "region": "us-west-2"}),
        ("s3://another/a.zarr", {"skip_signature": True}),
        ("gs://tessera-embeddings/a.zarr", {"skip_signature": True}),
        ("https://tessera-embeddings/a.zarr", {}),
    ],
)
def test_public_buckets_are_read_unsigned_in_their_region(
    monkeypatch: pytest.MonkeyPatch, href: str, options: dict[str, Any]
) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr("obstore.store.from_url", lambda href, **given: asked.append((href, given)))
    monkeypatch.setattr(
        stores,
        "_package",
        lambda name: SimpleNamespace(ObjectStore=lambda store, read_only: (name, read_only)),
    )
    assert stores._zarr(href) == ("zarr.storage", True)
    ((opened, given),) = asked
    assert opened == href.rstrip("/")
    assert {name: given[name] for name in ("skip_signature", "region") if name in given} == options
    assert stores._zarr("/a/b.zarr") == "/a/b.zarr"
