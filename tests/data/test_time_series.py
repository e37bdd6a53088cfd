import dataclasses
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.grid import PixelGrid
from data.sample import InputError
from data.scene import BandSource, Scene
from data.time_series import acquisitions, by_preference, check_span, covered_days, periods, within

GRID = PixelGrid("EPSG:32632", (10, 0, 0, 0, -10, 0), (9, 9))


def scene(date=None, cloud=None, *, start=None, end=None, item_id=None, **fields):
    at = datetime.fromisoformat(date).replace(tzinfo=UTC) if date else None
    start = at or datetime.fromisoformat(start).replace(tzinfo=UTC)
    end = at or datetime.fromisoformat(end).replace(tzinfo=UTC)
    band = BandSource("B02", "a.tif", 1)
    name = item_id or f"{date} {cloud}"
    return Scene(name, None, "s2", "L2A", (band,), GRID, at, start, end, cloud_percent=cloud, **fields)


def days(acquisitions):
    return [a.date.strftime("%m-%d") if a.date else "unknown" for a in acquisitions]


def test_at_most_max_dates_the_clearest_of_each_part_of_the_time():
    scenes = [
        scene(f"2020-01-{day:02}", cloud)
        for day, cloud in [(1, 60), (2, 5), (11, 40), (12, 30), (21, 0), (31, 10)]
    ]
    chosen = by_preference(acquisitions(scenes), 3)
    assert sorted(days(chosen)[:3]) == ["01-02", "01-12", "01-21"]
    assert days(chosen)[3:] == ["01-31", "01-11", "01-01"]


def test_of_equally_clear_dates_the_one_in_the_middle():
    scenes = [scene(f"20{year:02}-07-01") for year in range(8, 19)]
    assert by_preference(acquisitions(scenes), 1)[0].date.year == 2013


def test_cloudy_dates_are_used_only_where_there_is_no_other():
    cloudy, clear = scene("2020-01-01", 95), scene("2020-02-01", 20)
    assert days(by_preference(acquisitions([cloudy, clear]), 4)) == ["02-01"]
    assert days(by_preference(acquisitions([cloudy]), 4)) == ["01-01"]


def test_products_of_one_pass_are_one_acquisition_the_newest_processing_first():
    old = scene("2020-06-01T10:30:21", 10, item_id="old", baseline=2.14)
    new = scene("2020-06-01T10:30:35", 10, item_id="new", baseline=5.0)
    later = scene("2020-06-03T10:30:21", 10, item_id="later")
    found = acquisitions([later, old, new])
    assert [[s.item_id for s in a.scenes] for a in found] == [["new", "old"], ["later"]]


def test_ascending_and_descending_passes_of_one_day_are_two():
    morning = scene("2020-06-01", item_id="a", orbit="descending")
    evening = scene("2020-06-01", item_id="b", orbit="ascending")
    assert len(acquisitions([morning, evening])) == 2


def test_scenes_of_unknown_date_are_one_if_their_range_is():
    tiles = [scene(start="2017-01-01", end="2017-12-31", item_id=name) for name in "ab"]
    flight = scene(start="2013-01-01", end="2019-01-01", item_id="c")
    found = acquisitions([*tiles, flight])
    assert sorted(tuple(s.item_id for s in a.scenes) for a in found) == [("a", "b"), ("c",)]
    assert [a.day_of_year for a in found] == [0, 0]


def test_unknown_dates_come_last_in_time():
    known, unknown = scene("2020-01-01"), scene(start="2010-01-01", end="2019-12-31", item_id="u")
    assert days(acquisitions([unknown, known])) == ["01-01", "unknown"]


def test_the_last_day_of_a_leap_year_is_366():
    leap, plain = acquisitions([scene("2020-12-31"), scene("2021-12-31")])
    assert (leap.day_of_year, plain.day_of_year) == (366, 365)


def test_days_covered_end_after_the_last_one():
    start, end = covered_days([scene("2020-03-05T10:00:00"), scene("2020-06-01T23:59:59")])
    assert (start, end) == (datetime(2020, 3, 5, tzinfo=UTC), datetime(2020, 6, 2, tzinfo=UTC))


