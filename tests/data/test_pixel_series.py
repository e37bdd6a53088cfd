"""Parquet with lists in lists -> arrays: nodata, padding, months, bands that are absent."""

import datetime
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.modality import S2
from data.pixel_series import read_pixel_series
from data.sample import InputError

DAYS = [datetime.date(2021, 1, 1), datetime.date(2020, 12, 31)]


def write(path: Path, bands: tuple[str, ...] = S2.bands, **changes: list[object]) -> Path:
    columns: dict[str, list[object]] = {
        "id": ["a", "b"],
        "lon": [1.0, 2.0],
        "lat": [3.0, 4.0],
        "block": ["x", "y"],
        "split": ["train", "test"],
        "label": ["secret", "secret"],
        "dates": [DAYS, [datetime.date(2021, 2, 1)]],
        "s2": [[list(range(1, len(bands) + 1)), [0] * len(bands)], [[7] * len(bands)]],
        "s1": [[[-10.0, -20.0], [float("nan"), -20.0]], None],
    }
    types = {"s2": pa.list_(pa.list_(pa.uint16())), "s1": pa.list_(pa.list_(pa.float32()))}
    columns |= changes
    arrays = {name: pa.array(values, types.get(name)) for name, values in columns.items()}
    table = pa.table(arrays).replace_schema_metadata({"s2_bands": json.dumps(bands)})
    pq.write_table(table, path)
    return path


def test_values_masks_and_days(tmp_path: Path) -> None:
    series = read_pixel_series(write(tmp_path / "a.parquet"))
    assert series.s2.shape == (2, 2, 10)
    assert series.s2[0, 0].tolist() == list(range(1, 11))
    assert series.s2_valid.tolist() == [[True, False], [True, False]]
    assert series.s1_valid.tolist() == [[True, False], [False, False]]
    assert np.isfinite(series.s1).all()
    assert series.day_of_year.tolist() == [[1, 366], [32, 0]]
    assert series.split.tolist() == ["train", "test"]
    assert not hasattr(series, "label")


def test_months_alone_are_their_middles(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", dates=[None, None], months=[[1, 12], [3]])
    path_days = read_pixel_series(path).day_of_year
    assert path_days.tolist() == [[15, 349], [74, 0]]


def test_a_missing_band_is_named_and_can_be_filled(tmp_path: Path) -> None:
    nine = tuple(band for band in S2.bands if band != "B8A")
    path = write(tmp_path / "a.parquet", nine)
    with pytest.raises(InputError, match="no Sentinel-2 band B8A"):
        read_pixel_series(path)
    filled = read_pixel_series(path, {"B8A": "B08"}).s2[0, 0]
    assert filled[S2.bands.index("B8A")] == filled[S2.bands.index("B08")] == 7


def test_another_file_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="lacks the columns lon, lat"):
        read_pixel_series(tmp_path / "a.parquet")


def test_what_is_no_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("nothing")
    for name in ("a.parquet", "absent.parquet"):
        with pytest.raises(InputError, match="no Parquet file"):
            read_pixel_series(tmp_path / name)


def test_take_by_mask(tmp_path: Path) -> None:
    series = read_pixel_series(write(tmp_path / "a.parquet"))
    test = series.take(series.split == "test")
    assert len(test) == 1
    assert test.id.tolist() == ["b"]
