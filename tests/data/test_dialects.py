"""Each row of `data/dialects.py`: an item made in that dialect, its pixels worked out by hand.

The fields that decide (keys, types, values) are those of the item or reader that the row names as its source.
"""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data import stac_item
from data.cover import plan_chips
from data.dialects import DIALECTS
from data.modality import MODALITIES
from data.reader import read_sample
from data.sample import Sample, SampleSpec
from data.stac import read_catalog
from tests.data.conftest import LEFT, TOP, write_raster

SPEC = SampleSpec()
SIDE_M = 640
COG = "image/tiff; application=geotiff; profile=cloud-optimized"
UNREAD = "unread"  # a raster that must not be opened: its file is not there
S2_NAMES = MODALITIES["s2"].bands
COMMON = dict(
    zip(
        S2_NAMES,
        ("blue", "green", "red", "rededge1", "rededge2", "rededge3", "nir", "nir08", "swir16", "swir22"),
        strict=True,
    )
)
AUSTRALIAN = {
    "B05": "red_edge_1",
    "B06": "red_edge_2",
    "B07": "red_edge_3",
    "B08": "nir_1",
    "B8A": "nir_2",
    "B11": "swir_2",
    "B12": "swir_3",
}
REFLECTANCE = {name: 100 * i for i, name in enumerate(S2_NAMES, start=1)}  # B02 100 ... B12 1000
DELIVERED = {name: value + 1000 for name, value in REFLECTANCE.items()}  # as ESA writes them since 04.00


@dataclass(frozen=True)
class Layer:
    """One asset: constant values, one a band."""

    values: Any  # one number a band, an array (H, W), or UNREAD
    dtype: str = "uint16"
    gsd_m: float = 10.0
    fields: dict[str, Any] = field(default_factory=dict)
    suffix: str = ".tif"


@dataclass(frozen=True)
class Case:
    """An item in a dialect, and what is right."""

    provider: str
    collection: str
    assets: dict[str, Layer]
    properties: dict[str, Any]
    right: dict[str, float]  # by band, in the modality's unit
    valid: float = 1.0  # share of pixels
    item_id: str = "item"
    stac_version: str = "1.0.0"
    grid_of_asset: bool = True  # else projection fields stand at the item