def test_an_unknown_date_widens_the_days_covered_only_when_it_must_lie_outside():
    known = scene("2020-06-01")
    perhaps = scene(start="2011-01-01", end="2020-12-31", item_id="p")
    surely = scene(start="2017-01-01", end="2017-12-31", item_id="s")
    assert covered_days([known, perhaps])[0].year == 2020
    assert covered_days([known, surely])[0] == datetime(2017, 1, 1, tzinfo=UTC)
    assert covered_days([perhaps])[0] == datetime(2011, 1, 1, tzinfo=UTC)


def test_years_seasons_and_months():
    scenes = [scene(date) for date in ("2019-12-15", "2020-02-29", "2020-03-01", "2021-01-31")]
    year = [(s.year, e.year) for s, e in periods(scenes, "year", None, None)]
    season = [(f"{s:%Y-%m}", f"{e:%Y-%m}") for s, e in periods(scenes, "season", None, None)]
    month = [f"{s:%Y-%m}" for s, _ in periods(scenes, "month", None, None)]
    assert year == [(2019, 2020), (2020, 2021), (2021, 2022)]
    assert season == [("2019-12", "2020-03"), ("2020-03", "2020-06"), ("2020-12", "2021-03")]
    assert month == ["2019-12", "2020-02", "2020-03", "2021-01"]


def test_periods_are_clipped_to_start_and_end_and_need_a_scene():
    scenes = [scene("2020-02-01"), scene("2020-11-01")]
    start, end = datetime(2020, 6, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)
    assert periods(scenes, "year", start, None) == ((start, end),)
    assert periods(scenes, "all", start, None) == ((start, datetime(2020, 11, 2, tzinfo=UTC)),)
    assert periods(scenes, "all", end, None) == ()


def test_a_scene_of_unknown_date_joins_periods_but_makes_none():
    unknown = scene(start="2011-01-01", end="2020-12-31", item_id="u")
    spans = periods([scene("2020-06-01"), unknown], "year", None, None)
    assert [(s.year, e.year) for s, e in spans] == [(2020, 2021)]
    assert within(unknown, spans[0])
    assert len(periods([unknown], "month", None, None)) == 1


def test_dates_the_wrong_way_round():
    with pytest.raises(InputError, match="2021-01-01 to 2020-01-01"):
        check_span(datetime(2021, 1, 1), datetime(2020, 1, 1))


moments = st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))


@settings(deadline=None)
@given(st.lists(moments, min_size=1, max_size=12), st.sampled_from(["all", "year", "season", "month"]))
def test_every_date_lies_in_exactly_one_period(dates, period):
    scenes = [dataclasses.replace(scene("2020-01-01"), date=at, start=at, end=at) for at in dates]
    spans = periods(scenes, period, None, None)
    assert [sum(within(s, span) for span in spans) for s in scenes] == [1] * len(scenes)
    assert all(first[1] <= second[0] for first, second in pairwise(spans))


@settings(deadline=None)
@given(
    st.lists(st.tuples(moments, st.one_of(st.none(), st.floats(0, 80))), min_size=1, max_size=15),
    st.integers(1, 8),
)
def test_the_choice_keeps_every_clear_date_once_and_covers_the_time(dated, max_dates):
    scenes = [
        dataclasses.replace(scene("2020-01-01", c, item_id=str(i)), date=at, start=at, end=at)
        for i, (at, c) in enumerate(dated)
    ]
    found = acquisitions(scenes)
    chosen = by_preference(found, max_dates)
    assert sorted(a.date for a in chosen) == [a.date for a in found]
    if len(chosen) <= max_dates or chosen[0].date is None:
        return
    dates = [a.date for a in found]
    part = (dates[-1] - dates[0]) / max_dates
    filled = (
        {min(int((a.date - dates[0]) / part), max_dates - 1) for a in found} if part > timedelta(0) else {0}
    )
    first = (
        {min(int((a.date - dates[0]) / part), max_dates - 1) for a in chosen[: len(filled)]}
        if part > timedelta(0)
        else {0}
    )
    assert first == filled


def test_a_period_has_its_start_and_not_its_end():
    first, second = (datetime(2023, month, 1, tzinfo=UTC) for month in (3, 6))
    asked = ("2023-03-01", "2023-06-01", "2023-05-31T23:59:59.999999")
    assert [within(scene(date), (first, second)) for date in asked] == [True, False, True]


@pytest.mark.parametrize(("minutes", "passes"), [(10, 1), (11, 2)])
def test_a_pass_lasts_ten_minutes_from_its_first_scene(minutes, passes):
    first = scene("2020-01-01T10:00")
    later = [scene(f"2020-01-01T10:{m:02}", item_id=f"{m}") for m in range(5, minutes + 1, 1)]
    assert len(acquisitions([*later, first])) == passes


