import dataclasses
import json
from datetime import UTC, datetime

import numpy as np
import pytest

from data.s2_offset import s2_offset
from data.sample import InputError
from data.stac import group_into_places, read_catalog


def test_a_scene_tells_what_its_item_says(tiny):
    path = tiny.add(
        "s2", "one", date="2020-06-01T10:30:21Z", **{"eo:cloud_cover": 12.5, "sat:orbit_state": "descending"}
    )
    (place,) = tiny.read().places
    (scene,) = place.scenes
    assert (place.name, scene.item_id, scene.modality, scene.level) == ("here", "one", "s2", "L2A")
    assert [band.index for band in scene.bands] == list(range(1, 11))
    assert scene.href == str(path)
    assert scene.date == datetime(2020, 6, 1, 10, 30, 21, tzinfo=UTC)
    assert (scene.cloud_percent, scene.orbit, scene.missing_bands) == (12.5, "descending", ())
    assert scene.grid.shape == (64, 64)
    assert scene.grid.transform == (10, 0, tiny.left, 0, -10, tiny.top)


def test_bands_are_found_by_name_in_any_order_and_missing_ones_are_named(tiny):
    names = ("B12", "B03", "B02", "B04", "B05", "B06", "B07", "B08", "B11")
    tiny.add("s2", "nine", tiny.typical("s2", (8, 8))[:9], bands=names)
    (scene,) = tiny.read().scenes
    assert [(band.name, band.index) for band in scene.bands][:3] == [("B02", 3), ("B03", 2), ("B04", 4)]
    assert scene.missing_bands == ("B8A",)


def test_one_raster_per_band_with_common_names(tiny):
    raster = tiny.add("s2", "base", place="other")
    keys = [
        "red",
        "green",
        "blue",
        "nir",
        "nir08",
        "rededge1",
        "rededge2",
        "rededge3",
        "swir16",
        "swir22",
        "visual",
        "scl",
    ]
    assets = {
        key: {"href": str(raster), "type": "image/tiff", "roles": ["data"], "eo:bands": [{"name": key}]}
        for key in keys
    }
    assets["thumbnail"] = {"href": "t.jpg", "type": "image/jpeg"}
    tiny.write_item("bands", {"datetime": "2020-01-01T00:00:00Z"}, assets, "sentinel-2-c1-l2a")
    scene = next(s for s in tiny.read().scenes if s.item_id == "bands")
    assert [band.name for band in scene.bands] == [
        "B02",
        "B03",
        "B04",
        "B05",
        "B06",
        "B07",
        "B08",
        "B8A",
        "B11",
        "B12",
    ]
    assert {band.index for band in scene.bands} == {1}
    assert scene.scl_href == str(raster)
    assert scene.grid.shape == (64, 64)


def test_an_item_without_grid_or_bands_is_completed_from_its_raster(tiny):
    asset = {"bands": None, "eo:bands": None}
    fields = {"proj:code": None, "proj:transform": None, "proj:shape": None}
    tiny.add("hr", "bare", asset=asset, collection="photos", **fields)
    (scene,) = tiny.read().scenes
    assert (scene.modality, scene.grid.crs, scene.grid.shape) == ("hr", "EPSG:32632", (64, 64))
    assert [band.name for band in scene.bands] == ["R", "G", "B"]


@pytest.mark.parametrize(
    ("collection", "modality", "level"),
    [
        ("sentinel-1-rtc", "s1", "RTC"),
        ("sentinel-1-grd", "s1", "GRD"),
        ("sentinel-2-l1c", "s2", "L1C"),
        ("naip", "hr", ""),
    ],
)
def test_modality_and_level(tiny, collection, modality, level):
    tiny.add(modality, "x", collection=collection)
    (scene,) = tiny.read().scenes
    assert (scene.modality, scene.level) == (modality, level)


@pytest.mark.parametrize(
    ("fields", "offset"),
    [
        (
            {
                "sample:boa_offset": "+1000 was in the source and has been subtracted",
                "s2:processing_baseline": "05.09",
            },
            0,
        ),
        ({"sample:boa_offset": "none"}, 0),
        ({"sample:boa_offset": "UNKNOWN: bright scene", "s2:processing_baseline": "05.09"}, None),
        ({"earthsearch:boa_offset_applied": True, "s2:processing_baseline": "05.09"}, 0),
        ({"earthsearch:boa_offset_applied": False, "s2:processing_baseline": "05.09"}, -1000),
        ({"earthsearch:boa_offset_applied": False, "s2:processing_baseline": "02.14"}, 0),
        ({"s2:processing_baseline": "04.00"}, -1000),
        ({"s2:processing_baseline": "N0400"}, -1000),
        ({"s2:processing_baseline": "03.01"}, 0),
        ({}, None),
    ],
)
def test_the_offset_is_decided_by_the_most_trusted_field(fields, offset):
    assert s2_offset(fields) == offset


def test_dates_month_ranges_and_unknown_dates(tiny):
    tiny.add(
        "s2", "month", date=None, start_datetime="2020-11-01T00:00:00Z", end_datetime="2020-11-30T23:59:59Z"
    )
    tiny.add(
        "s2", "years", date=None, start_datetime="2011-01-01T00:00:00Z", end_datetime="2020-12-31T00:00:00Z"
    )
    tiny.add("s2", "exact", date="2020-02-29T10:00:00+02:00")
    found = {scene.item_id: scene for scene in tiny.read().scenes}
    assert found["month"].date.strftime("%Y-%m-%d") == "2020-11-15"
    assert found["years"].date is None
    assert found["years"].start.year == 2011
    assert found["exact"].date == datetime(2020, 2, 29, 8, tzinfo=UTC)


