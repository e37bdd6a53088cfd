import json
import math
import pickle
import types
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import h3
import numpy as np
import pytest
import rasterio
import shapely
from rasterio._err import CPLE_BaseError
from rasterio.errors import CRSError
from rasterio.windows import Window

from data import reader
from data.cover import Skip, plan_area, plan_chips
from data.modality import MODALITIES
from data.reader import VISIT_SAMPLES, read_chip, read_sample, visits
from data.sample import InputError, Sample, SampleSpec

SPEC = SampleSpec()


def only_sample(catalog, **options):
    (task,) = plan_chips(catalog, SPEC, **options).tasks
    return read_sample(task, SPEC)


def test_all_three_sensors_on_one_grid(tiny):
    pixels = {
        "s2": tiny.typical("s2", (64, 64)),
        "s1": tiny.typical("s1", (64, 64)),
        "hr": tiny.typical("hr", (256, 256)),
    }
    paths = {modality: tiny.add(modality, modality, pixels[modality]) for modality in pixels}
    sample = only_sample(tiny.read())
    assert (sample.sample_id, sample.crs, sample.grid_shape) == ("here", "EPSG:32632", (8, 8))
    assert sample.origin_m == (tiny.left, tiny.top)
    assert list(sample.series) == ["hr", "s2", "s1"]
    for modality, series in sample.series.items():
        np.testing.assert_array_equal(series.pixels[0], pixels[modality])
        assert series.valid.all()
        assert series.day_of_year.tolist() == [153]
        assert series.source_items == (str(paths[modality]),)
    assert (sample.valid_fraction, sample.dropped) == (1.0, ())
    assert math.isnan(sample.cloud_fraction)


def test_a_chip_smaller_than_a_cell_is_padded_and_padding_does_not_count(tiny):
    tiny.add("s2", "s2", shape=(6, 4))
    tiny.add("hr", "hr", shape=(24, 16))
    sample = only_sample(tiny.read())
    assert sample.grid_shape == (1, 1)
    assert sample.series["s2"].pixels.shape == (1, 10, 8, 8)
    assert np.argwhere(sample.series["s2"].valid[0]).max(axis=0).tolist() == [5, 3]
    assert sample.series["hr"].valid.shape == (1, 32, 32)
    assert sample.series["hr"].valid.sum() == 24 * 16
    assert sample.valid_fraction == 1.0


def test_dates_are_in_order_of_time_with_unknown_ones_last(tiny):
    tiny.add("s2", "c", date=None, start_datetime="2010-01-01T00:00:00Z", end_datetime="2030-01-01T00:00:00Z")
    tiny.add("s2", "b", date="2020-12-31T10:00:00Z")
    tiny.add("s2", "a", date="2020-02-01T10:00:00Z")
    assert only_sample(tiny.read()).series["s2"].day_of_year.tolist() == [32, 366, 0]


def test_clouds_shadows_and_missing_classes_are_masked_and_snow_is_not(tiny):
    classes = np.full((32, 32), 4, np.uint8)
    for row, value in enumerate((0, 1, 3, 8, 9, 10, 11)):
        classes[row] = value
    tiny.add("s2", "s2", scl=classes)
    sample = only_sample(tiny.read())
    by_class_row = sample.series["s2"].valid[0, ::2].all(axis=1)
    assert by_class_row[:8].tolist() == [False] * 6 + [True] * 2
    assert sample.valid_fraction == pytest.approx(26 / 32)
    assert sample.cloud_fraction == pytest.approx(3 / 32)


def test_cloud_cover_of_the_item_stands_in_for_a_mask(tiny):
    tiny.add("s2", "a", date="2020-01-01T00:00:00Z", **{"eo:cloud_cover": 10})
    tiny.add("s2", "b", **{"eo:cloud_cover": 40})
    assert only_sample(tiny.read()).cloud_fraction == pytest.approx(0.25)


