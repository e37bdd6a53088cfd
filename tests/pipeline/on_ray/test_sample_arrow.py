"""Samples come out of their stream as they went in."""

import dataclasses
import math

import numpy as np
import pytest

from data.reader import read_sample
from data.sample import ANY_TIME, Imagery, ImageSeries, Sample
from pipeline.on_ray.sample_arrow import from_arrow, to_arrow

from .conftest import Job


def made_up() -> Sample:
    """With every field at its edge: no dates of one sensor, nothing known of clouds, names beyond ASCII."""
    generator = np.random.default_rng(3)
    s2 = ImageSeries(
        generator.normal(size=(3, 10, 16, 8)).astype(np.float32),
        generator.random((3, 16, 8)) > 0.5,
        np.array([0, 1, 366], np.int16),
        ("a.tif", "ü.tif", ""),
    )
    hr = ImageSeries(
        generator.integers(0, 255, (1, 3, 64, 32), np.uint8),
        np.zeros((1, 64, 32), bool),
        np.array([7], np.int16),
        ("h",),
    )
    return Sample(
        "place#1_2", 2**62 + 1, -179.5, 89.25, *ANY_TIME,
        ((179.0, 1.0), (181.0, 1.0), (181.0, 2.0), (179.0, 1.0)), "EPSG:32701", (499980.5, -0.0), (2, 1),
        {"s2": s2, "hr": hr}, 0.1, math.nan, (("s1", "too old"),), (),
        (Imagery("c", "p", "CC0-1.0", ("a", "b"), ()), Imagery("d", "p", "other")),
    )  # fmt: skip


def assert_equal(found: Sample, expected: Sample) -> None:
    for field in dataclasses.fields(Sample):
        a, b = getattr(found, field.name), getattr(expected, field.name)
        if field.name == "series":
            assert list(a) == list(b)
            for name in b:
                assert a[name].source_items == b[name].source_items
                for part in ("pixels", "valid", "day_of_year"):
                    one, other = getattr(a[name], part), getattr(b[name], part)
                    assert one.dtype == other.dtype
                    assert np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
        else:
            assert a == b or (a != a and b != b), field.name
            assert type(a) is type(b)


def test_every_field_is_kept(job: Job) -> None:
    read = [read_sample(task, job.encoder.spec) for task in job.plan.tasks[:3]]
    samples = [made_up(), *(sample for sample in read if isinstance(sample, Sample))]
    assert len(samples) == 4
    for found, expected in zip(from_arrow(to_arrow(samples)), samples, strict=True):
        assert_equal(found, expected)


def test_pixels_are_not_copied() -> None:
    stream = to_arrow([made_up()])
    (sample,) = from_arrow(stream)
    pixels = sample.series["s2"].pixels
    start = pixels.__array_interface__["data"][0]
    assert stream.address <= start < stream.address + stream.size
    with pytest.raises(ValueError, match="read-only"):
        pixels[:] = 0


def test_no_samples_are_none() -> None:
    assert from_arrow(to_arrow([])) == []
