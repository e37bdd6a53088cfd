"""TESSERA in its four layouts: right vectors, where the pixels were made, never two versions as one."""

from pathlib import Path

import numpy as np
import pytest

from data.grid import PixelGrid
from data.products.pooling import Pooled, pool_chunk
from data.products.tessera import _dataset_in, on_its_grid, product_of, read_tessera
from data.products.vector_raster import VectorRaster
from data.sample import InputError

from .layouts import (
    Place,
    cell_means,
    noise_scaled,
    write_arrays,
    write_cog,
    write_icechunk,
    write_store,
)
from .test_pooling import assert_holds

ON_GRID = Place("EPSG:32632", 500_000.0, 4_994_070.0)
AS_MASKED = Place("EPSG:32632", 500_003.7, 4_994_064.1)  # as a landmask places the same pixels
SOUTH = Place("EPSG:32633", 500_000.0, -1_105_000.0)  # 10 degrees south, in the northern zone
TILE = "grid_9.05_45.05"


def pooled_of(raster: VectorRaster) -> Pooled:
    return pool_chunk(raster, raster.extent, 11)


Scaled = tuple[np.ndarray, np.ndarray]  # codes and scales


def vectors_of(codes: np.ndarray, scales: np.ndarray) -> np.ndarray:
    return codes.astype(np.float64) * np.where(np.isfinite(scales), scales, 0)


@pytest.fixture(scope="module")
def scaled() -> Scaled:
    """Codes and scales with every mark of no data: NaN, infinity, 0, negative, 1 and huge."""
    codes, scales = noise_scaled(34, 42)
    scales[5, 3:9] = [np.nan, np.inf, 0, -0.1, 1.0, 161_685]
    return codes, scales


