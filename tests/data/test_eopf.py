"""A small product in ESA's Zarr layout: reflectance, offset, fill and scene classification right."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from data.cover import plan_chips
from data.eopf import ZarrBand
from data.raster import open_raster
from data.reader import read_sample
from data.sample import InputError, Sample, SampleSpec
from data.site import Skip
from data.stac import read_catalog
from tests.data.conftest import LEFT, TOP

zarr = pytest.importorskip("zarr")
SPEC = SampleSpec()
ITEM = "S2C_MSIL2A_20250330T100051_N0511_R122_T32UPA_20250330T145914"
TEN = {"B02": 1100, "B03": 1200, "B04": 1300, "B08": 1700}  # as stored: reflectance x 10000, plus 1000
TWENTY = {"B05": 1400, "B06": 1500, "B07": 1600, "B8A": 1800, "B11": 1900, "B12": 2000}
RIGHT = [100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]


def write_array(path: Path, values: np.ndarray, gsd_m: int, zarr_format: int, **attributes: Any) -> None:
    """One array, and the coordinates of its pixels' centres beside it."""
    height, width = values.shape
    coordinates = {
        "x": LEFT + gsd_m * (np.arange(width) + 0.5),
        "y": TOP - gsd_m * (np.arange(height) + 0.5),
    }
    for name, found in {path.name: values, **coordinates}.items():
        array = zarr.create_array(
            path.parent / name, data=found, chunks=found.shape, fill_value=0, zarr_format=zarr_format,
            overwrite=True, attributes=attributes if name == path.name else {},
        )  # fmt: skip
        assert array.shape == found.shape


def write_product(folder: Path, zarr_format: int = 2, item_id: str = ITEM) -> Path:
    """The store and its item, whose assets name arrays in it."""
    store = folder / f"{item_id}.zarr"
    zarr.create_group(
        store, zarr_format=zarr_format, attributes={"stac_discovery": {"properties": {"proj:epsg": 32632}}}
    )
    encoded = {"scale_factor": 0.0001, "add_offset": -0.1, "valid_min": 1, "units": "digital_counts"}
    assets = {}
    for gsd_m, bands in ((10, TEN), (20, TWENTY)):
        px = 640 // gsd_m
        for name, value in bands.items():
            values = np.full((px, px), value, np.uint16)
            values[: px // 8] = 0  # the fill: an eighth in the north
            inner = f"measurements/reflectance/r{gsd_m}m/{name.lower()}"
            write_array(store / inner, values, gsd_m, zarr_format, **encoded)
            assets[f"{name}_{gsd_m}m"] = {"href": f"./{store.name}/{inner}", "bands": [{"name": name}]}
    classes = np.full((32, 32), 4, np.uint8)
    classes[:, :16] = 9  # the western half is cloud
    inner = "conditions/mask/l2a_classification/r20m/scl"
    write_array(store / inner, classes, 20, zarr_format)
    assets["SCL_20m"] = {"href": f"./{store.name}/{inner}"}
    assets["SR_10m"] = {
        "href": f"./{store.name}/measurements/reflectance/r10m",
        "bands": [{"name": name} for name in TEN],
    }
    for asset in assets.values():
        asset |= {"type": "application/vnd+zarr", "roles": ["data"]}
    item = {
        "type": "Feature", "stac_version": "1.1.0", "id": item_id, "collection": "sentinel-2-l2a",
        "geometry": None, "links": [], "assets": assets,
        "properties": {"datetime": "2025-03-30T10:00:51Z", "platform": "sentinel-2c"},
    }  # fmt: skip
    path = folder / "item.json"
    path.write_text(json.dumps(item))
    return path


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_reflectance_offset_fill_and_clouds_are_right(tmp_path: Path, zarr_format: int) -> None:
    catalog = read_catalog(write_product(tmp_path, zarr_format))
    (scene,) = catalog.scenes
    assert scene.provider == "ESA EOPF Zarr"
    assert (scene.offset, scene.missing_bands) == (-1000, ())
    assert (scene.grid.crs, scene.grid.transform) == ("EPSG:32632", (10, 0, LEFT, 0, -10, TOP))
    (task,) = plan_chips(catalog, SPEC).tasks
    sample = read_sample(task, SPEC)
    assert isinstance(sample, Sample), sample
    series = sample.series["s2"]
    rows, cols = np.mgrid[:64, :64]
    np.testing.assert_array_equal(series.valid[0], (rows >= 8) & (cols >= 32))
    np.testing.assert_array_equal(series.pixels[0][:, 40, 40], RIGHT)
    assert sample.cloud_fraction == pytest.approx(0.5)


def test_a_part_of_a_store_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "P.zarr" / "r10m" / "b02"
    values = np.arange(1, 4097, dtype=np.uint16).reshape(64, 64)
    write_array(path, values, 10, 2, **{"proj:epsg": 32632, "scale_factor": 0.0001, "add_offset": -0.1})
    band = ZarrBand(str(path))
    assert (band.scales, band.offsets, band.nodata) == ((0.0001,), (-0.1,), 0.0)
    window = rasterio.windows.Window(10, 20, 5, 4)
    np.testing.assert_array_equal(band.read([1], window=window)[0], values[20:24, 10:15])
    np.testing.assert_array_equal(band.read([1], out_shape=(1, 4, 4))[0], values[8::16, 8::16])


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_store_cut_short_is_the_reason_for_its_date(tmp_path: Path, zarr_format: int) -> None:
    catalog = read_catalog(write_product(tmp_path, zarr_format))
    folder = tmp_path / f"{ITEM}.zarr" / "measurements" / "reflectance" / "r10m" / "b02"
    chunk = folder / ("0.0" if zarr_format == 2 else "c/0/0")
    chunk.write_bytes(chunk.read_bytes()[:-10])
    (task,) = plan_chips(catalog, SPEC).tasks
    skip = read_sample(task, SPEC)
    assert isinstance(skip, Skip)
    assert "b02 is truncated or corrupt" in skip.reason


@pytest.mark.parametrize("said", [{"scale_factor": "ten"}, {"proj:transform": "north"}, {"_eopf_attrs": 7}])
def test_attributes_that_are_none_are_an_input_error(tmp_path: Path, said: dict[str, Any]) -> None:
    path = tmp_path / "P.zarr" / "b02"
    write_array(path, np.ones((8, 8), np.uint16), 10, 2, **{"proj:epsg": 32632, **said})
    with pytest.raises(InputError, match="attributes that cannot be read"):
        open_raster(str(path))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: "https://example.org/P.zarr/b02", "copy it here"),
        (lambda folder: str(folder / "P.zarr" / "gone"), "no such raster|no array"),
        (lambda folder: write_array(folder / "P.zarr" / "b02", np.ones((8, 8), np.uint16), 10, 2)
         or str(folder / "P.zarr" / "b02"), "says no projection"),
    ],
)  # fmt: skip
def test_what_is_no_band_of_a_store_is_an_input_error(tmp_path: Path, make: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        open_raster(make(tmp_path))
