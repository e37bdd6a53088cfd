"""What the page is told comes through its environment whole; tables have names that tell no path."""

from pathlib import Path

import pytest

from indexer.errors import TableError
from search_app.page_settings import PageSettings, page_settings


def test_settings_come_through_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = PageSettings(("valley", "s3://bucket/alps"), ("example.org",), ("pictures",), 3.0, "land.tif")
    told = page_settings(settings.to_environment())
    assert told.tables == (str(tmp_path / "valley"), "s3://bucket/alps")
    assert (told.hosts, told.paths, told.wait_s) == (("example.org",), (str(tmp_path / "pictures"),), 3.0)
    assert (told.ground, told.limits) == (str(tmp_path / "land.tif"), settings.limits)


def test_a_page_started_by_hand_has_one_table() -> None:
    assert page_settings({}).tables == ("skyhex-data",)
    assert page_settings({"SKYHEX_TABLE": "a b"}).tables == ("a b",)


def test_names_are_those_of_folders_and_part_those_of_one_name() -> None:
    tables = ("/home/me/alps", "s3://bucket/alps/", "/home/me/alps", "/x/alps-2", "/y/alps")
    settings = PageSettings(tables)
    assert settings.named == {
        "alps": "/home/me/alps",
        "alps-2": "s3://bucket/alps/",
        "alps-2-2": "/x/alps-2",
        "alps-3": "/y/alps",
    }
    assert settings.find("") == settings.find("alps") == "/home/me/alps"
    assert settings.find("alps-2") == "s3://bucket/alps/"
    with pytest.raises(TableError, match=r"not started with a table '/y/alps', but with alps, alps-2"):
        settings.find("/y/alps")
