import dataclasses
import pickle
from datetime import UTC, datetime

import h3
import numpy as np
import pytest
import shapely

from data.cover import plan_area, plan_chips
from data.grid import PixelGrid, project
from data.reader import read_sample
from data.sample import InputError, Sample, SampleSpec
from data.scene import Scene
from data.site import cell_window_m, reference_grid
from data.stac import read_catalog

SPEC = SampleSpec()


def boxed(catalog):
    return shapely.union_all([scene.footprint for scene in catalog.scenes])


def test_a_chip_is_the_extent_common_to_its_sensors_on_the_pixel_grid_of_sentinel_2(tiny):
    tiny.add("s2", "s2", shape=(64, 64))
    tiny.add("s1", "s1", shape=(64, 64), left=tiny.left + 103)
    tiny.add("hr", "hr", shape=(200, 200), left=tiny.left - 50, top=tiny.top - 27)
    (task,) = plan_chips(tiny.read(), SPEC).tasks
    window = task.site.window
    assert (window.crs, window.cell_m) == ("EPSG:32632", 80)
    assert window.bounds == (tiny.left + 100, tiny.top - 530, tiny.left + 450, tiny.top - 30)
    assert window.grid_shape == (7, 5)
    assert task.sample_id == "here"


def test_a_sensor_that_lies_apart_is_left_out_and_named(tiny):
    tiny.add("s2", "s2")
    tiny.add("hr", "hr", left=tiny.left + 5000)
    (task,) = plan_chips(tiny.read(), SPEC).tasks
    assert list(task.series) == ["s2"]
    assert task.dropped == (("hr", "does not overlap the place's s2"),)


def test_a_large_chip_is_cut_into_tiles_that_count_as_one_place(tiny):
    tiny.add("s2", "s2", shape=(130, 100))
    plan = plan_chips(tiny.read(), SPEC)
    assert {task.sample_id for task in plan.tasks} == {
        f"here#{row}_{col}" for row in range(3) for col in range(2)
    }
    footprints = [shapely.Polygon(task.site.footprint) for task in plan.tasks]
    whole = tiny.read().scenes[0].footprint
    assert sum(f.area for f in footprints) == pytest.approx(whole.area, rel=1e-3)
    assert [task.h3_cell for task in plan.tasks] == sorted(task.h3_cell for task in plan.tasks)


def test_a_chip_outside_utm_lies_in_the_zone_of_its_centre(tiny):
    tiny.add("s2", "web", crs="EPSG:3857", left=1_157_000.0, top=6_530_000.0, gsd=15.7)
    tiny.add("s2", "degrees", place="there", crs="EPSG:4326", left=-70.0, top=-30.0, gsd=9e-5)
    zones = {task.sample_id: task.site.window.crs for task in plan_chips(tiny.read(), SPEC).tasks}
    assert {zone for name, zone in zones.items() if name.startswith("here")} == {"EPSG:32632"}
    assert {zone for name, zone in zones.items() if name.startswith("there")} == {"EPSG:32719"}


@pytest.mark.parametrize("h3_resolution", [5, 12])
def test_the_cell_is_that_of_the_footprints_centroid(tiny, h3_resolution):
    tiny.add("s2", "s2", shape=(150, 150))
    for task in plan_chips(tiny.read(), SPEC, h3_resolution=h3_resolution).tasks:
        centre = shapely.Polygon(task.site.footprint).centroid
        assert (task.site.lon_deg, task.site.lat_deg) == (centre.x, centre.y)
        assert h3.latlng_to_cell(centre.y, centre.x, h3_resolution) == h3.int_to_str(task.h3_cell)


def test_missing_bands_and_wrong_levels_are_named(tiny):
    tiny.add("s2", "l1c", collection="sentinel-2-l1c", place="a")
    tiny.add("s1", "radar", place="a")
    tiny.add("s2", "three", tiny.typical("s2", (8, 8))[:3], bands=("B02", "B03", "B04"), place="b")
    plan = plan_chips(tiny.read(), SPEC)
    (task,) = plan.tasks
    assert list(task.series) == ["s1"]
    assert task.dropped[0][1].startswith("level L1C, the weights want L2A")
    (skip,) = plan.skipped
    assert skip.sample_id == "b"
    assert "bands missing: B05 B06 B07 B08 B8A B11 B12" in skip.reason
    allowed = plan_chips(tiny.read(), SPEC, allow_l1c=True)
    assert {name for task in allowed.tasks for name in task.series} == {"s2", "s1"}


