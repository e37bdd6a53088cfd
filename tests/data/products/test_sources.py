"""How an address is opened, and what a raster must be told of itself."""

from pathlib import Path

import pytest

from data.products.pixel_cells import LonLatBox
from data.products.raster import gdal_path, nominal_zone
from data.products.sources import Reading, open_rasters

from .layouts import noise_codes, write_alphaearth


def test_public_buckets_are_opened_by_gdals_own_paths() -> None:
    assert gdal_path("gs://bucket/a/b.tif") == "/vsigs/bucket/a/b.tif"
    assert gdal_path("s3://bucket/a/b.tif") == "/vsis3/bucket/a/b.tif"
    for other in ("https://host/a.tif", "/data/gs://a.tif"):
        assert gdal_path(other) == other


@pytest.mark.parametrize("said", [{}, {"model": "m"}, {"licence": "CC0-1.0"}])
def test_a_raster_without_its_model_or_licence_is_left_out_with_that_reason(
    tmp_path: Path, said: dict[str, str]
) -> None:
    path = str(write_alphaearth(tmp_path, noise_codes(4, 4)))
    rasters, skipped = open_rasters([path], Reading("raster", year=2024, **said))
    assert rasters == []
    assert [skip.reason for skip in skipped] == [
        "a raster does not say its model and licence: give them with --model and --licence"
    ]
    rasters, skipped = open_rasters([path], Reading("raster", year=2024, model="m", licence="CC0-1.0"))
    assert [(raster.product.name, raster.product.licence) for raster in rasters] == [("m", "CC0-1.0")]
    assert skipped == []


def test_a_zone_owns_its_six_degrees_and_its_half_of_the_globe() -> None:
    north, south = (0.0, 91.0), (-90.0, 0.0)
    for code, middle, half in (
        (32601, -177, north), (32660, 177, north), (32701, -177, south), (32760, 177, south),
    ):  # fmt: skip
        crs = f"EPSG:{code}"
        assert nominal_zone(crs) == LonLatBox(middle, 3.0, *half)
        assert nominal_zone(crs, hemisphere=False) == LonLatBox(middle, 3.0)
    assert [nominal_zone(f"EPSG:{code}") for code in (32661, 32761, 4326, 25832)] == [None] * 4