def test_a_date_under_cloud_makes_room_for_another(tiny):
    for month in range(1, 11):
        cloudy = np.full((32, 32), 9 if month < 3 else 4, np.uint8)
        tiny.add("s2", f"m{month:02}", date=f"2020-{month:02}-01T00:00:00Z", scl=cloudy)
    sample = only_sample(tiny.read())
    assert len(sample.series["s2"].valid) == SPEC.max_dates["s2"]
    assert sample.series["s2"].day_of_year.min() == 61
    assert sample.dropped[0][0] == "s2"
    assert "only cloud in the window" in sample.dropped[0][1]


def test_the_offset_is_applied_once(tiny):
    raw = np.full((10, 64, 64), 3000, np.uint16)
    unset = {"sample:boa_offset": None}
    tiny.add("s2", "a", raw, place="corrected", **{"s2:processing_baseline": "05.09"})
    tiny.add("s2", "b", raw, place="raw", **unset, **{"s2:processing_baseline": "05.09"})
    tiny.add("s2", "c", raw, place="early", **unset, **{"s2:processing_baseline": "02.14"})
    tiny.add("s2", "d", raw, place="unknown", **unset)
    samples = (read_sample(task, SPEC) for task in plan_chips(tiny.read(), SPEC).tasks)
    values = {sample.sample_id: int(sample.series["s2"].pixels[0, 0, 0, 0]) for sample in samples}
    assert values == {"corrected": 3000, "raw": 2000, "early": 3000, "unknown": 3000}


def test_nodata_is_not_valid(tiny):
    s2 = tiny.typical("s2", (64, 64))
    s2[:, :16] = 0
    s1 = tiny.typical("s1", (64, 64))
    s1[0, :, :32] = np.nan
    tiny.add("s2", "s2", s2, nodata=0)
    tiny.add("s1", "s1", s1, nodata=np.nan)
    sample = only_sample(tiny.read())
    assert sample.series["s2"].valid.mean() == 0.75
    assert sample.series["s1"].valid.mean() == 0.5
    assert sample.valid_fraction == 0.625


def test_a_sensor_of_nodata_alone_is_dropped_and_the_rest_embedded(tiny):
    tiny.add("s2", "s2", np.zeros((10, 64, 64), np.uint16))
    tiny.add("s1", "s1")
    sample = only_sample(tiny.read())
    assert list(sample.series) == ["s1"]
    assert sample.dropped == (("s2", "only nodata in the window"),)


def test_bad_dates_are_left_out_with_their_reason_and_the_place_goes_on(tiny):
    tiny.add("s2", "good", date="2020-01-01T00:00:00Z")
    truncated = tiny.add("s2", "truncated", date="2020-03-01T00:00:00Z", shape=(300, 300))
    truncated.write_bytes(truncated.read_bytes()[:2000])
    tiny.add(
        "s2", "floats", tiny.typical("s2", (64, 64)).astype(np.float32) / 10_000, date="2020-05-01T00:00:00Z"
    )
    tiny.add("s2", "missing", date="2020-07-01T00:00:00Z").unlink()
    linear = np.abs(tiny.typical("s1", (64, 64))) / 100
    tiny.add("s1", "linear", linear)
    catalog = tiny.read()
    tasks = plan_chips(catalog, SPEC).tasks
    sample = next(read_sample(task, SPEC) for task in tasks)
    assert list(sample.series) == ["s2"]
    assert len(sample.series["s2"].valid) == 1
    reasons = dict(sample.dropped)
    assert reasons["s2"].startswith("3 of 4 dates, the first:")
    assert "linear power" in reasons["s1"]


def test_a_place_with_nothing_usable_is_skipped_with_all_reasons(tiny):
    tiny.add("s2", "s2").unlink()
    tiny.add("s1", "s1", np.full((2, 64, 64), np.nan, np.float32))
    skip = only_sample(tiny.read())
    assert isinstance(skip, Skip)
    assert skip.sample_id == "here"
    assert "s2: no such raster" in skip.reason
    assert "s1: only nodata" in skip.reason