def test_of_one_pass_the_newest_processing_then_the_clearest_then_the_first_name_is_preferred():
    at = "2020-01-01T10:00"
    every = [
        scene(at, 5, item_id="old", baseline=2.0),
        scene(at, 50, item_id="cloudy", baseline=4.0),
        scene(at, None, item_id="unknown", baseline=4.0),
        scene(at, 10, item_id="b", baseline=4.0),
        scene(at, 10, item_id="a", baseline=4.0),
    ]
    (acquisition,) = acquisitions(every)
    assert [s.item_id for s in acquisition.scenes] == ["unknown", "a", "b", "cloudy", "old"]
    assert acquisition.cloud_percent is None
    assert acquisition.day_of_year == 1


@pytest.mark.parametrize(("cloud", "kept"), [(80.0, 2), (80.1, 1)])
def test_eighty_percent_of_cloud_is_not_yet_too_much(cloud, kept):
    scenes = [scene("2020-01-01", cloud), scene("2020-02-01", 10)]
    assert len(by_preference(acquisitions(scenes), 2)) == kept


def test_unknown_cloud_lies_between_clear_and_cloudy():
    scenes = [scene("2020-01-01", 49), scene("2020-01-01T12:00", None), scene("2020-01-02", 51)]
    assert [a.cloud_percent for a in by_preference(acquisitions(scenes), 1)] == [49, None, 51]


def test_the_last_date_lies_in_the_last_part_and_one_alone_in_the_first():
    scenes = [scene(f"2020-01-{day:02}", 5) for day in (1, 2, 31)]
    assert sorted(days(by_preference(acquisitions(scenes), 2))[:2]) == ["01-02", "01-31"]
    assert days(by_preference(acquisitions([scene("2020-01-01")]), 3)) == ["01-01"]


@pytest.mark.parametrize(
    ("date", "season"),
    [("2020-11-30", ("2020-09-01", "2020-12-01")), ("2020-12-01", ("2020-12-01", "2021-03-01")),
     ("2020-02-29", ("2019-12-01", "2020-03-01")), ("2020-03-01", ("2020-03-01", "2020-06-01"))],
)  # fmt: skip
def test_seasons_begin_in_december(date, season):
    ((start, end),) = periods([scene(date)], "season", None, None)
    assert (f"{start:%Y-%m-%d}", f"{end:%Y-%m-%d}") == season


def test_of_all_the_given_ends_hold_and_the_days_covered_otherwise():
    scenes = [scene("2020-03-05T10:00"), scene("2020-03-09T23:59:59.5")]
    start, end = datetime(2020, 3, 6, tzinfo=UTC), datetime(2020, 3, 9, tzinfo=UTC)
    day = timedelta(days=1)
    assert periods(scenes, "all", None, None) == ((start - day, end + day),)
    assert periods(scenes, "all", start - 9 * day, None) == ((start - 9 * day, end + day),)
    assert periods(scenes, "all", start, end) == ()
    assert periods(scenes, "all", start, end + day) == ((start, end + day),)


def test_a_period_that_holds_a_moment_holds_one():
    at = datetime(2020, 1, 1, tzinfo=UTC)
    check_span(at, at + timedelta(seconds=1))
    check_span(None, at)
    with pytest.raises(InputError, match="holds no day"):
        check_span(at, at)


def test_an_unknown_date_may_lie_in_a_period_that_its_range_touches():
    unknown = scene(start="2020-02-01", end="2020-03-01", item_id="u")
    span = datetime(2020, 3, 1, tzinfo=UTC), datetime(2020, 4, 1, tzinfo=UTC)
    assert within(unknown, span)
    assert not within(unknown, (span[0] + timedelta(seconds=1), span[1]))
    assert not within(unknown, (datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 2, 1, tzinfo=UTC)))
    assert within(unknown, (datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 2, 1, 0, 0, 1, tzinfo=UTC)))


def test_of_each_part_the_date_nearest_to_its_middle_comes_first():
    scenes = [scene(f"2020-01-{day:02}", 5) for day in (1, 5, 6, 10, 11, 13, 16, 21)]  # twice ten days
    chosen = by_preference(acquisitions(scenes), 2)
    assert sorted(days(chosen)[:2]) == ["01-06", "01-16"]
