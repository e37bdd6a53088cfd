"""One item: where it lies, which asset holds which band, what its offset and cloud cover are."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pystac
import pytest

from data import stac_item
from data.cover import MAX_TILES, plan_chips
from data.dialects import Dialect
from data.grid import project
from data.item_grid import _grid_at
from data.licence import licence_of
from data.reader import read_sample
from data.s2_offset import s2_offset, s2_offset_reason
from data.sample import SampleSpec
from data.stac_item import (
    HR_GSD_M,
    _depth,
    _is_raster,
    _level,
    _nodata,
    _plain,
    _raster_field,
    _scale,
    acquisition_time,
    asset_href,
    cloud_percent,
)
from tests.data.conftest import LEFT, TOP, TinyCatalog, write_raster

SPEC = SampleSpec()
HERE = [10.40, 50.53, 10.43, 50.55]  # of the tiny catalog's rasters
GDAL_ORDER = [LEFT, 10, 0, TOP, 0, -10]


def item_with(tiny: TinyCatalog, bbox: list[float] | None, **properties: object) -> str | None:
    """The one problem of an item of Sentinel-1 with these fields, or None if it gives a scene."""
    tiny.add("s1", "one", **properties)
    path = tiny.folder / "one" / "one.json"
    text = path.read_text().replace('"geometry": null', f'"geometry": null, "bbox": {bbox or "null"}')
    path.write_text(text.replace('"bbox": null, ', ""))
    (place,) = tiny.read().places
    assert len(place.scenes) + len(place.problems) == 1
    return place.problems[0] if place.problems else None


@pytest.mark.parametrize("bbox", [None, HERE, [10.0, 50.0, 11.0, 51.0], [10.425, 50.54, 10.426, 50.541]])
def test_a_bbox_around_in_or_beside_the_grid_agrees(tiny, bbox):
    assert item_with(tiny, bbox) is None


@pytest.mark.parametrize(
    ("transform", "bbox"),
    [
        ([10, 0, LEFT, 0, -10, TOP], [40.0, -5.0, 41.0, -4.0]),  # another place
        ([10, 0, LEFT, 0, 0, TOP], HERE),  # no height
        ([1, 0, 0, 0, -1, 0], [100.0, 50.0, 101.0, 51.0]),  # no transform at all
        ([20000, 0, LEFT, 0, -20000, TOP], HERE),  # pixels of 20 km
    ],
)
def test_a_transform_that_contradicts_the_bbox_leaves_the_item_out(tiny, transform, bbox):
    problem = item_with(tiny, bbox, **{"proj:transform": transform})
    assert "contradicts its bbox or geometry" in problem


def test_a_grid_on_the_antimeridian_lies_in_a_bbox_across_it(tiny):
    (x,), (y,) = project("EPSG:32660", np.array([180.0]), np.array([50.5]))
    for east_of_it in (False, True):  # the footprint's own longitudes are near 180, or near -180
        tiny.items.clear()
        left = float(x) if east_of_it else float(x) - 640
        assert (
            item_with(tiny, [179.95, 50.4, -179.95, 50.6], crs="EPSG:32660", left=left, top=float(y)) is None
        )


def test_a_bbox_across_the_antimeridian_is_not_the_other_way_around_the_globe(tiny):
    assert "contradicts" in item_with(tiny, [179.95, 50.4, -179.95, 50.6])


def test_gdals_order_is_read_where_the_bbox_proves_it(tiny):
    assert item_with(tiny, HERE, **{"proj:transform": GDAL_ORDER}) is None
    (scene,) = tiny.read().scenes
    assert scene.grid.transform == (10, 0, LEFT, 0, -10, TOP)
    assert "GDAL's order" in scene.decisions[-1]


def test_gdals_order_without_bbox_or_geometry_is_refused(tiny):
    assert "contradicts" in item_with(tiny, None, **{"proj:transform": GDAL_ORDER})


@pytest.mark.parametrize("shape", [[10**9, 10**9], [0, 64], [-5, 64]])
def test_a_shape_of_no_raster_leaves_the_item_out(tiny, shape):
    assert "proj:shape" in item_with(tiny, None, **{"proj:shape": shape})


def test_a_place_too_wide_to_plan_is_skipped_at_once(tiny):
    tiny.add(
        "s2", "wide", **{"proj:shape": [200_000, 200_000], "proj:transform": [10, 0, 0, 0, -10, 8_000_000]}
    )
    plan = plan_chips(tiny.read(), SPEC)
    assert plan.tasks == ()
    assert f"{MAX_TILES:,} at most" in plan.skipped[0].reason


@pytest.mark.parametrize(
    ("said", "percent"),
    [
        *(("12.5", 12.5), (12, 12), (0, 0), (100, 100), (None, None), ("", None), ("n/a", None)),
        *((-1, None), ("-1", None), (150, None), (float("nan"), None), ([], None)),
    ],
)
def test_cloud_cover_in_every_form(tiny, said, percent):
    assert cloud_percent(said) == percent
    tiny.add("s2", "one", **({} if said is None else {"eo:cloud_cover": said}))
    if said == said:  # JSON has no NaN
        (scene,) = tiny.read().scenes
        assert scene.cloud_percent == percent


NAME = "S2A_MSIL2A_20230625T234621_N0509_R073_T01WCP_20230626T022157"


@pytest.mark.parametrize(
    ("properties", "item_id", "declared", "offset", "reason"),
    [
        ({"processing:version": "05.11"}, "", None, -1000, "processing:version"),
        ({"processing:version": "2.10.3"}, "", None, None, "nothing"),
        (
            {"sentinel:processing_baseline": "04.00", "sentinel:boa_offset_applied": True},
            "",
            None,
            0,
            "is true",
        ),
        (
            {"sentinel:processing_baseline": "04.00", "sentinel:boa_offset_applied": False},
            "",
            None,
            -1000,
            "04.00",
        ),
        ({"sentinel:processing_baseline": "02.14"}, "", -0.1, 0, "02.14"),
        ({"s2:product_uri": f"{NAME}.SAFE"}, "", None, -1000, "s2:product_uri"),
        ({"sentinel:product_id": NAME.replace("N0509", "N0214")}, "", None, 0, "sentinel:product_id"),
        ({}, NAME, None, -1000, "item's name"),
        ({}, "", -0.1, -1000, "raster offset"),
        ({}, "", 0.0, 0, "raster offset"),
        ({"earthsearch:boa_offset_applied": True}, NAME, -0.1, 0, "earthsearch"),
        ({"earthsearch:boa_offset_applied": False}, "", -0.1, -1000, "raster offset"),
        ({"sample:boa_offset": "none", "s2:processing_baseline": "05.09"}, NAME, -0.1, 0, "sample"),
    ],
)
def test_all_five_ways_in_their_order_of_trust(properties, item_id, declared, offset, reason):
    assert s2_offset(properties, item_id, declared) == offset
    assert reason in s2_offset_reason(properties, item_id, declared)


def band_assets(tiny: TinyCatalog, names: list[str], **more: dict) -> dict[str, dict]:
    path = write_raster(tiny.folder / "band.tif", np.full((1, 64, 64), 500, np.uint16), names=("B02",))
    return {name: {"href": str(path), "type": "image/tiff", "roles": ["data"], **more} for name in names}


def test_only_a_missing_band_opens_a_raster_and_one_that_is_gone_costs_nothing(tiny):
    others = ["B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"]
    assets = band_assets(tiny, others) | band_assets(tiny, ["blau"])
    assets |= {"weg": {"href": "./gone.tif", "type": "image/tiff", "roles": ["data"]}}
    tiny.write_item("one", {"datetime": "2020-01-01T00:00:00Z", "platform": "sentinel-2a"}, assets, "mine")
    (place,) = tiny.read().places
    (scene,) = place.scenes
    assert scene.missing_bands == ()
    assert place.problems == ()


def test_a_coarse_copy_of_a_band_gives_way_to_the_fine_one_in_any_order(tiny):
    fine, coarse = (
        write_raster(tiny.folder / f"{g}.tif", np.ones((1, 8, 8), np.uint16), gsd=g) for g in (10, 60)
    )
    bands = ("B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
    assets = band_assets(tiny, [f"{band}_20m" for band in bands])
    for key, path in (("B02_60m", coarse), ("B02_10m", fine)):
        assets[key] = {"href": str(path), "type": "image/tiff", "roles": ["data"]}
    tiny.write_item("one", {"datetime": "2020-01-01T00:00:00Z", "platform": "sentinel-2a"}, assets, "mine")
    (scene,) = tiny.read().scenes
    assert scene.href == str(fine)


def test_the_grid_is_that_of_the_finest_band_whichever_it_is(tiny):
    def grid(gsd_m):
        transform = [gsd_m, 0, LEFT, 0, -gsd_m, TOP]
        return {"proj:code": "EPSG:32632", "proj:shape": [640 // gsd_m] * 2, "proj:transform": transform}

    bands = ("B02", "B03", "B04", "B05", "B06", "B07", "B8A", "B11", "B12")
    assets = band_assets(tiny, bands, **grid(20)) | band_assets(tiny, ["B08"], **grid(10))
    tiny.write_item("one", {"datetime": "2020-01-01T00:00:00Z", "platform": "sentinel-2a"}, assets, "mine")
    (scene,) = tiny.read().scenes
    assert scene.grid.gsd_m == 10


def test_sentinel_2s_own_scale_adds_nothing_to_a_scene(tiny):
    tiny.add("s2", "plain")
    tiny.add("s2", "told", asset={"raster:scale": 0.0001})
    tiny.add("s2", "other", asset={"raster:scale": 0.001})
    assert {scene.item_id: scene.scale for scene in tiny.read().scenes} == {
        "plain": None,
        "told": None,
        "other": 0.001,
    }


def test_sigma_and_gamma_are_not_mixed(tiny):
    for day in (1, 2, 3):
        tiny.add("s1", f"g{day}", date=f"2020-06-0{day}T00:00:00Z", collection="sentinel-1-rtc")
    sigma = {"roles": ["data", "sigma0"]}
    tiny.add("s1", "s", date="2020-06-04T00:00:00Z", collection="sentinel-1-grd", asset=sigma)
    tiny.add("s1", "unknown", date="2020-06-05T00:00:00Z", collection="sentinel-1-grd")
    (task,) = plan_chips(tiny.read(), SPEC).tasks
    assert {a.scenes[0].item_id for a in task.series["s1"]} == {"g1", "g2", "g3", "unknown"}
    assert task.dropped == (("s1", "1 of 5 scenes are sigma0 and not mixed with gamma0"),)


def test_where_no_metadata_tell_the_grid_one_raster_does(tiny, monkeypatch):
    opened = []
    real = stac_item.open_raster
    monkeypatch.setattr(stac_item, "open_raster", lambda href: (opened.append(href), real(href))[1])
    names = ["B12", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B02"]
    tiny.write_item(
        "one",
        {"datetime": "2020-01-01T00:00:00Z", "platform": "sentinel-2a"},
        band_assets(tiny, names),
        "mine",
    )
    (scene,) = tiny.read().scenes
    assert len(opened) == 1
    assert scene.grid.shape == (64, 64)


def test_licence_and_attribution_go_with_the_sample(tiny):
    esa = [{"name": "ESA", "roles": ["licensor"]}, {"name": "Element 84", "roles": ["host"]}]
    tiny.add("s2", "s2", license="CC-BY-4.0", providers=esa)
    tiny.add("s1", "s1")
    tiny.add("hr", "hr", simulated=True)
    (task,) = plan_chips(tiny.read(), SPEC).tasks
    found = {(source.licence, source.attribution) for source in read_sample(task, SPEC).imagery}
    copernicus = "contains modified Copernicus Sentinel data 2020"
    assert found == {("CC-BY-4.0", (copernicus, "ESA")), ("not told", (copernicus,)), ("not told", ())}


def test_a_licence_link_stands_in_for_a_licence():
    item = pystac.Item("one", None, None, datetime(2024, 6, 1, tzinfo=UTC), {})
    assert licence_of(item) == "not told"
    item.add_link(pystac.Link("license", "https://example.org/terms"))
    assert licence_of(item) == "other (https://example.org/terms)"
    item.properties["license"] = "CC-BY-SA-4.0"
    assert licence_of(item) == "CC-BY-SA-4.0"


def test_the_finest_pixel_comes_first_then_geotiff():
    hrefs = {"B02_60m": "a.tif", "B02_20m": "a.jp2", "B02_10m": "a.JP2", "B02": "a.jp2", "B03": "a.tif"}
    ranks = {key: stac_item._rank(key, pystac.Asset(href)) for key, href in hrefs.items()}
    assert ranks == {
        "B02_60m": (60.0, False), "B02_20m": (20.0, True), "B02_10m": (10.0, True), "B02": (0.0, True),
        "B03": (0.0, False),
    }  # fmt: skip
    typed = pystac.Asset("a", media_type="image/jp2")
    assert stac_item._rank("B02_10m", typed) == (10.0, True)


@pytest.mark.parametrize("step", [(1, -1), (1, 1), (0.5, 2), (-1, -1)])
def test_a_grid_of_any_pixel_size_and_direction_is_one(step):
    values = [step[0], 0, LEFT, 0, step[1], TOP]
    grid = _grid_at("EPSG:32632", values, (64, 64), None)
    assert grid.transform == (step[0], 0, LEFT, 0, step[1], TOP)


@pytest.mark.parametrize(
    "values", [[1, 2, LEFT, 2, 4, TOP], [0, 0, LEFT, 0, 10, TOP], [1e9, 0, 0, 0, 1e9, 0]]
)
def test_a_grid_without_an_extent_or_beyond_the_globe_is_none(values):
    assert _grid_at("EPSG:32632", values, (64, 64), None) is None


def an_item(collection=None, item_id="i", **properties):
    item = pystac.Item(item_id, None, None, datetime(2024, 1, 1, tzinfo=UTC), properties)
    item.collection_id = collection
    return item


@pytest.mark.parametrize(
    ("href", "media", "is_one"),
    [
        ("a.tif", None, True), ("a.TIFF?x=1", None, True), ("a.jp2", None, True), ("a.vrt", None, True),
        ("a", "image/tiff; application=geotiff", True), ("a", "image/jp2", True),
        ("a", "application/vnd+zarr", True),
        ("a.png", "image/png", False), ("a.tif.xml", None, False), ("a", None, False),
    ],
)  # fmt: skip
def test_rasters_are_told_by_type_or_name(href, media, is_one):
    assert _is_raster(pystac.Asset(href, media_type=media)) is is_one


@pytest.mark.parametrize(
    ("key", "band"),
    [("B02_10m", "B02"), ("B02", "B02"), ("OPERA_L2_v1.0_VV", "VV"), ("x-vh", "vh"), ("savv", "savv"),
     ("B02_10m_x", "B02_10m_x"), ("VV", "VV")],
)  # fmt: skip
def test_the_band_in_the_key_of_an_asset(key, band):
    assert _plain(key) == band


def test_a_local_href_is_a_path():
    assert asset_href(pystac.Asset("file:///a/b%20c.tif")) == "/a/b c.tif"
    assert asset_href(pystac.Asset("https://h/b%20c.tif")) == "https://h/b%20c.tif"


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        ({"nodata": 1, "raster:nodata": 2}, 1),
        ({"raster:nodata": 2, "bands": [{"nodata": 3}]}, 2),
        ({"bands": [{"nodata": 3}, {"nodata": 4}], "raster:bands": [{"nodata": 5}]}, 3),
        ({"bands": [{"raster:nodata": 6}]}, 6),
        ({"raster:bands": [{"nodata": 0}]}, 0),
        ({"bands": [], "raster:bands": None}, None),
    ],
)
def test_a_field_of_the_asset_or_of_its_first_band(fields, value):
    assert _raster_field(pystac.Asset("a.tif", extra_fields=fields), "nodata") == value


@pytest.mark.parametrize(("said", "taken"), [(None, -9.0), (0, 0.0), ("7", 7.0), ("nan", None)])
def test_no_data_is_the_assets_or_else_its_providers(said, taken):
    asset = pystac.Asset("a.tif", extra_fields={"nodata": said})
    assert _nodata(asset, Dialect("p", ("*",), nodata=-9.0)) == taken


@pytest.mark.parametrize(
    ("said", "usual", "modality", "scale"),
    [(None, None, "hr", None), (None, 1e-4, "hr", 1e-4), (1.0, 1e-4, "hr", 1e-4), (0.0, 2e-4, "hr", 2e-4),
     (3e-4, 1e-4, "hr", 3e-4), (1e-4, None, "hr", 1e-4), (1e-4, None, "s2", None), (2e-4, None, "s2", 2e-4)],
)  # fmt: skip
def test_the_scale_of_an_asset_counts_where_it_says_something(said, usual, modality, scale):
    asset = pystac.Asset("a.tif", extra_fields={} if said is None else {"raster:scale": said})
    assert _scale(asset, Dialect("p", ("*",), scale=usual), modality) == scale


@pytest.mark.parametrize(
    ("item", "modality", "level"),
    [
        (an_item("sentinel-2-l2a"), "s2", "L2A"),
        (an_item("s2", "S2A_MSIL1C_2020"), "s2", "L1C"),
        (an_item("s2", **{"processing:level": "L2A"}), "s2", "L2A"),
        (an_item("s2", **{"s2:product_type": "S2MSI1C"}), "s2", ""),
        (an_item("sentinel-1-rtc"), "s1", "RTC"),
        (an_item("s1", **{"sar:product_type": "GRD"}), "s1", "GRD"),
        (an_item("sentinel-2-l2a"), "hr", ""),
        (an_item(None, "x"), "s1", ""),
    ],
)
def test_the_processing_level_is_in_some_word(item, modality, level):
    assert _level(item, modality) == level


@pytest.mark.parametrize(("days", "known"), [(31, True), (32, False), (0, True)])
def test_a_range_of_a_month_is_its_middle(days, known):
    start = datetime(2024, 1, 1, tzinfo=UTC)
    end = start + timedelta(days=days)
    said = {"start_datetime": start.isoformat(), "end_datetime": end.isoformat()}
    date = start + timedelta(days=days / 2) if known else None
    assert acquisition_time(None, said) == (date, start, end)
    assert acquisition_time(end, said) == (end, end, end)


def test_of_pictures_the_chosen_then_the_shallow_then_the_plain_come_first():
    row = Dialect("p", ("*",), prefer=("best",))
    deep = {"data_type": "uint16"}
    depths = {
        "best": _depth("best", pystac.Asset("a", extra_fields=deep), row),
        "plain": _depth("plain", pystac.Asset("a"), row),
        "byte": _depth("byte", pystac.Asset("a", extra_fields={"data_type": "uint8"}), row),
        "visual": _depth("visual", pystac.Asset("a"), row),
        "analytic": _depth("x_Analytic", pystac.Asset("a"), row),
        "deep": _depth("deep", pystac.Asset("a", extra_fields=deep), row),
    }
    assert depths["best"] == (False, True, False)
    assert depths["plain"] == depths["byte"] == (True, False, False)
    assert depths["visual"] == (True, False, True)
    assert depths["analytic"] == depths["deep"] == (True, True, False)


@pytest.mark.parametrize(("gsd", "is_picture"), [(HR_GSD_M, True), (10.5, False)])
def test_pixels_of_ten_metres_are_the_coarsest_of_a_picture(tiny, gsd, is_picture):
    tiny.add("hr", "one", shape=(64, 64), gsd=gsd)
    (place,) = tiny.read().places
    assert bool(place.scenes) is is_picture
    if not is_picture:
        assert "expected 10 m at most of HR images" in place.problems[0]
