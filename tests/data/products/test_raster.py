"""Files of vectors by GDAL: whose year, which ground, how many bytes, what is refused."""

from pathlib import Path

import numpy as np
import pytest

from data.products.pixel_cells import LonLatBox, Window
from data.products.raster import (
    _options,
    gdal_path,
    has_data,
    nominal_zone,
    open_vectors,
    read_bands,
    read_raster,
    settled_year,
    year_in_path,
)
from data.products.vector_raster import Product
from data.sample import InputError

from .layouts import write_cog

ANY = Product("any")


@pytest.mark.parametrize(
    ("href", "year"),
    [
        ("a/2023/x.tif", 2023),
        ("a/year=2023/x.tif", 2023),
        ("2022/2023/x_2024.tif", 2023),  # the last folder has the word
        ("a/x_2024.tif", 2024),
        ("a/x_2024_2024.tif", 2024),
        ("a/x_2023_2024.tif", None),
        ("a/x_20241.tif", None),
        ("a/x_12024.tif", None),
        ("a/2050/x.tif", None),
        ("a\\2021\\x.tif", 2021),
        ("a/b2021/x.tif", None),
    ],
)
def test_the_year_of_a_path(href: str, year: int | None) -> None:
    assert year_in_path(href) == year


def test_a_year_is_said_or_asked_for_and_never_two() -> None:
    assert settled_year("a/2023/x.tif", None) == 2023
    assert settled_year("a/x.tif", 2022) == 2022
    assert settled_year("a/2023/x.tif", 2023) == 2023
    assert settled_year("a/2023/x.tif", None, said=2021) == 2021
    with pytest.raises(InputError, match="is of 2023, asked for was 2022"):
        settled_year("a/2023/x.tif", 2022)
    with pytest.raises(InputError, match="does not say its year"):
        settled_year("a/x.tif", None)


@pytest.mark.parametrize(
    ("crs", "box"),
    [
        ("EPSG:32601", LonLatBox(-177, 3.0, south_deg=0.0)),
        ("EPSG:32660", LonLatBox(177, 3.0, south_deg=0.0)),
        ("EPSG:32701", LonLatBox(-177, 3.0, north_deg=0.0)),
        ("EPSG:32760", LonLatBox(177, 3.0, north_deg=0.0)),
        ("EPSG:32632", LonLatBox(9, 3.0, south_deg=0.0)),
        ("EPSG:32661", None),
        ("EPSG:32761", None),
        ("EPSG:32600", None),
        ("EPSG:4326", None),
        ("EPSG:25832", None),
    ],
)
def test_the_ground_that_a_zone_owns(crs: str, box: LonLatBox | None) -> None:
    assert nominal_zone(crs) == box
    if box is not None:
        assert nominal_zone(crs, hemisphere=False) == LonLatBox(box.middle_lon_deg, 3.0)


@pytest.mark.parametrize(
    ("href", "opened"),
    [("gs://b/x.tif", "/vsigs/b/x.tif"), ("s3://b/x.tif", "/vsis3/b/x.tif"), ("/a/x.tif", "/a/x.tif")],
)
def test_public_buckets_are_opened_by_their_driver(href: str, opened: str) -> None:
    assert gdal_path(href) == opened


@pytest.mark.parametrize(
    ("key", "unsigned"),
    [
        ("NONE", {"AWS_NO_SIGN_REQUEST", "GS_NO_SIGN_REQUEST"}),
        ("AWS_ACCESS_KEY_ID", {"GS_NO_SIGN_REQUEST"}),
        ("AWS_PROFILE", {"GS_NO_SIGN_REQUEST"}),
        ("GOOGLE_APPLICATION_CREDENTIALS", {"AWS_NO_SIGN_REQUEST"}),
        ("GS_ACCESS_KEY_ID", {"AWS_NO_SIGN_REQUEST"}),
    ],
)
def test_buckets_are_read_unsigned_unless_there_are_keys(
    monkeypatch: pytest.MonkeyPatch, key: str, unsigned: set[str]
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "GOOGLE_APPLICATION_CREDENTIALS", "GS_ACCESS_KEY_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(key, "x")
    assert {name for name, value in _options().items() if value == "YES"} == unsigned


@pytest.mark.parametrize("interleave", ["band", "pixel"])
def test_what_a_file_tells_of_its_cost(tmp_path: Path, interleave: str) -> None:
    codes = np.arange(3 * 32 * 48, dtype=np.int16).reshape(3, 32, 48)
    path = write_cog(tmp_path / "x_2021.tif", codes, nodata=None, names=False, interleave=interleave)
    raster = read_raster(str(path), product=ANY)
    assert (raster.name, raster.dimension, raster.block, raster.start.year) == ("x_2021", 3, (16, 16), 2021)
    assert raster.bytes_per_pixel == path.stat().st_size / (32 * 48)
    assert raster.requests_per_block == (3 if interleave == "band" else 1)
    assert (raster.formula, raster.scale, raster.offset, raster.nodata) == ("linear", 1.0, 0.0, None)
    before = raster.stamp
    write_cog(tmp_path / "x_2021.tif", codes[:2], nodata=None, names=False)
    assert read_raster(str(path), product=ANY).stamp != before


def test_a_raster_of_one_band_or_of_complex_numbers_holds_no_vectors(tmp_path: Path) -> None:
    one = write_cog(tmp_path / "a_2021.tif", np.ones((1, 16, 16), np.float32), names=False, nodata=None)
    with pytest.raises(InputError, match="has 1 band"):
        read_raster(str(one), product=ANY)
    two = write_cog(tmp_path / "b_2021.tif", np.ones((2, 16, 16), np.complex64), names=False, nodata=None)
    with pytest.raises(InputError, match="holds complex64"):
        read_raster(str(two), product=ANY)
    assert open_vectors(str(two)).dataset.count == 2


def test_a_files_own_mark_of_no_data_counts_unless_another_is_said(tmp_path: Path) -> None:
    path = write_cog(tmp_path / "a_2021.tif", np.ones((2, 16, 16), np.int16), names=False, nodata=7)
    assert read_raster(str(path), product=ANY).nodata == 7
    assert read_raster(str(path), product=ANY, nodata=9).nodata == 9


def test_a_part_is_read_by_row_and_column(tmp_path: Path) -> None:
    codes = np.arange(2 * 32 * 48, dtype=np.int16).reshape(2, 32, 48)
    path = write_cog(tmp_path / "a_2021.tif", codes, names=False, nodata=None, south_up=False)
    found = read_bands(str(path), Window(row=3, col=20, height=5, width=7))
    np.testing.assert_array_equal(found, codes[:, 3:8, 20:27])


def test_a_mark_that_a_type_cannot_hold_marks_nothing() -> None:
    bytes_ = np.array([[[0, 255]], [[1, 255]]], np.uint8)
    for nodata in (-1, 256, 0.5, float("nan")):
        assert has_data(bytes_, nodata).tolist() == [[True, True]]
    assert has_data(bytes_, 255).tolist() == [[True, False]]
    assert has_data(bytes_, 1).tolist() == [[False, True]]
    least = np.array([[[-128, -127]], [[5, 5]]], np.int8)
    assert has_data(least, -128).tolist() == [[False, True]]
    assert has_data(least, -127).tolist() == [[True, False]]
    floats = np.array([[[0.5, 1e300]]], np.float64)
    assert has_data(floats, 0.5).tolist() == [[False, True]]