def test_items_that_cannot_be_used_are_kept_as_problems_of_their_place(tiny):
    tiny.add("s2", "good")
    tiny.write_item("none", {"datetime": "2020-01-01T00:00:00Z", "place": "here"}, {}, "sentinel-2-l2a")
    tiny.write_item(
        "odd",
        {"datetime": "2020-01-01T00:00:00Z", "place": "there"},
        {"data": {"href": "x.tif", "bands": [{"name": "thermal"}]}},
        "landsat",
    )
    here, there = tiny.read().places
    assert len(here.scenes) == 1
    assert "no GeoTIFF" in here.problems[0]
    assert there.scenes == ()
    assert "thermal" in there.problems[0]


def test_a_malformed_item_is_a_problem_of_its_place(tiny):
    tiny.add("s2", "bad", **{"proj:transform": ["ten", 0, 0, 0, 0, 0]})
    (place,) = tiny.read().places
    assert "item bad is malformed" in place.problems[0]


def test_optical_images_of_thirty_metres_are_no_high_resolution_images(tiny):
    tiny.add("hr", "landsat", gsd=30.0)
    (place,) = tiny.read().places
    assert "pixels of 30 m; expected 10 m at most" in place.problems[0]


def test_without_the_property_place_scenes_are_grouped_by_footprint(tiny):
    tiny.add("hr", "small", place=None, left=tiny.left + 100, top=tiny.top - 100)
    tiny.add("s2", "large", place=None)
    tiny.add("s1", "same", place=None)
    tiny.add("s2", "neighbour", place=None, left=tiny.left + 600)
    places = {place.name: {scene.item_id for scene in place.scenes} for place in tiny.read().places}
    assert places == {"small": {"small", "large", "same"}, "neighbour": {"neighbour"}}


def test_two_small_images_in_one_large_scene_are_two_places_that_share_it(tiny):
    for name, east in (("a", 0), ("b", 400)):
        tiny.add("hr", name, place=None, left=tiny.left + east)
    tiny.add("s2", "tile", place=None)
    places = {place.name: {scene.item_id for scene in place.scenes} for place in tiny.read().places}
    assert places == {"a": {"a", "tile"}, "b": {"b", "tile"}}
    assert len(tiny.read().scenes) == 3


def test_places_do_not_depend_on_the_order_of_items(tiny):
    for i in range(6):
        tiny.add("s2", f"i{i}", place=None, shape=(8, 8), left=tiny.left + 50 * i)
    scenes = tiny.read().scenes
    assert group_into_places(scenes) == group_into_places(scenes[::-1])


def test_item_collections_single_items_and_folders_are_catalogs_too(tiny, tmp_path):
    tiny.add("s2", "one")
    path = tiny.write()
    item = json.loads((tiny.folder / "one" / "one.json").read_text())
    collection = tiny.folder / "one" / "search.json"
    collection.write_text(json.dumps({"type": "FeatureCollection", "features": [item]}))
    expected = read_catalog(path).scenes
    assert read_catalog(tiny.folder).scenes == expected
    assert read_catalog(tiny.folder / "one" / "one.json").scenes == expected
    assert [s.item_id for s in read_catalog(collection).scenes] == ["one"]


def test_simulated_items_say_so(tiny):
    tiny.add("s2", "one")
    assert not tiny.read().simulated
    tiny.add("s2", "two", simulated=True)
    assert tiny.read().simulated


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot read the catalog"),
        ("not json", "not a STAC catalog"),
        ('{"a": 1}', "without the field `type`"),
        ("[1]", "without the field `type`"),
        ('{"type": "Sparrow"}', "not a STAC catalog"),
        (
            '{"type": "Catalog", "id": "x", "description": "", "stac_version": "1.1.0", "links": []}',
            "holds no items",
        ),
    ],
)
def test_what_is_no_catalog_is_an_input_error(tmp_path, text, message):
    path = tmp_path / "catalog.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_catalog(path)


def test_items_that_cannot_be_read_do_not_hide_the_others(tiny):
    tiny.add("s2", "good")
    tiny.add("s2", "gone", place="elsewhere")
    tiny.add("s2", "dateless", date=None)
    path = tiny.write()
    (tiny.folder / "gone" / "gone.json").unlink()
    places = {place.name: place for place in read_catalog(path).places}
    assert [scene.item_id for scene in places["here"].scenes] == ["good"]
    assert "gone.json cannot be read" in places["gone"].problems[0]
    assert "start_datetime and end_datetime must be supplied" in places["dateless"].problems[0]


def test_scenes_are_values(tiny):
    tiny.add("s1", "one", asset={"nodata": "nan"})
    first, second = tiny.read().scenes, tiny.read().scenes
    assert first == second
    assert hash(first[0]) == hash(second[0])
    assert dataclasses.replace(first[0], orbit="ascending") != first[0]
    assert np.isfinite(first[0].footprint.area)


def test_what_was_learnt_later_is_in_a_scene_s_key_where_it_says_something(tiny):
    tiny.add("s1", "one")
    (scene,) = tiny.read().scenes
    plain = dataclasses.replace(scene, usual_unit="", scale=None, mask_kind="scl")
    assert plain.key_text == repr(plain)  # as tables of the first version hold it
    for change in ({"usual_unit": "power"}, {"scale": 1e-3}, {"mask_kind": "dea-fmask"}):
        assert dataclasses.replace(plain, **change).key_text != plain.key_text
    assert dataclasses.replace(plain, licence="CC0-1.0").key_text == plain.key_text
