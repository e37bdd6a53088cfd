"""Places that people type: coordinates in every usual writing, cells, towns."""

import h3
import numpy as np
import pytest

from indexer.errors import QueryError
from search_app.page.coordinates import parse_lonlat
from search_app.page.gazetteer import towns_named
from search_app.page.typed_place import read_typed, write_lonlat

from ..make_table import CELLS

IDS = np.array(CELLS, np.uint64)  # around 10 E 47 N


@pytest.mark.parametrize(
    "text",
    [
        "9.96, 52.09",
        " 9.96 52.09",
        "9.96;52.09",
        "9,96; 52,09",
        "9.96/52.09",
        "52.09 N 9.96 E",
        "52.09N, 9.96E",
        "N52.09 E9.96",
        "E 9.96, N 52.09",
        "52.09° N, 9.96° E",
        "52°05\u203224\u2033N 9°57\u203236\u2033E",
        "52°05'24\"N 9°57'36\"E",
        "9°57'36\"E 52°05'24\"N",
        "52°5.4'N 9°57.6'E",
        "52 05 24 N, 9 57 36 E",
        "52:05:24N 9:57:36E",
        "lat: 52.09, lon: 9.96",
        "longitude=9.96 latitude=52.09",
        "geo:52.09,9.96",
        "geo: 52.09, 9.96",
        "geo:52.09,9.96?z=12",
        "https://www.google.com/maps/@52.09,9.96,12z",
        "https://www.openstreetmap.org/#map=12/52.09/9.96",
        "POINT(9.96 52.09)",
        "[9.96, 52.09]",
    ],
)
def test_one_place_in_every_writing(text: str) -> None:
    found = parse_lonlat(text)
    assert found is not None
    assert (found.lon_deg, found.lat_deg) == (pytest.approx(9.96), pytest.approx(52.09))


@pytest.mark.parametrize(
    ("text", "lon", "lat"),
    [
        ("33.9 S 151.2 E", 151.2, -33.9),
        ("120°30'W 37°N", -120.5, 37),
        ("-120.5 37", -120.5, 37),
        ("\u221233.9, 18.4", -33.9, 18.4),
        ("10,47", 10, 47),
        ("0 0", 0, 0),
    ],
)
def test_all_four_quarters(text: str, lon: float, lat: float) -> None:
    found = parse_lonlat(text)
    assert found is not None
    assert (found.lon_deg, found.lat_deg) == (pytest.approx(lon), pytest.approx(lat))


@pytest.mark.parametrize(
    "text",
    [
        "Bern",
        "north, south",
        "1 2 3",
        "891f1d4801bffff",
        "",
        "9.96",
        "1" * 5000,
        "geo:",
        "geo:52.09",
        "geo:a,b",
    ],
)
def test_what_has_not_two_angles_is_no_place(text: str) -> None:
    assert parse_lonlat(text) is None


@pytest.mark.parametrize("text", ["100, 95", "200, 10", "52 N 9 N", "95 N 9 E"])
def test_two_angles_that_are_no_place_are_explained(text: str) -> None:
    with pytest.raises(QueryError, match="expected"):
        parse_lonlat(text)


def test_a_swapped_place_is_recognised_and_told() -> None:
    far = read_typed("52.09, 109.96", IDS)  # no latitude is 109.96
    assert (far.place, far.note) == ("109.96,52.09", "Read as latitude 52.09, longitude 109.96.")
    near = read_typed("47, 10", IDS)  # could be both, but the table lies at the one
    assert near.place == "10,47"
    assert "latitude 47, longitude 10" in near.note
    assert read_typed("10, 47", IDS).note == ""
    assert read_typed("47 N, 10 E", IDS) == read_typed("10, 47", IDS)
    assert read_typed("30, 20", IDS).place == "30,20"  # neither is near: as it came


def test_cells_are_kept_in_one_form() -> None:
    assert read_typed(" 891F1D4801BFFFF ", IDS).place == "891f1d4801bffff"
    assert read_typed(str(h3.str_to_int("891f1d4801bffff")), IDS).place == "891f1d4801bffff"


def test_a_town_is_looked_at() -> None:
    typed = read_typed("zurich", IDS)
    assert typed.place == ""
    assert typed.extent is not None
    assert typed.extent.west < 8.54 < typed.extent.east
    assert typed.extent.south < 47.37 < typed.extent.north
    assert "Zürich, CH" in typed.note
    assert "km away" in typed.note
    assert towns_named("Zürich") == towns_named("ZURICH")
    assert {town.country for town in towns_named("Paris, us")} == {"US"}
    assert towns_named("Paris")[0].country == "FR"


def test_what_is_nothing_says_what_could_be() -> None:
    with pytest.raises(QueryError, match=r"not an H3 cell.*longitude.*town"):
        read_typed("no such place at all", IDS)


def test_a_place_is_written_to_a_tenth_of_a_metre() -> None:
    assert write_lonlat(151.2166667, -33.0) == "151.216667,-33"