def half(west: int, east: int, px: int = 32) -> np.ndarray:
    """(px, px): one value in the west, one in the east."""
    return np.where(np.arange(px) < px // 2, west, east) * np.ones((px, 1), int)


def one_a_band(
    values: dict[str, float], key: Any, fields: Any = lambda name: {}, **more: Any
) -> dict[str, Layer]:
    return {key(name): Layer(value, fields=fields(name), **more) for name, value in values.items()}


def eo(name: str, common: str) -> dict[str, Any]:
    return {"eo:bands": [{"name": name, "common_name": common}]}


EARTH_SEARCH = {
    **one_a_band(
        DELIVERED,
        COMMON.get,
        lambda b: (
            eo(COMMON[b], COMMON[b])
            | {"raster:bands": [{"nodata": 0, "data_type": "uint16", "scale": 0.0001, "offset": -0.1}]}
        ),
    ),
    **{f"{COMMON[b]}-jp2": Layer(UNREAD, fields=eo(COMMON[b], COMMON[b]), suffix=".jp2") for b in S2_NAMES},
    "aot": Layer(UNREAD),
    "wvp": Layer(UNREAD),
    "aot-jp2": Layer(UNREAD, suffix=".jp2"),
    "visual": Layer(
        UNREAD, "uint8", fields={"eo:bands": [{"common_name": c} for c in ("red", "green", "blue")]}
    ),
    "scl": Layer(half(9, 4), "uint8", 20.0),
}
S2B = {"platform": "sentinel-2b", "constellation": "sentinel-2"}
CORRECTED = {
    key: Layer(
        layer.values - 1000 if key in COMMON.values() else layer.values,
        layer.dtype,
        layer.gsd_m,
        layer.fields,
        layer.suffix,
    )
    for key, layer in EARTH_SEARCH.items()
}
RADAR = {"VV": 0.1, "VH": 0.01}  # power: -10 and -20 dB
IN_DB = {"VV": -10.0, "VH": -20.0}
S1A = {"platform": "SENTINEL-1A", "constellation": "Sentinel-1", "sar:product_type": "GRD"}
RGB = {"R": 90, "G": 120, "B": 60}
CASES = [
    Case(
        "Earth Search v1",
        "sentinel-2-l2a",
        EARTH_SEARCH,
        {**S2B, "s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": False},
        REFLECTANCE,
        0.5,
    ),
    Case(
        "Earth Search v1",
        "sentinel-2-c1-l2a",
        CORRECTED,
        {**S2B, "s2:processing_baseline": "05.00", "earthsearch:boa_offset_applied": True},
        REFLECTANCE,
        0.5,
    ),
    Case(
        "Earth Search v1",
        "sentinel-2-l1c",
        {key: layer for key, layer in EARTH_SEARCH.items() if key != "scl"},
        {**S2B, "s2:processing_baseline": "05.10", "earthsearch:boa_offset_applied": False},
        REFLECTANCE,
    ),
    Case(
        "Earth Search v0",
        "sentinel-s2-l2a-cogs",
        {
            **one_a_band(REFLECTANCE, str, lambda b: eo(b, COMMON[b])),
            "overview": Layer(UNREAD, "uint8"),
            "AOT": Layer(UNREAD),
            "WVP": Layer(UNREAD),
            "SCL": Layer(half(3, 4), "uint8", 20.0),
        },
        {
            **S2B,
            "sentinel:processing_baseline": "02.14",
            "sentinel:boa_offset_applied": False,
            "sentinel:product_id": "S2A_MSIL2A_20200714T115221_N0214_R123_T28QCH_20200714T191310",
        },
        REFLECTANCE,
        0.5,
    ),
    Case(
        "Copernicus Data Space, STAC 1.1",
        "sentinel-2-l2a",
        {
            **one_a_band(
                DELIVERED,
                lambda b: f"{b}_{10 if b in ('B02', 'B03', 'B04', 'B08') else 20}m",
                lambda b: {
                    "bands": [{"name": b, "eo:common_name": COMMON[b]}],
                    "nodata": 0,
                    "data_type": "uint16",
                    "raster:scale": 0.0001,
                    "raster:offset": -0.1,
                },
            ),
            "B02_60m": Layer(UNREAD, fields={"bands": [{"name": "B02"}]}, suffix=".jp2"),
            "AOT_10m": Layer(UNREAD, suffix=".jp2"),
            "TCI_10m": Layer(UNREAD, "uint8", suffix=".jp2"),
            "SCL_20m": Layer(half(9, 4), "uint8", 20.0),
            "SCL_60m": Layer(UNREAD, "uint8", 60.0, suffix=".jp2"),
        },
        {
            "platform": "sentinel-2c",
            "constellation": "sentinel-2",
            "processing:level": "L2",
            "processing:version": "05.11",
        },
        REFLECTANCE,
        0.5,
        "S2C_MSIL2A_20250330T100051_N0511_R122_T33UWP_20250330T145914",
        "1.1.0",
    ),
    Case(
        "Planetary Computer",
        "sentinel-2-l2a",
        {
            **one_a_band(DELIVERED, str, lambda b: eo(b, COMMON[b])),
            "AOT": Layer(UNREAD),
            "WVP": Layer(UNREAD),
            "B01": Layer(UNREAD, fields=eo("B01", "coastal")),
            "visual": Layer(UNREAD, "uint8"),
            "SCL": Layer(half(8, 5), "uint8", 20.0),
        },
        {
            "platform": "Sentinel-2B",
            "constellation": "Sentinel 2",
            "s2:processing_baseline": "05.10",
            "s2:product_type": "S2MSI2A",
        },
        REFLECTANCE,
        0.5,
    ),
    Case(
        "Digital Earth Africa",
        "s2_l2a",
        {
            **one_a_band(REFLECTANCE, str, lambda b: eo(b, COMMON[b])),
            "AOT": Layer(UNREAD),
            "SCL": Layer(half(10, 6), "uint8", 20.0),
        },
        {
            "platform": "sentinel-2a",
            "constellation": "sentinel-2",
            "sentinel:processing_baseline": "04.00",
            "sentinel:boa_offset_applied": True,
        },
        REFLECTANCE,
        0.5,
        grid_of_asset=False,
    ),
    Case(
        "Digital Earth Australia",
        "ga_s2am_ard_3",
        {
            **one_a_band(
                REFLECTANCE,
                lambda b: "nbart_" + AUSTRALIAN.get(b, COMMON[b]),
                lambda b: {"eo:bands": [{"name": "nbart_" + COMMON[b]}]},
                dtype="int16",
            ),
            "nbart_coastal_aerosol": Layer(UNREAD),
            "oa_solar_zenith": Layer(UNREAD, "float32"),
            "oa_fmask": Layer(half(2, 1), "uint8", 20.0),
        },
        {"platform": "sentinel-2a"},
        REFLECTANCE,
        0.5,
    ),
    Case(
        "NASA HLS S30 v2.0",
        "HLSS30.v2.0",
        {
            **one_a_band(REFLECTANCE, str, dtype="int16"),
            "Fmask": Layer(half(0b1000, 0b0001_0000), "uint8", 20.0),
            "SZA": Layer(UNREAD),
            "B10": Layer(UNREAD),
        },
        {"platform": "sentinel-2a"},
        REFLECTANCE,
        0.5,
    ),
    Case(
        "Planetary Computer",
        "sentinel-1-rtc",
        one_a_band(
            RADAR,
            str.lower,
            lambda b: {"raster:bands": [{"nodata": -32768, "data_type": "float32"}]},
            dtype="float32",
        ),
        S1A,
        IN_DB,
        grid_of_asset=False,
    ),
    Case(
        "Indigo on AWS",
        "sentinel1-rtc-aws",
        {
            **one_a_band(
                RADAR,
                lambda b: f"gamma0_{b.lower()}",
                lambda b: {"raster:bands": [{"nodata": 0}], "roles": ["data", "gamma0"]},
                dtype="float32",
            ),
            "incidence": Layer(
                UNREAD, fields={"raster:bands": [{"nodata": 0, "unit": "degrees", "scale": 0.01}]}
            ),
        },
        {**S1A, "sar:product_type": "RTC"},
        IN_DB,
        grid_of_asset=False,
    ),
    Case(
        "Digital Earth Africa",
        "s1_rtc",
        {
            **one_a_band(RADAR, str.lower, dtype="float32"),
            "mask": Layer(UNREAD, "uint8"),
            "area": Layer(UNREAD, "float32"),
            "angle": Layer(UNREAD, "uint8"),
        },
        {"platform": "sentinel-1a"},
        IN_DB,
        grid_of_asset=False,
    ),
    Case(
        "OPERA RTC-S1",
        "OPERA_L2_RTC-S1_V1",
        {
            **one_a_band(
                RADAR,
                lambda b: f"OPERA_L2_RTC-S1_T063-133415-IW2_20170620T001327Z_S1A_30_v1.0_{b}",
                dtype="float32",
            ),
            "OPERA_L2_RTC-S1_v1.0_mask": Layer(UNREAD, "uint8"),
        },
        {"platform": "Sentinel-1A"},
        IN_DB,
    ),
    Case(
        "ASF HyP3 RTC",
        "my-rtc-jobs",
        one_a_band({"VV": 0.1, "VH": 0.01}, str, dtype="float32"),
        {"platform": "sentinel-1a"},
        {"VV": -20.0, "VH": -40.0},
        item_id="S1A_IW_20240101T000000_DVP_RTC30_G_gauned_ABCD",
    ),
    Case(
        "USDA NAIP",
        "naip",
        {
            "image": Layer(
                (90, 120, 60, 200),
                "uint8",
                2.5,
                {
                    "eo:bands": [
                        {"name": n, "common_name": n.lower()} for n in ("Red", "Green", "Blue", "NIR")
                    ]
                },
            )
        },
        {"gsd": 0.6},
        RGB,
    ),
    Case(
        "Planet NICFI, analytic",
        "planet-nicfi-analytic",
        {
            "data": Layer(
                (1186, 2372, 3558, 4000),
                "uint16",
                2.5,
                {
                    "eo:bands": [
                        {"name": n, "common_name": n.lower()} for n in ("Blue", "Green", "Red", "NIR")
                    ],
                    "raster:bands": [{"scale": 1.0, "offset": 0.0, "data_type": "uint16"}] * 4,
                },
            )
        },
        {"gsd": 4.77},
        {"R": 255, "G": 170, "B": 85},
        grid_of_asset=False,
    ),
    Case(
        "Planet NICFI, visual", "planet-nicfi-visual", {"data": Layer((90, 120, 60), "uint8", 2.5)}, {}, RGB
    ),
    Case(
        "Maxar Open Data",
        "10300100E6747500",
        {
            "visual": Layer(
                (90, 120, 60),
                "uint8",
                2.5,
                {
                    "eo:bands": [
                        {"name": f"BAND_{n}", "common_name": c}
                        for n, c in (("R", "red"), ("G", "green"), ("B", "blue"))
                    ],
                    "roles": ["visual"],
                },
            ),
            "ms_analytic": Layer(
                UNREAD, fields={"eo:bands": [{"common_name": c} for c in ("red", "green", "blue", "nir")]}
            ),
            "pan_analytic": Layer(UNREAD),
        },
        {"platform": "WV02"},
        RGB,
    ),
    Case(
        "Planet SkySat",
        "skysat-images",
        {
            "visual": Layer((90, 120, 60), "uint8", 2.5),
            "analytic": Layer(UNREAD),
            "analytic_sr": Layer(UNREAD),
            "panchromatic": Layer(UNREAD),
        },
        {"platform": "SSC1", "constellation": "skysat"},
        RGB,
    ),
    Case(
        "swisstopo SWISSIMAGE",
        "ch.swisstopo.swissimage-dop10",
        {
            "swissimage-dop10_2018_2600-1200_2_2056.tif": Layer(UNREAD),
            "swissimage-dop10_2018_2600-1200_0.1_2056.tif": Layer((90, 120, 60), "uint8", 2.5),
        },
        {},
        RGB,
    ),
    Case(
        "OpenAerialMap",
        "openaerialmap",
        {"visual": Layer((90, 120, 60), "uint8", 2.5, {"roles": ["visual"]})},
        {},
        RGB,
    ),
]


def write_case(folder: Path, case: Case) -> Path:
    """The item and its rasters, over one square of 640 m."""
    assets, grids = {}, []
    for key, layer in case.assets.items():
        px = round(SIDE_M / layer.gsd_m)
        grid = {
            "proj:epsg": 32632,
            "proj:shape": [px, px],
            "proj:transform": [layer.gsd_m, 0, LEFT, 0, -layer.gsd_m, TOP],
        }
        grids.append(grid)
        name = f"{key}{layer.suffix}"
        if not isinstance(layer.values, str):
            values = np.atleast_1d(np.asarray(layer.values, layer.dtype))
            shown = values[:, None, None] if values.ndim == 1 else values[None]
            pixels = np.broadcast_to(shown, (len(shown), px, px)).astype(layer.dtype)
            write_raster(folder / name, pixels, gsd=layer.gsd_m)
        media = "image/jp2" if layer.suffix == ".jp2" else COG
        assets[key] = {"href": f"./{name}", "type": media, "roles": ["data"], **layer.fields}
        assets[key] |= grid if case.grid_of_asset else {}
    item = {
        "type": "Feature",
        "stac_version": case.stac_version,
        "id": case.item_id,
        "collection": case.collection,
        "bbox": [10.40, 50.53, 10.43, 50.55],
        "geometry": {
            "type": "Polygon",
            "coordinates": [[[10.40, 50.53], [10.43, 50.53], [10.43, 50.55], [10.40, 50.55], [10.40, 50.53]]],
        },
        "links": [],
        "assets": assets,
        "properties": {
            "datetime": "2024-06-01T10:00:00Z",
            **case.properties,
            **({} if case.grid_of_asset else grids[0]),
        },
    }
    path = folder / "item.json"
    path.write_text(json.dumps(item))
    return path


def read_case(folder: Path, case: Case) -> Sample:
    folder.mkdir(exist_ok=True)
    catalog = read_catalog(write_case(folder, case))
    assert [place.problems for place in catalog.places] == [()]
    (task,) = plan_chips(catalog, SPEC, allow_l1c=True).tasks
    sample = read_sample(task, SPEC)
    assert isinstance(sample, Sample), sample
    return sample


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.provider} {case.collection}")
def test_an_item_in_this_dialect_is_read_right(tmp_path: Path, case: Case, monkeypatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(stac_item, "open_raster", opened.append)
    sample = read_case(tmp_path, case)
    assert opened == []  # metadata sufficed
    (modality,) = sample.series
    series = sample.series[modality]
    assert series.valid.mean() == case.valid
    got = {name: series.pixels[0, i][series.valid[0]] for i, name in enumerate(MODALITIES[modality].bands)}
    for name, right in case.right.items():
        np.testing.assert_allclose(got[name], right, rtol=0, atol=1e-4 if modality == "s1" else 0)
    (scene,) = read_catalog(tmp_path / "item.json").scenes
    assert scene.provider == case.provider


def case_of(provider: str) -> Case:
    return next(case for case in CASES if case.provider == provider)


def test_what_no_data_is_may_be_told_by_the_row_alone(tmp_path: Path) -> None:
    case = case_of("Digital Earth Australia")
    halved = {
        key: replace(layer, values=half(-999, layer.values, 64))
        for key, layer in case.assets.items()
        if isinstance(layer.values, int)
    }
    clear = {"oa_fmask": replace(case.assets["oa_fmask"], values=1)}
    sample = read_case(tmp_path, replace(case, assets=halved | clear))
    np.testing.assert_array_equal(sample.series["s2"].valid[0], np.arange(64) >= np.full((64, 1), 32))


def test_the_name_of_a_product_tells_its_backscatter(tmp_path: Path) -> None:
    case = case_of("ASF HyP3 RTC")
    for letter, backscatter in (("g", "gamma0"), ("s", "sigma0")):
        named = replace(case, item_id=case.item_id.replace("_gauned", f"_{letter}auned"))
        (scene,) = read_catalog(write_case(tmp_path, named)).scenes
        assert scene.backscatter == backscatter


def test_every_row_is_tested_or_refused() -> None:
    tested = {case.provider for case in CASES}
    rows = {row.provider for row in DIALECTS if not row.refused}
    assert rows == tested | {"ESA EOPF Zarr"}  # whose store is made in test_eopf.py


REFUSED = {
    "sentinel1-grd": (
        "Sentinel-1 GRD as delivered",
        {"vv": Layer(UNREAD), "schema-calibration-vv": Layer(UNREAD)},
    ),
    "HLSL30.v2.0": ("HLS L30 is Landsat", one_a_band(REFLECTANCE, str)),
    "landsat-c2-l2": ("Landsat", {"red": Layer(UNREAD), "nir08": Layer(UNREAD)}),
    "ga_ls8c_ard_3": ("Landsat", {"nbart_blue": Layer(UNREAD)}),
    "modis-09A1-061": ("MODIS", {"sur_refl_b01": Layer(UNREAD)}),
}


@pytest.mark.parametrize("collection", REFUSED)
def test_look_alikes_are_refused_by_name(tmp_path: Path, collection: str) -> None:
    said, assets = REFUSED[collection]
    path = write_case(tmp_path, Case("", collection, assets, {"sar:product_type": "GRD"}, {}))
    (place,) = read_catalog(path).places
    assert place.scenes == ()
    assert said in place.problems[0]


def test_landsat_is_told_by_its_platform_in_any_collection(tmp_path: Path) -> None:
    case = Case("", "my-scenes", one_a_band(REFLECTANCE, str), {"platform": "landsat-8"}, {})
    (place,) = read_catalog(write_case(tmp_path, case)).places
    assert "Landsat" in place.problems[0]


def test_rows_say_where_they_were_seen() -> None:
    for row in DIALECTS:
        assert row.refused or (row.source and row.date)


def test_docs_print_every_row() -> None:
    page = (Path(__file__).parents[2] / "docs" / "imagery.md").read_text(encoding="utf-8")
    for row in DIALECTS:
        (line,) = [
            line
            for line in page.splitlines()
            if line.startswith(f"| {row.provider} ") and row.collections[0] in line
        ]
        assert ("unverified" in line) is (not row.seen)
        assert all(f"`{pattern}`" in line for pattern in (*row.collections, *row.marks, *row.bands))
        assert all(text in line for text in (row.source, row.date, row.refused, row.unit, row.backscatter))
        assert row.nodata is None or f"no data {row.nodata:g}" in line
        assert row.mask is None or f"cloud from `{row.mask.asset}` ({row.mask.kind})" in line


def test_an_item_without_a_row_is_told_by_its_own_fields(tmp_path: Path) -> None:
    case = Case("", "anything", one_a_band(REFLECTANCE, str), {"platform": "sentinel-2a"}, REFLECTANCE)
    sample = read_case(tmp_path, case)
    assert sample.series["s2"].pixels[0, 0, 0, 0] == 100