def test_l1c_is_taken_only_where_there_is_no_l2a(tiny):
    tiny.add("s2", "l2a", date="2020-05-01T00:00:00Z")
    tiny.add("s2", "l1c", collection="sentinel-2-l1c")
    (task,) = plan_chips(tiny.read(), SPEC, allow_l1c=True).tasks
    assert [a.scenes[0].item_id for a in task.series["s2"]] == ["l2a"]


def test_one_task_per_period_that_has_scenes(tiny):
    for date in ("2019-03-01", "2019-07-01", "2021-07-01"):
        tiny.add("s2", date, date=f"{date}T10:00:00Z")
    tiny.add(
        "hr", "photo", date=None, start_datetime="2015-01-01T00:00:00Z", end_datetime="2020-01-01T00:00:00Z"
    )
    catalog = tiny.read()
    yearly = plan_chips(catalog, SPEC, period="year").tasks
    assert [(t.start.year, t.end.year, len(t.series["s2"]), "hr" in t.series) for t in yearly] == [
        (2019, 2020, 2, True),
        (2021, 2022, 1, False),
    ]
    (whole,) = plan_chips(catalog, SPEC).tasks
    assert (whole.start, whole.end) == (datetime(2019, 3, 1, tzinfo=UTC), datetime(2021, 7, 2, tzinfo=UTC))
    (late,) = plan_chips(catalog, SPEC, start=datetime(2020, 6, 1), end=datetime(2022, 1, 1)).tasks
    assert (late.start, late.end) == (datetime(2020, 6, 1, tzinfo=UTC), datetime(2022, 1, 1, tzinfo=UTC))
    nothing = plan_chips(catalog, SPEC, start=datetime(2030, 1, 1))
    assert [skip.reason for skip in nothing.skipped] == ["no scene in the period asked for"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": datetime(2021, 1, 1), "end": datetime(2020, 1, 1)}, "the end must be later"),
        ({"period": "decade"}, "expected one of all, year, season, month"),
        ({"h3_resolution": 16}, "expected 0 to 15"),
    ],
)
def test_a_request_that_cannot_be_met(tiny, options, message):
    tiny.add("s2", "s2")
    with pytest.raises(InputError, match=message):
        plan_chips(tiny.read(), SPEC, **options)


def test_the_key_changes_with_everything_the_sample_is_made_from(tiny):
    path = tiny.add("s2", "s2")
    keys = [plan_chips(tiny.read(), SPEC).tasks[0].key]
    assert plan_chips(tiny.read(), SPEC).tasks[0].key == keys[0]
    keys.append(plan_chips(tiny.read(), dataclasses.replace(SPEC, cell_m=40.0)).tasks[0].key)
    keys.append(plan_chips(tiny.read(), SPEC, h3_resolution=11).tasks[0].key)
    keys.append(plan_chips(tiny.read(), SPEC, end=datetime(2024, 1, 1)).tasks[0].key)
    path.write_bytes(path.read_bytes() + b" ")
    keys.append(plan_chips(tiny.read(), SPEC).tasks[0].key)
    tiny.add("s1", "s1")
    keys.append(plan_chips(tiny.read(), SPEC).tasks[0].key)
    assert len(set(keys)) == len(keys)


def test_a_plan_opens_no_raster_and_can_be_sent_to_another_process(tiny):
    path = tiny.add("s2", "s2", shape=(130, 130))
    path.unlink()
    plan = plan_chips(tiny.read(), SPEC)
    assert pickle.loads(pickle.dumps(plan)) == plan
    assert len(pickle.dumps(plan.tasks[0])) < 10_000


def test_the_summary_counts_dates_and_bytes(tiny):
    for month in range(1, 12):
        tiny.add("s2", f"m{month}", date=f"2020-{month:02}-01T00:00:00Z", **{"sample:boa_offset": None})
    tiny.add("s1", "s1")
    summary = plan_chips(tiny.read(), SPEC).summary
    assert dict(summary.dates) == {"s2": 8, "s1": 1}
    assert summary.read_bytes == 64 * 64 * (8 * 10 * 2 + 2 * 4)
    assert "11 Sentinel-2 scenes do not say whether the +1000 offset" in str(summary)
    assert str(summary).startswith("1 samples in 1 cells; dates: 8 s2, 1 s1; 0.7 MB")


@pytest.mark.parametrize(("count", "named"), [(5, "m1, m2, m3, m4, m5"), (6, "m1, m2, m3, m4, m5, ...")])
def test_the_summary_names_five_scenes_of_unknown_offset_and_hints_at_more(tiny, count, named):
    for month in range(1, count + 1):
        tiny.add("s2", f"m{month}", date=f"2020-{month:02}-01T00:00:00Z", **{"sample:boa_offset": None})
    (note,) = plan_chips(tiny.read(), SPEC).summary.notes
    assert note.endswith(f"taken as they are: {named}")


# Areas


