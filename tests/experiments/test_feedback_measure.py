"""Precision after rounds of marks, where it can be worked out by hand."""

import numpy as np
import pytest

from data.sphere import on_sphere
from experiments.feedback import WAYS, Places, Protocol, asked_for, measure, precisions, starts

ASKED = Protocol(k=20, most_share=1.0, seed=0)
N = 300


def places(noise: float, spread_deg: float = 40.0) -> Places:
    """A third are of class a, which lies along one axis; rows stand on a line 0.1 degrees long or longer."""
    rng = np.random.default_rng(0)
    label = np.where(np.arange(N) % 3 == 0, "a", "b")
    vectors = rng.normal(scale=noise, size=(N, 6))
    vectors[:, 0] += np.where(label == "a", 1, -1)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    lon = np.linspace(0, spread_deg, N)
    return Places("set", vectors, label, (np.arange(N) // 30).astype(str), on_sphere(lon, np.zeros(N)))


def test_what_lies_apart_is_found_before_and_after_any_marks() -> None:
    for way in WAYS:
        assert [*precisions(places(0.05), 0, way, 0.0, ASKED)] == [1.0] * 6


def test_marks_raise_what_one_noisy_example_finds() -> None:
    found = {way.name: np.array([*precisions(places(1.5), 3, way, 0.0, ASKED)]) for way in WAYS}
    assert all(0 <= precision <= 1 for each in found.values() for precision in each)
    assert len({each[0] for each in found.values()}) == 1  # before any mark
    linear = found["linear, uncertain first"]
    assert linear[-1] > linear[0] + 0.2


def test_where_marks_leave_too_few_rows_there_is_no_precision() -> None:
    """All rows lie within 11 km of each other: 5 km around a mark in the middle leave few, and then none."""
    near = [*precisions(places(1.5, spread_deg=0.1), N // 2, WAYS[0], 5.0, ASKED)]
    assert np.isnan(near[-1])
    assert not np.isnan([*precisions(places(1.5), N // 2, WAYS[0], 5.0, ASKED)]).any()
    assert measure(places(1.5, spread_deg=0.1), "a", 5.0, ASKED) == {}


def test_starts_are_drawn_from_as_many_blocks_as_there_are() -> None:
    drawn = starts(places(1.0), "a", 10, seed=1)
    assert len(set(places(1.0).block[drawn])) == 10
    assert (places(1.0).label[drawn] == "a").all()
    assert len(set(starts(places(1.0), "a", 1000, seed=1).tolist())) == 100


@pytest.mark.parametrize(
    ("k", "most_share", "classes"), [(20, 1.0, ["a", "b"]), (60, 1.0, ["b"]), (20, 0.4, ["a"])]
)
def test_a_class_is_asked_for_with_rows_enough_and_not_too_many(
    k: int, most_share: float, classes: list[str]
) -> None:
    assert asked_for(places(1.0), Protocol(k, most_share, 0)) == classes
