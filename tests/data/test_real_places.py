"""Every place of the real imagery beside the repository is planned, and one sample of each is read."""

import h3
import numpy as np
import pytest
import shapely

from data.cover import Skip, plan_area, plan_chips
from data.modality import MODALITIES
from data.reader import read_chip, read_sample
from data.sample import SampleSpec
from data.stac import read_catalog

SPEC = SampleSpec()


@pytest.fixture(scope="module")
def plans(shared):
    """Plans over all chips, by folder."""
    return {
        name: plan_chips(read_catalog(shared / name / "catalog.json"), SPEC) for name in ("samples", "corpus")
    }


def place_of(sample_id):
    return sample_id.split("#")[0]


def read_one_of_each(plan):
    first = {place_of(task.sample_id): task for task in plan.tasks}
    return {place: read_sample(task, SPEC) for place, task in first.items()}


@pytest.mark.parametrize(("folder", "places", "skipped"), [("samples", 94, 2), ("corpus", 149, 0)])
def test_every_place_is_a_sample_or_a_skip(plans, folder, places, skipped):
    plan = plans[folder]
    planned = {place_of(task.sample_id) for task in plan.tasks}
    assert len(plan.skipped) == skipped
    assert len(planned) + len(plan.skipped) == places
    assert len({task.sample_id for task in plan.tasks}) == len(plan.tasks)
    for place, sample in read_one_of_each(plan).items():
        assert not isinstance(sample, Skip), place
        polygon = shapely.Polygon(sample.footprint)
        assert polygon.is_valid
        assert polygon.exterior.is_ccw
        assert h3.latlng_to_cell(polygon.centroid.y, polygon.centroid.x, 12) == h3.int_to_str(sample.h3_cell)
        assert 0 < sample.valid_fraction <= 1
        assert sample.start < sample.end
        for name, series in sample.series.items():
            dates, height, width = series.valid.shape
            side = SPEC.px_per_cell[name]
            assert (height, width) == tuple(cells * side for cells in sample.grid_shape)
            assert series.pixels.shape == (dates, len(MODALITIES[name].bands), height, width)
            assert series.pixels.dtype == MODALITIES[name].dtype
            assert len(series.source_items) == len(series.day_of_year) == dates <= SPEC.max_dates[name]
            assert np.isfinite(
                series.pixels.astype(float)[np.broadcast_to(series.valid[:, None], series.pixels.shape)]
            ).all()


def test_the_sensors_of_known_places(plans):
    plan = plans["samples"]
    tasks = {place_of(task.sample_id): task for task in plan.tasks}
    forest = read_sample(tasks["lower-saxony-forest"], SPEC)
    assert {name: len(s.valid) for name, s in forest.series.items()} == {"hr": 1, "s2": 8, "s1": 4}
    assert forest.grid_shape == (1, 1)
    assert forest.series["hr"].day_of_year.tolist() == [0]
    assert forest.valid_fraction > 0.9
    assert list(tasks["flanders-3"].series) == ["s1"]
    assert "bands missing: B02 B03 B04 B08" in dict(tasks["flanders-3"].dropped)["s2"]
    assert "bands missing: B8A" in dict(tasks["hesbaye-1"].dropped)["s2"]
    assert {s.sample_id: s.reason[:13] for s in plan.skipped} == {
        "newzealand-1": "s2: level L1C",
        "slovenia-1": "s2: level L1C",
    }
    assert any("world-70541_s2l2a" in note for note in plan.summary.notes)


def test_l1c_can_be_allowed(shared):
    plan = plan_chips(read_catalog(shared / "samples" / "catalog.json"), SPEC, allow_l1c=True)
    assert not plan.skipped


def test_clouds_of_the_scene_classification_are_masked(plans):
    task = next(task for task in plans["samples"].tasks if task.sample_id == "flanders-1")
    sample = read_sample(task, SPEC)
    assert len(sample.series["s2"].valid) == 8
    assert sample.cloud_fraction < 0.2
    assert np.ptp(sample.series["s2"].day_of_year) > 150


def test_the_hexagons_of_a_larger_place(shared):
    catalog = read_catalog(shared / "corpus" / "catalog.json")
    place = next(place for place in catalog.places if place.name == "majortom-0u199r")
    area = place.scenes[0].footprint.buffer(-0.01)
    plan = plan_area(catalog, SPEC, area, h3_resolution=8)
    assert {task.sample_id for task in plan.tasks} == set(h3.h3shape_to_cells(h3.geo_to_h3shape(area), 8))
    for task in plan.tasks[:4]:
        sample = read_sample(task, SPEC)
        assert sample.grid_shape == (12, 12)
        assert h3.latlng_to_cell(sample.lat_deg, sample.lon_deg, 8) == sample.sample_id


def test_real_chips_are_queries(shared):
    samples = shared / "samples"
    for folder, modality in (
        ("aerial", "hr"),
        ("sentinel-2-l2a", "s2"),
        ("sentinel-1-grd", "s1"),
        ("sentinel-1-rtc", "s1"),
    ):
        path = next(
            path for path in sorted((samples / folder).glob("*/*.tif")) if "flanders-3" not in path.name
        )
        assert list(read_chip(path, SPEC).series) == [modality]