def good(scales: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return (scales > 0) & (scales < 1)


def test_arrays_lie_on_the_grid_they_were_made_on(tmp_path: Path, scaled: Scaled) -> None:
    codes, scales = scaled
    land = np.ones(scales.shape, bool)
    land[:, :6] = False
    path = write_arrays(tmp_path, TILE, codes, scales, AS_MASKED, land=land)
    (tile,) = read_tessera(str(path), year=2024, dataset="1.1/cambridge")
    want = cell_means(vectors_of(codes, scales), good(scales) & land, ON_GRID, 11)
    assert_holds(pooled_of(tile), want, 1e-5)
    assert tile.product.model == "tessera-1.1/cambridge"
    with pytest.raises(AssertionError):  # the landmask's own corner is seen to be elsewhere
        assert_holds(
            pooled_of(tile), cell_means(vectors_of(codes, scales), good(scales) & land, AS_MASKED, 11), 1e-3
        )


def test_old_arrays_have_a_scale_for_each_value(tmp_path: Path, scaled: Scaled) -> None:
    codes, scales = scaled
    factors = np.linspace(0.5, 1, 128)
    path = write_arrays(tmp_path, TILE, codes, (scales[..., None] * factors).astype(np.float32), ON_GRID)
    (tile,) = read_tessera(str(path))
    each = scales[..., None] * factors  # (h, w, 128)
    valid = ((each > 0) & (each < 1)).all(axis=-1)
    want = cell_means(codes * np.moveaxis(np.where(np.isfinite(each), each, 0), 2, 0), valid, ON_GRID, 11)
    assert_holds(pooled_of(tile), want, 1e-5)
    assert tile.start.year == 2024


def test_arrays_that_do_not_belong_together_are_refused(tmp_path: Path, scaled: Scaled) -> None:
    codes, scales = scaled
    path = write_arrays(tmp_path, TILE, codes, scales, ON_GRID)
    with pytest.raises(InputError, match="is of 2024, asked for was 2020"):
        read_tessera(str(path), year=2020)
    np.save(path.with_name(f"{TILE}_scales.npy"), scales[:-1])
    with pytest.raises(InputError, match=r"\(34, 42\) pixels, its scales are \(33, 42\)"):
        read_tessera(str(path))
    path.with_name(f"{TILE}_scales.npy").unlink()
    with pytest.raises(InputError, match=f"{TILE}_scales.npy is missing beside it"):
        read_tessera(str(path))
    np.save(path.with_name(f"{TILE}_scales.npy"), scales)
    array = path.read_bytes()
    path.write_bytes(b"no array")
    with pytest.raises(InputError, match="is no NumPy array that can be read"):
        read_tessera(str(path))
    path.write_bytes(array)
    (tmp_path / "global_0.1_degree_tiff_all" / f"{TILE}.tiff").unlink()
    with pytest.raises(InputError, match="only that says where it lies"):
        read_tessera(str(path))


@pytest.mark.parametrize("south_up", [True, False])
def test_geotiffs_are_put_back_on_their_grid(tmp_path: Path, scaled: Scaled, south_up: bool) -> None:
    codes, scales = scaled
    vectors = vectors_of(codes, scales).astype(np.float32)
    vectors[:, ~good(scales)] = np.nan
    tags = {"TESSERA_DATASET_VERSION": "v1.1", "TESSERA_DATASET_VARIANT": "dclimate", "TESSERA_YEAR": "2023"}
    place = ON_GRID if south_up else AS_MASKED
    path = write_cog(
        tmp_path / "x.tif", vectors, place, south_up=south_up, names=False, nodata=np.nan, tags=tags
    )
    (tile,) = read_tessera(str(path))
    assert_holds(pooled_of(tile), cell_means(vectors.astype(np.float64), good(scales), ON_GRID, 11), 1e-4)
    assert tile.product.model == "tessera-1.1/dclimate"
    assert tile.start.year == 2023
    few = write_cog(tmp_path / "few.tif", vectors[:3], place, names=False, nodata=np.nan, tags=tags)
    with pytest.raises(InputError, match="has 3 bands of float32: TESSERA has 128"):
        read_tessera(str(few))
    with pytest.raises(InputError, match="128 bands of int8: a GeoTIFF of TESSERA has float32"):
        read_tessera(str(write_cog(tmp_path / "codes.tif", codes, place, names=False, tags=tags)))


@pytest.fixture(scope="module")
def two_years(scaled: Scaled) -> Scaled:
    codes, scales = scaled
    return np.stack([codes, codes[::-1]]), np.stack([scales, np.roll(scales, 7, axis=0)])


def test_a_store_has_a_raster_a_zone(tmp_path: Path, two_years: Scaled) -> None:
    codes, scales = two_years
    zones = {"utm32": (ON_GRID, codes, scales), "utm33": (SOUTH, codes, scales)}
    store = str(write_store(tmp_path / "v1.1" / "store.zarr", zones, [2023, 2024]))
    for year, index in ((2023, 0), (2024, 1)):
        for raster, place in zip(read_tessera(store, year=year), (ON_GRID, SOUTH), strict=True):
            want = cell_means(vectors_of(codes[index], scales[index]), good(scales[index]), place, 11)
            assert_holds(pooled_of(raster), want, 1e-5)
            assert raster.start.year == year
    with pytest.raises(InputError, match="holds the years 2023, 2024: give one with --year"):
        read_tessera(store)


def test_an_icechunk_repository_has_halves_of_zones_and_complete_years(
    tmp_path: Path, two_years: Scaled
) -> None:
    codes, scales = two_years
    equator = Place("EPSG:32631", 500_000.0, 100.0)
    below = Place("EPSG:32731", 500_000.0, 10_000_000.0)
    zones = {"31N": (equator, codes, scales), "31S": (below, codes, scales)}
    store = str(write_icechunk(tmp_path / "v1.1" / "dclimate.icechunk", zones, [2023, 2024], [2024]))
    north, south = read_tessera(store, year=2024)
    assert north.product.model == "tessera-1.1/dclimate"
    assert pooled_of(north).pixels.sum() == 10 * 42  # what lies south of the equator is the other half's
    want = cell_means(vectors_of(codes[1], scales[1]), good(scales[1]), below, 11)
    assert_holds(pooled_of(south), want, 1e-5)
    with pytest.raises(InputError, match="no zone is complete for 2023"):
        read_tessera(store, year=2023)


def test_what_is_no_store_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such store"):
        read_tessera(str(tmp_path / "none.zarr"), year=2024)
    (tmp_path / "empty.zarr").mkdir()
    with pytest.raises(InputError, match="is no store that can be read"):
        read_tessera(str(tmp_path / "empty.zarr"), year=2024)


@pytest.mark.parametrize(
    ("said", "model"),
    [
        ("https://data.source.coop/tessera/tessera/zarr/v1.1", "tessera-1.1/cambridge"),
        ("https://data.source.coop/tessera/tessera/zarr/v1.1-dclimate", "tessera-1.1/dclimate"),
        (
            "https://host/tessera/npy/v1.1-cam/2024/grid_0.15_52.05",
            "tessera-1.1/cambridge",
        ),
        ("s3://tessera-embeddings/v1.1/dclimate.icechunk", "tessera-1.1/dclimate"),
        ("https://data.source.coop/tessera/tessera/zarr/v2-2B-L~beta1", "tessera-2.0/2B-L~beta1"),
        ("https://data.source.coop/tessera/tessera/zarr/v2-2B-L~beta2", "tessera-2.0/2B-L~beta2"),
        ("npy/v1/vultr/2021/grid_106.45_38.65", "tessera-1.0/vultr"),
        ("1.1", "tessera-1.1"),
        ("1.1/cambridge", "tessera-1.1/cambridge"),
        ("v1", "tessera-1.0/vultr"),
        ("some/folder", "tessera"),
    ],
)
def test_versions_and_variants_by_what_is_said(said: str, model: str) -> None:
    product = product_of(said)
    assert product.model == model
    assert bool(product.notes) == ("/" not in model)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1", ("1.0", "vultr")),
        ("1.0", ("1.0", "vultr")),
        ("v1/cam", ("1.0", "cambridge")),
        ("1.1-x", ("1.1", "x")),
        ("a/v1.1/cam.zarr/b", ("1.1", "cambridge")),
        ("a/v1.1/other/b", ("1.1", "")),
        ("a/v1.1", ("1.1", "")),
        ("zarr/v1.1", ("1.1", "cambridge")),
        ("a/v1.1/zarr", ("1.1", "")),
        ("zarr/v1.2", ("1.2", "")),
        ("a/1.1/b", None),  # a folder's number needs its v
        ("a/vv1/b", None),
        ("", None),
        ("a\\v1\\cambridge", ("1.0", "cambridge")),
    ],
)
def test_what_a_name_or_a_path_says(text: str, said: tuple[str, str] | None) -> None:
    assert _dataset_in(text) == said