def test_an_area_gives_one_sample_for_each_cell_centred_on_it(tiny):
    tiny.add("s2", "s2", shape=(300, 300))
    catalog = tiny.read()
    plan = plan_area(catalog, SPEC, boxed(catalog))
    expected = set(h3.h3shape_to_cells(h3.geo_to_h3shape(boxed(catalog)), 9))
    assert {task.sample_id for task in plan.tasks} == expected
    for task in plan.tasks:
        assert h3.str_to_int(task.sample_id) == task.h3_cell
        assert h3.latlng_to_cell(task.site.lat_deg, task.site.lon_deg, 9) == task.sample_id
        assert task.site.window.grid_shape == (8, 8)
        assert (task.site.window.left_m - tiny.left) % 10 == 0
        lat, lon = h3.cell_to_latlng(task.sample_id)
        x, y = project("EPSG:32632", np.array([lon]), np.array([lat]))
        left, bottom, right, top = task.site.window.bounds
        assert abs((left + right) / 2 - x[0]) <= 5
        assert abs((bottom + top) / 2 - y[0]) <= 5


def test_only_cells_that_a_scene_touches_are_planned(tiny):
    tiny.add("s2", "s2", shape=(100, 100))
    catalog = tiny.read()
    plan = plan_area(catalog, SPEC, shapely.box(9, 49, 12, 52))
    footprint = boxed(catalog)
    inside = set(h3.h3shape_to_cells(h3.geo_to_h3shape(footprint), 9))
    found = {task.sample_id for task in plan.tasks}
    assert inside < found
    assert len(found) < 60
    assert all(isinstance(read_sample(task, SPEC), Sample) for task in plan.tasks if task.sample_id in inside)


def test_window_size_follows_the_resolution_within_limits():
    assert [cell_window_m(SPEC, r) / 80 for r in (10, 9, 8, 7)] == [8, 8, 12, 31]
    for resolution in (6, 11):
        with pytest.raises(
            InputError, match=f"resolution {resolution} has hexagons .* allow resolutions 7 to 10"
        ):
            cell_window_m(SPEC, resolution)


def test_cells_between_two_scenes_have_both_and_their_dates_are_one_pass(tiny):
    tiny.add("s2", "west", shape=(100, 100), date="2020-06-01T10:30:00Z")
    tiny.add("s2", "east", shape=(100, 100), date="2020-06-01T10:30:20Z", left=tiny.left + 1000)
    catalog = tiny.read()
    plan = plan_area(catalog, SPEC, boxed(catalog))
    counts = {len(task.series["s2"][0].scenes) for task in plan.tasks}
    assert counts == {1, 2}
    assert all(len(task.series["s2"]) == 1 for task in plan.tasks)


def test_two_utm_zones_each_keep_their_own_pixel_grid(tiny):
    x, y = project("EPSG:32632", np.array([12.0]), np.array([50.0]))
    x33, y33 = project("EPSG:32633", np.array([12.0]), np.array([50.0]))
    tiny.add("s2", "west", shape=(200, 200), left=float(round(x[0], -1)) - 2000, top=float(round(y[0], -1)))
    tiny.add(
        "s2",
        "east",
        shape=(200, 200),
        crs="EPSG:32633",
        left=float(round(x33[0], -1)),
        top=float(round(y33[0], -1)),
    )
    catalog = tiny.read()
    plan = plan_area(catalog, SPEC, boxed(catalog))
    assert {task.site.window.crs for task in plan.tasks} == {"EPSG:32632", "EPSG:32633"}
    samples = [read_sample(task, SPEC) for task in plan.tasks]
    both = [s for s, t in zip(samples, plan.tasks, strict=True) if len(t.series["s2"][0].scenes) == 2]
    assert both
    assert all(len(sample.series["s2"].valid) == 1 for sample in both)
    assert np.mean([sample.valid_fraction for sample in both]) > 0.7


def test_an_area_across_the_antimeridian_has_cells_on_both_sides(tiny):
    x, y = project("EPSG:32601", np.array([-180.0]), np.array([10.0]))
    tiny.add(
        "s2",
        "s2",
        shape=(300, 300),
        crs="EPSG:32601",
        left=float(round(x[0], -1)) - 1500,
        top=float(round(y[0], -1)),
    )
    catalog = tiny.read()
    area = shapely.union_all([shapely.box(179.9, 9.9, 180, 10.1), shapely.box(-180, 9.9, -179.9, 10.1)])
    plan = plan_area(catalog, SPEC, area)
    lons = np.array([task.site.lon_deg for task in plan.tasks])
    assert (lons > 179).any()
    assert (lons < -179).any()
    assert len(plan.tasks) == pytest.approx(3000**2 / h3.average_hexagon_area(9, unit="m^2"), rel=0.8)
    for task in plan.tasks:
        assert h3.latlng_to_cell(task.site.lat_deg, task.site.lon_deg, 9) == task.sample_id
        ring = np.array(task.site.footprint)
        assert np.ptp(ring[:, 0]) < 0.01


