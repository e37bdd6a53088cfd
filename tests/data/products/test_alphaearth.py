"""What a tile says of itself, and what is not AlphaEarth's."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from data.products.alphaearth import ANNUAL, read_alphaearth, read_tile
from data.products.pooling import pool_chunk
from data.sample import InputError

from .layouts import Place, cell_means, noise_codes, signed_squares, write_alphaearth, write_cog, write_mosaic
from .test_pooling import assert_holds


@pytest.fixture(scope="module")
def codes() -> np.ndarray:
    return noise_codes(32, 32)


def test_a_tile_knows_its_year_zone_licence_and_sentence(tmp_path: Path, codes: np.ndarray) -> None:
    tile = read_tile(str(write_alphaearth(tmp_path, codes, year=2019)))
    assert (tile.start, tile.end) == (datetime(2019, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=UTC))
    assert tile.product.model == "alphaearth-foundations-v1"
    assert tile.product.licence == "CC-BY-4.0"
    assert tile.product.attribution == (
        "The AlphaEarth Foundations Satellite Embedding dataset is produced by Google and Google DeepMind."
    )
    assert tile.box is not None
    assert (tile.box.middle_lon_deg, tile.box.south_deg) == (9, 0)
    assert tile.requests_per_block == 64


def test_another_version_is_another_model(tmp_path: Path, codes: np.ndarray) -> None:
    path = write_cog(tmp_path / "v2" / "annual" / "2024" / "32N" / "x.tiff", codes)
    assert read_tile(str(path)).product.model == "alphaearth-foundations-v2"


def test_another_year_is_refused_and_none_is_asked_for(tmp_path: Path, codes: np.ndarray) -> None:
    path = str(write_alphaearth(tmp_path, codes, year=2023))
    with pytest.raises(InputError, match="is of 2023, asked for was 2024"):
        read_tile(path, year=2024)
    nameless = str(write_cog(tmp_path / "tile.tif", codes))
    with pytest.raises(InputError, match="does not say its year: give it with --year"):
        read_tile(nameless)
    assert read_tile(nameless, year=2020).start.year == 2020


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda codes: codes[:63], "has 63 bands of int8: AlphaEarth has 64 bands of int8"),
        (lambda codes: signed_squares(codes).astype(np.float32), "64 bands of float32.*--from raster"),
        (lambda codes: codes.view(np.uint8), "64 bands of uint8: AlphaEarth has 64 bands of int8"),
    ],
)
def test_other_bands_and_types_are_refused(tmp_path: Path, codes: np.ndarray, change, words: str) -> None:  # type: ignore[no-untyped-def]
    path = write_cog(tmp_path / "2024" / "x.tif", change(codes), nodata=None, names=False)
    with pytest.raises(InputError, match=words):
        read_tile(str(path))


def test_other_names_and_another_mark_of_no_data_are_refused(tmp_path: Path, codes: np.ndarray) -> None:
    with pytest.raises(InputError, match="says that 0 is no data: in AlphaEarth it is -128"):
        read_tile(str(write_cog(tmp_path / "2024" / "a.tif", codes, nodata=0)))
    import rasterio

    path = write_cog(tmp_path / "2024" / "b.tif", codes)
    with rasterio.open(path, "r+") as file:
        file.descriptions = [f"B{band}" for band in range(64)]
    with pytest.raises(InputError, match="has bands B0 to B63: expected A00 to A63"):
        read_tile(str(path))


def test_no_data_is_no_data_whether_the_file_says_so_or_not(tmp_path: Path) -> None:
    codes = noise_codes(16, 16)
    codes[:, :5] = -128
    tile = read_tile(str(write_cog(tmp_path / "2024" / "x.tif", codes, nodata=None)))
    made = pool_chunk(tile, tile.extent, 11)
    assert made.pixels.sum() == 256
    assert made.valid.sum() == 11 * 16


def made_to_order(folder: Path, codes: np.ndarray, said: dict[str, object] | None) -> str:
    path = write_cog(folder / "fields" / "20260105_20260110" / "32N" / "order-0-8192" / "data.tiff", codes)
    if said is not None:
        (path.parent / "image_manifest.json").write_text(json.dumps({"properties": said}))
    return str(path)


@pytest.mark.parametrize("written", ["2026-01-05T12:00:00Z", "2026-01-05T13:00:00+01:00", 1767614400000])
def test_an_order_has_a_period_and_its_model_version(
    tmp_path: Path, codes: np.ndarray, written: object
) -> None:
    said = {"system:time_start": written, "system:time_end": "2026-01-10T12:00:00Z", "MODEL_VERSION": "2.1",
            "IMAGE_ID": "order-7"}  # fmt: skip
    tile = read_tile(made_to_order(tmp_path, codes, said))
    assert tile.start == datetime(2026, 1, 5, 12, tzinfo=UTC)
    assert tile.end == datetime(2026, 1, 10, 12, tzinfo=UTC)
    assert tile.product.model == "alphaearth-custom-2.1"
    assert tile.product.licence == "other"
    assert tile.name == "order-7"


def test_an_order_without_a_manifest_has_the_period_of_its_folder(tmp_path: Path, codes: np.ndarray) -> None:
    tile = read_tile(made_to_order(tmp_path, codes, None))
    assert (tile.start, tile.end) == (datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 1, 10, tzinfo=UTC))
    assert "no MODEL_VERSION is said" in tile.product.notes[0]
    with pytest.raises(InputError, match="is of 2026-01-05 to 2026-01-10, asked for was 2024"):
        read_tile(tile.href, year=2024)


def test_the_mosaic_in_degrees(tmp_path: Path) -> None:
    place = Place("EPSG:4326", 11.5, 48.2, 8.983e-5)
    codes = noise_codes(64, 40).reshape(64, 2, 32, 40).swapaxes(0, 1)  # two years
    store = str(write_mosaic(tmp_path / "mosaic.zarr", place, np.ascontiguousarray(codes), [2023, 2024]))
    (mosaic,) = read_alphaearth(store, year=2024)
    assert mosaic.product == ANNUAL
    want = cell_means(signed_squares(codes[1]), np.ones((32, 40), bool), place, 11)
    assert_holds(pool_chunk(mosaic, mosaic.extent, 11), want)
    with pytest.raises(InputError, match="holds the years 2023, 2024: give one with --year"):
        read_alphaearth(store)
    with pytest.raises(InputError, match="holds the years 2023, 2024: asked for was 2020"):
        read_alphaearth(store, year=2020)


def test_a_mosaic_around_the_globe_has_each_pixel_once(tmp_path: Path) -> None:
    place = Place("EPSG:4326", -180.0, 12.0, 1.0)
    store = write_mosaic(tmp_path / "m.zarr", place, noise_codes(24, 364)[None], [2024])
    (mosaic,) = read_alphaearth(str(store))
    assert mosaic.grid.shape == (24, 360)
