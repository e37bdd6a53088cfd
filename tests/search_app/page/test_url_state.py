"""A link reproduces the view, and a broken link breaks nothing."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.overview.projection import METHODS
from indexer.search.words import COLUMNS
from search_app.page.url_state import (
    COLOURS,
    MATCHES,
    MAX_K,
    PARTS,
    SENSORS,
    SHADES,
    TABS,
    View,
    parse_bbox,
    read_view,
)

words = st.text("abcdef0123456789,./:", min_size=1, max_size=20)
degrees = st.integers(-17_900_000, 17_900_000).map(lambda n: n / 100_000)
latitudes = st.tuples(st.integers(-8_900_000, 8_900_000), st.integers(1, 90_000)).map(
    lambda pair: (pair[0] / 100_000, (pair[0] + pair[1]) / 100_000)
)
boxes = st.tuples(degrees, latitudes, degrees).map(lambda b: (b[0], b[1][0], b[2], b[1][1]))
views = st.builds(
    View,
    like=st.lists(words, max_size=3).map(tuple),
    unlike=st.lists(words, max_size=2).map(tuple),
    match=st.sampled_from(MATCHES),
    invert=st.booleans(),
    negative_weight=st.integers(0, 100).map(lambda n: n / 10),
    using=st.sampled_from(list(COLUMNS)),
    against=st.sampled_from(list(COLUMNS)),
    k=st.integers(1, MAX_K),
    per_parent=st.none() | st.integers(1, MAX_K),
    parent_res=st.none() | st.integers(0, 15),
    relevance=st.none() | st.integers(0, 100).map(lambda n: n / 100),
    near=st.none() | st.tuples(degrees, st.just(46.5), st.integers(1, 90).map(float)),
    cells=st.lists(words, max_size=3).map(tuple),
    footprint=st.booleans(),
    months=st.sets(st.integers(1, 12)).map(lambda months: tuple(sorted(months))),
    modalities=st.sets(st.sampled_from(SENSORS)).map(lambda some: tuple(s for s in SENSORS if s in some)),
    cloud=st.none() | st.integers(0, 100).map(lambda n: n / 100),
    valid=st.none() | st.integers(0, 100).map(lambda n: n / 100),
    where=st.just("") | st.text(min_size=1),
    bbox=st.none() | boxes,
    within=st.just("") | words,
    start=st.none() | st.dates(),
    end=st.none() | st.dates(),
    colour=st.sampled_from(COLOURS),
    tab=st.sampled_from(TABS),
    area=st.just("") | words,
    prototype=st.just("") | words,
    sql=st.just("") | st.text(min_size=1),
    before=st.just("") | words,
    after=st.just("") | words,
    shade=st.sampled_from(SHADES),
    seen=st.just("") | words,
    plane=st.sampled_from(METHODS),
    picked=st.just("") | words,
    part=st.sampled_from(PARTS),
    clusters=st.integers(2, 99),
)


@given(views)
def test_a_view_survives_its_link(view: View) -> None:
    params = {name: [value] if isinstance(value, str) else value for name, value in view.to_params().items()}
    assert read_view(params) == (view, [])


def test_the_default_view_has_a_bare_link() -> None:
    assert View().to_params() == {}


def test_what_a_link_looks_like() -> None:
    view = View(
        like=("891f1d4801bffff", "9.5,47"), k=5, bbox=(9.0, 46.5, 10.25, 47.0), start=date(2021, 3, 1)
    )
    assert view.to_params() == {
        "like": ["891f1d4801bffff", "9.5,47"],
        "k": "5",
        "bbox": "9,46.5,10.25,47",
        "start": "2021-03-01",
    }


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("k", "0", "1 to 500"),
        ("k", "many", "1 to 500"),
        ("match", "some", "mean, any, all"),
        ("invert", "yes", "expected 1"),
        ("negative_weight", "-1", "0 to 10"),
        ("relevance", "nan", "0 to 1"),
        ("months", "6,13", "1 to 12"),
        ("modalities", "lidar", "hr, s2, s1"),
        ("near", "1 2", "lon lat km"),
        ("near", "1 2 0", "above 0"),
        ("parent_res", "16", "0 to 15"),
        ("bbox", "1,2,3", "four numbers"),
        ("bbox", "a,b,c,d", "four numbers"),
        ("bbox", "1,50,2,40", "south < north"),
        ("start", "March", "March"),
        ("marks", "mine", "SET/VERSION"),
        ("marks", "mine/0", "SET/VERSION"),
        ("rule", "magic", "linear, rocchio"),
        ("tab", "admin", "map, change, projection, prototypes, labels, sql"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named_and_left_out(name: str, value: str, says: str) -> None:
    view, problems = read_view({name: [value], "colour": ["prototype"], "later_version": ["x"]})
    assert view == View(colour="prototype")
    assert len(problems) == 1
    assert f"{name}={value}" in problems[0]
    assert says in problems[0]


def test_a_box_may_cross_the_antimeridian() -> None:
    assert parse_bbox("177, -20 -178  -15") == (177, -20, -178, -15)