def test_near_a_pole_windows_lie_in_ups_and_one_around_it_is_skipped(tiny):
    tiny.add("s1", "s1", shape=(400, 400), crs="EPSG:32661", left=1_998_000.0, top=2_002_000.0)
    catalog = tiny.read()
    plan = plan_area(catalog, SPEC, shapely.box(-180, 89.9, 180, 90))
    assert {task.site.window.crs for task in plan.tasks} == {"EPSG:32661"}
    assert len(plan.tasks) > 50
    assert all("a pole lies in the window" in skip.reason for skip in plan.skipped)
    assert plan.skipped
    nearest = max(plan.tasks, key=lambda task: task.site.lat_deg)
    assert isinstance(read_sample(nearest, SPEC), Sample)


def test_an_area_without_a_scene_or_a_date_is_an_input_error(tiny):
    tiny.add("s2", "s2")
    catalog = tiny.read()
    with pytest.raises(InputError, match=r"no cell centred in the area .* W 10\.4"):
        plan_area(catalog, SPEC, shapely.box(0, 0, 1, 1))
    with pytest.raises(InputError, match="widen the period"):
        plan_area(catalog, SPEC, boxed(catalog), start=datetime(2030, 1, 1))


def test_an_area_whose_scenes_cannot_be_used_is_skipped_cell_by_cell(tiny):
    tiny.add("s2", "l1c", collection="sentinel-2-l1c")
    catalog = tiny.read()
    plan = plan_area(catalog, SPEC, boxed(catalog))
    assert not plan.tasks
    assert plan.skipped
    assert "level L1C" in plan.skipped[0].reason


def test_the_period_all_is_the_same_for_all_cells(tiny):
    tiny.add("s2", "west", shape=(100, 100), date="2020-01-01T00:00:00Z")
    tiny.add("s2", "east", shape=(100, 100), date="2021-01-01T00:00:00Z", left=tiny.left + 3000)
    catalog = tiny.read()
    plan = plan_area(catalog, SPEC, boxed(catalog))
    assert len({(task.start, task.end) for task in plan.tasks}) == 1
    assert len(plan_area(catalog, SPEC, boxed(catalog), period="year").tasks) == len(plan.tasks)


def test_a_catalog_without_a_usable_item_cannot_cover_an_area(tiny):
    tiny.write_item("none", {"datetime": "2020-01-01T00:00:00Z"}, {}, "sentinel-2-l2a")
    with pytest.raises(InputError, match=r"no item of .* can be used; the first: item none has no GeoTIFF"):
        plan_area(read_catalog(tiny.write()), SPEC, shapely.box(0, 0, 1, 1))


def test_a_sensor_that_the_encoder_does_not_take_is_left_out_and_named(tiny):
    tiny.add("s2", "s2")
    tiny.add("hr", "hr")
    spec = SampleSpec(px_per_cell={"s2": 8}, max_dates={"s2": 4})
    (task,) = plan_chips(tiny.read(), spec).tasks
    assert list(task.series) == ["s2"]
    assert task.dropped == (("hr", "the encoder takes s2 alone"),)
    radar = SampleSpec(px_per_cell={"s1": 8}, max_dates={"s1": 4})
    plan = plan_chips(tiny.read(), radar)
    assert not plan.tasks
    assert "s2: the encoder takes s1 alone" in plan.skipped[0].reason


def test_the_reference_is_the_commonest_grid_in_a_zone_of_the_first_sensor(tiny):
    at = datetime(2024, 1, 1, tzinfo=UTC)

    def scenes(*grids):
        return [Scene(f"{i}", None, "s2", "L2A", (), grid, at, at, at) for i, grid in enumerate(grids)]

    zone, rare, degrees = (
        PixelGrid(crs, (10, 0, left, 0, -10, 0), (9, 9))
        for crs, left in (("EPSG:32632", 0), ("EPSG:32632", 10), ("EPSG:4326", 0))
    )
    assert reference_grid({"s2": scenes(rare, zone, zone)}) == zone
    assert reference_grid({"s2": scenes(degrees, degrees, rare)}) == rare
    assert reference_grid({"s2": scenes(degrees)}) == degrees
    assert reference_grid({"hr": scenes(degrees, degrees), "s1": scenes(zone), "s2": scenes(rare)}) == rare
    assert reference_grid({"hr": scenes(degrees), "s1": scenes(zone)}) == zone