def test_tiles_of_one_pass_complete_each_other(tiny):
    whole = tiny.typical("s2", (100, 200))
    west, east = whole.copy()[:, :, :110], whole.copy()[:, :, 90:]
    west[:, :, 100:] = 0
    tiny.add("s2", "west", west, date="2020-06-01T10:30:00Z")
    tiny.add("s2", "east", east, date="2020-06-01T10:30:14Z", left=tiny.left + 900)
    catalog = tiny.read()
    area = shapely.union_all([scene.footprint for scene in catalog.scenes])
    for task in plan_area(catalog, SPEC, area).tasks:
        sample = read_sample(task, SPEC)
        (series,) = sample.series.values()
        assert len(series.valid) == 1
        row = round((tiny.top - sample.origin_m[1]) / 10)
        col = round((sample.origin_m[0] - tiny.left) / 10)
        rows, cols = np.mgrid[row : row + 64, col : col + 64]
        inside = (rows >= 0) & (rows < 100) & (cols >= 0) & (cols < 200)
        np.testing.assert_array_equal(series.valid[0], inside)
        np.testing.assert_array_equal(series.pixels[0][:, inside], whole[:, rows[inside], cols[inside]])


def test_each_tile_of_a_pass_brings_its_own_cloud_mask(tiny):
    """The upper one holds the left half alone; its mask calls the other half, where it has nothing, cloud."""
    west = tiny.typical("s2", (64, 64))
    west[:, :, 32:] = 0
    over_the_gap, at_the_corners = np.full((32, 32), 4, np.uint8), np.full((32, 32), 4, np.uint8)
    over_the_gap[:, 16:] = 9
    at_the_corners[:2, :2] = 9  # under the upper one
    at_the_corners[-4:, -4:] = 9  # 8 x 8 px in the gap
    tiny.add("s2", "a-west", west, date="2020-06-01T10:30:00Z", scl=over_the_gap)
    tiny.add("s2", "b-whole", date="2020-06-01T10:30:14Z", scl=at_the_corners)
    sample = only_sample(tiny.read())
    expected = np.ones((64, 64), bool)
    expected[-8:, -8:] = False
    assert sample.series["s2"].valid.shape == (1, 64, 64)
    np.testing.assert_array_equal(sample.series["s2"].valid[0], expected)
    assert sample.cloud_fraction == 64 / 64**2


def test_high_resolution_is_averaged_when_finer_and_takes_red_green_blue_of_four_bands(tiny):
    fine = np.random.default_rng(0).integers(0, 255, (4, 400, 400), np.uint8)
    tiny.add("hr", "hr", fine, gsd=0.1, bands=("R", "G", "B", "N"))
    sample = only_sample(tiny.read())
    expected = np.rint(fine[:3].reshape(3, 16, 25, 16, 25).mean(axis=(2, 4)))
    found = sample.series["hr"].pixels[0, :, :16, :16].astype(int)
    assert np.abs(found - expected).max() <= 1
    assert sample.series["hr"].valid[0, :16, :16].all()


def test_only_the_wanted_number_of_dates_is_kept(tiny):
    for month in range(1, 13):
        for modality in ("s2", "s1", "hr"):
            tiny.add(modality, f"{modality}{month}", date=f"2020-{month:02}-15T00:00:00Z", shape=(16, 16))
    sample = only_sample(tiny.read())
    assert {name: len(series.valid) for name, series in sample.series.items()} == SPEC.max_dates


def test_neighbours_whose_files_lie_elsewhere_come_in_one_visit(tiny):
    tiny.add("s2", "wide", shape=(5 * 64, 9 * 64), asset={"href": "https://example.org/wide.tif"})
    tiny.add("s2", "other", asset={"href": "https://example.org/other.tif"}, place="other")
    tasks = {task.sample_id: task for task in plan_chips(tiny.read(), SPEC).tasks}
    row = [tasks[f"here#0_{col}"] for col in range(9)]
    square = [tasks[f"here#{row}_{col}"] for row in range(5) for col in range(4)]
    assert list(visits(row[:3])) == [row[:3]]
    assert list(visits([row[0], row[7]])) == [[row[0], row[7]]]  # the box around them is 4 times theirs
    assert list(visits([row[0], row[8]])) == [[row[0]], [row[8]]]
    assert list(visits([row[0], tasks["other"]])) == [[row[0]], [tasks["other"]]]
    assert list(map(len, visits(square))) == [VISIT_SAMPLES, 4]


