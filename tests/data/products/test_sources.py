"""How an address is opened, and what a raster must be told of itself."""

from pathlib import Path

import pytest

from data.products.raster import gdal_path
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