def test_the_first_that_says_something_is_believed() -> None:
    assert product_of(None, "folder", "1.1/dclimate", "2").model == "tessera-1.1/dclimate"
    assert product_of("1.1", "1.1/dclimate").model == "tessera-1.1"
    assert product_of().notes[0].startswith("the version or variant of TESSERA is not said")


@pytest.mark.parametrize(
    ("left", "top", "corner"),
    [
        (500_000.0, 4_994_070.0, (500_000, 4_994_070)),
        (500_003.7, 4_994_064.1, (500_000, 4_994_070)),
        (500_009.9, 4_994_060.1, (500_000, 4_994_070)),
        (500_000.000001, 4_994_069.999999, (500_000, 4_994_070)),
        (499_999.999999, 4_994_070.000001, (500_000, 4_994_070)),
        (-0.5, -0.5, (-10, 0)),
    ],
)
def test_pixels_go_back_north_and_west_to_their_grid(
    left: float, top: float, corner: tuple[float, float]
) -> None:
    moved = on_its_grid(PixelGrid("EPSG:32632", (10, 0, left, 0, -10, top), (7, 9)))
    assert moved == PixelGrid("EPSG:32632", (10, 0, corner[0], 0, -10, corner[1]), (7, 9))


@pytest.mark.parametrize("shape", [(20, 0, 0, -20), (10, 1, 0, -10), (10, 0, 1, -10), (10, 0, 0, 10)])
def test_pixels_of_another_grid_stay(shape: tuple[float, float, float, float]) -> None:
    a, b, d, e = shape
    grid = PixelGrid("EPSG:32632", (a, b, 3.0, d, e, 4.0), (7, 9))
    assert on_its_grid(grid) is grid