def test_tasks_on_this_machine_come_alone(tiny):
    tiny.add("s2", "near", shape=(64, 128))
    tasks = plan_chips(tiny.read(), SPEC).tasks
    assert list(visits(tasks)) == [[task] for task in tasks]


def test_samples_are_read_in_worker_processes(tiny):
    tiny.add("s2", "s2", shape=(130, 64))
    tasks = plan_chips(tiny.read(), SPEC).tasks
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        there = list(pool.map(read_sample, tasks, [SPEC] * len(tasks)))
    for here, sample in zip((read_sample(task, SPEC) for task in tasks), there, strict=True):
        assert pickle.dumps(here.footprint) == pickle.dumps(sample.footprint)
        np.testing.assert_array_equal(here.series["s2"].pixels, sample.series["s2"].pixels)


# One GeoTIFF as a query


@pytest.mark.parametrize("modality", ["hr", "s2", "s1"])
def test_the_modality_of_a_chip_is_told_by_its_band_names(tiny, modality):
    pixels = tiny.typical(modality, (32, 32))
    path = tiny.add(modality, "chip", pixels)
    sample = read_chip(path, SPEC)
    (found,) = sample.series
    assert found == modality
    height, width = pixels.shape[1:]
    np.testing.assert_array_equal(sample.series[modality].pixels[0, :, :height, :width], pixels)
    assert sample.series[modality].day_of_year.tolist() == [0]
    assert sample.sample_id == "chip"
    assert h3.latlng_to_cell(sample.lat_deg, sample.lon_deg, 12) == h3.int_to_str(sample.h3_cell)


@pytest.mark.parametrize(
    ("bands", "dtype", "modality"),
    [
        (3, np.uint8, "hr"),
        (4, np.uint8, "hr"),
        (2, np.float32, "s1"),
        (10, np.uint16, "s2"),
        (13, np.uint16, "s2"),
    ],
)
def test_the_modality_of_a_chip_without_names_is_told_by_number_and_type(raster, bands, dtype, modality):
    sign = -1 if dtype == np.float32 else 1
    step = 100 if modality == "s2" else 1
    pixels = (sign * step * np.arange(1, bands + 1)[:, None, None] * np.ones((64, 64))).astype(dtype)
    sample = read_chip(raster(pixels), SPEC)
    (series,) = sample.series.values()
    assert list(sample.series) == [modality]
    if bands == 13:
        assert (series.pixels[0, :, 0, 0] // 100).tolist() == [2, 3, 4, 5, 6, 7, 8, 9, 12, 13]


def test_a_large_chip_is_read_in_its_middle(raster):
    pixels = np.broadcast_to(np.arange(1, 201, dtype=np.uint16) * 10, (10, 200, 200)).copy()
    sample = read_chip(raster(pixels), SPEC)
    assert sample.grid_shape == (8, 8)
    assert sample.series["s2"].pixels[0, 0, 0, [0, -1]].tolist() == [650, 1280]


@pytest.mark.parametrize(
    ("pixels", "options", "message"),
    [
        (np.ones((5, 8, 8), np.uint16), {}, "tell no modality"),
        (
            np.ones((9, 8, 8), np.uint16),
            {"names": ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B11", "B12")},
            "lacks B8A",
        ),
        (np.full((10, 8, 8), 0.2, np.float32), {}, "expected 1 to 20000"),
        (np.full((2, 8, 8), 0.2, np.float32), {}, "linear power"),
        (np.zeros((10, 8, 8), np.uint16), {}, "only nodata"),
        (np.ones((3, 8, 8), np.uint8), {"names": ("first",)}, r"first \? \?"),
        (np.ones((3, 8, 8), np.uint8), {"crs": None}, "no CRS"),
    ],
)
def test_a_chip_that_cannot_be_used_is_an_input_error(raster, pixels, options, message):
    with pytest.raises(InputError, match=message):
        read_chip(raster(pixels, **options), SPEC)


def test_the_modality_of_a_chip_can_be_given(raster):
    names = ("first", "second", "third")
    path = raster(np.full((3, 8, 8), 9, np.uint8), names=names)
    with pytest.raises(InputError, match="first second third"):
        read_chip(path, SPEC)
    assert isinstance(read_chip(path, SPEC, modality="hr"), Sample)
    with pytest.raises(InputError, match="lacks VV VH"):
        read_chip(path, SPEC, modality="s1")
    with pytest.raises(InputError, match="expected those of hr, s2 or s1"):
        read_chip(path, SPEC, modality="lidar")


def test_a_missing_or_truncated_chip_is_an_input_error(raster, tmp_path):
    with pytest.raises(InputError, match="no such raster"):
        read_chip(tmp_path / "gone.tif", SPEC)
    path = raster(np.random.default_rng(0).integers(1, 999, (10, 300, 300), np.uint16))
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(InputError, match="truncated"):
        read_chip(path, SPEC)


def only_reason(catalog, **options):
    """Why the one image of a place was left out: the place itself goes on, or is skipped with the reason."""
    skip = only_sample(catalog, **options)
    assert isinstance(skip, Skip)
    return skip.reason


def test_fewer_bands_than_the_item_says_are_the_reason_for_that_date(tiny):
    tiny.add("s2", "s2", tiny.typical("s2", (64, 64))[:4], bands=("B02", "B03", "B04", "B05"))
    item = tiny.folder / "s2" / "s2.json"
    ten = [{"name": name} for name in MODALITIES["s2"].bands]
    document = json.loads(item.read_text())
    document["assets"]["data"]["bands"] = ten
    item.write_text(json.dumps(document))
    assert "has 4 bands; expected band 10" in only_reason(tiny.read())


@pytest.mark.parametrize(
    "error", [MemoryError(), CPLE_BaseError(1, 1, "no"), OSError("disk"), CRSError("odd")]
)
def test_what_goes_wrong_over_one_image_is_the_reason_for_its_date(tiny, monkeypatch, error):
    tiny.add("s2", "good", date="2020-01-01T00:00:00Z")
    bad = tiny.add("s2", "bad", date="2020-03-01T00:00:00Z")
    real = reader.read_window

    def read(href, *args, **options):
        if href == str(bad):
            raise error
        return real(href, *args, **options)

    monkeypatch.setattr(reader, "read_window", read)
    sample = only_sample(tiny.read())
    assert len(sample.series["s2"].valid) == 1
    assert [modality for modality, _ in sample.dropped] == ["s2"]


def test_a_raster_in_one_giant_block_is_refused_before_memory_is_taken(tiny):
    path = tiny.add("hr", "hr")
    with rasterio.open(
        path, "w", driver="GTiff", width=30_000, height=30_000, count=3, dtype="uint8", crs="EPSG:32632",
        transform=rasterio.Affine(0.1, 0, tiny.left, 0, -0.1, tiny.top), sparse_ok=True,
        tiled=True, blockxsize=30_000, blockysize=30_000, interleave="pixel",
    ):  # fmt: skip
        pass
    assert "store it in tiles" in only_reason(tiny.read())


def test_a_raster_of_a_million_pixels_a_side_is_read_where_it_is_asked(tiny):
    path = tiny.add("hr", "hr")
    side = 1_000_000
    with rasterio.open(
        path, "w", driver="GTiff", width=side, height=side, count=3, dtype="uint8", crs="EPSG:32632",
        transform=rasterio.Affine(2.5, 0, tiny.left - 1e6, 0, -2.5, tiny.top + 1e6), tiled=True,
        sparse_ok=True, bigtiff="yes", blockxsize=4096, blockysize=4096,
    ) as out:  # fmt: skip
        out.write(np.full((3, 256, 256), 99, np.uint8), window=Window(400_000, 400_000, 256, 256))
    sample = only_sample(tiny.read())
    assert (sample.series["hr"].pixels == 99).all()


def layer(href, values, has_data, cloud=None, masked=None):
    known = np.array(has_data, bool)
    return reader._Layer(
        href,
        np.array([values]),
        known,
        np.zeros_like(known) if masked is None else np.array(masked, bool),
        None if cloud is None else np.array(cloud, bool),
        (f"note {href}",),
        (f"imagery {href}",),
    )


def test_what_lies_below_shows_through_where_there_is_no_data():
    top = layer("a", [[1, 2, 3]], [[1, 0, 0]], cloud=[[1, 0, 0]], masked=[[1, 0, 0]])
    below = layer("b", [[7, 8, 9]], [[1, 1, 0]], cloud=[[0, 1, 1]], masked=[[0, 1, 1]])
    both = reader._over(top, below)
    assert both.pixels.tolist() == [[[1, 8, 9]]]
    assert both.has_data.tolist() == [[True, True, False]]
    assert both.masked.tolist() == both.cloud.tolist() == [[True, True, True]]
    assert (both.href, both.notes, both.imagery) == ("a", ("note a", "note b"), ("imagery a", "imagery b"))
    empty = layer("e", [[0, 0, 0]], [[0, 0, 0]], cloud=[[0, 0, 0]])
    assert reader._over(empty, below).href == "b"
    assert reader._over(top, layer("c", [[5, 5, 5]], [[1, 0, 0]])) is top, "it fills no gap"
    assert reader._over(top, layer("d", [[5, 5, 5]], [[1, 1, 1]])).cloud is None
    assert reader._over(layer("d", [[5, 5, 5]], [[0, 1, 1]]), below).cloud is None


def test_cloud_is_the_masks_share_of_data_or_else_what_the_item_says():
    seen = layer("a", [[1, 2, 3, 4]], [[1, 1, 1, 1]], cloud=[[1, 0, 0, 0]])
    unseen = layer("a", [[1, 2, 3, 4]], [[1, 1, 1, 1]])
    told = types.SimpleNamespace(cloud_percent=40.0)
    assert reader._cloud_fraction(seen, told) == 0.25
    assert reader._cloud_fraction(unseen, told) == 0.4
    assert math.isnan(reader._cloud_fraction(unseen, types.SimpleNamespace(cloud_percent=None)))


def test_one_failure_is_told_as_it_is_and_several_by_their_number():
    assert reader._failure(["a"], 1) == "a"
    assert reader._failure(["a"], 2) == "1 of 2 dates, the first: a"
    assert reader._failure(["a", "b"], 2) == "2 of 2 dates, the first: a"


def test_a_series_is_padded_on_the_right_and_below_to_whole_squares():
    acquisition = types.SimpleNamespace(day_of_year=7)
    pixels = np.arange(2 * 3 * 5, dtype=np.float32).reshape(2, 3, 5)
    image = reader._Image(acquisition, "a", pixels, np.ones((3, 5), bool), 0.0, (), ())
    series = reader._series([image, image], (1, 2), 4)
    assert series.pixels.shape == (2, 2, 4, 8)
    np.testing.assert_array_equal(series.pixels[1, :, :3, :5], pixels)
    assert np.isnan(series.pixels[:, :, 3:]).all()
    assert np.isnan(series.pixels[:, :, :, 5:]).all()
    assert series.valid.sum() == 2 * 15
    assert (series.day_of_year.tolist(), series.day_of_year.dtype, series.source_items) == (
        [7, 7], np.int16, ("a", "a"),
    )  # fmt: skip
    whole = reader._Image(acquisition, "a", pixels.astype(np.uint16), np.ones((3, 5), bool), 0.0, (), ())
    assert (reader._series([whole], (1, 2), 4).pixels[:, :, 3:] == 0).all()
