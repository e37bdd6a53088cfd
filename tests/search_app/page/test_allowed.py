"""A table made by someone else: no server is asked, no other folder looked into, unless allowed."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from indexer.table.embedding_table import EmbeddingTable
from search_app.page import allowed
from search_app.page.allowed import access_of, allow, places_asked, whole_href
from search_app.page.quicklook import Quicklook, Subject, draw, is_allowed, modalities
from search_app.page_settings import PageSettings

from ...data.servers import Served, serving
from ..make_table import small_table
from .test_quicklook import footprint, geotiff

NOT_ALLOWED = "not allowed yet"


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddingTable:
    """A table in a folder of its own, and nothing allowed."""
    monkeypatch.setattr(allowed, "_granted", {})
    monkeypatch.delenv("SKYHEX_PAGE", raising=False)
    return small_table(tmp_path / "table")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    (tmp_path / "web").mkdir()
    aerial(tmp_path / "web")
    with serving(tmp_path / "web") as served:
        yield served


def aerial(folder: Path) -> str:
    return geotiff(folder / "aerial.tif", np.full((3, 64, 64), 90, np.uint8), ("R", "G", "B"))


def shown(table: EmbeddingTable, *hrefs: str) -> Quicklook:
    return draw(subject(table, *hrefs))


def subject(table: EmbeddingTable, *hrefs: str) -> Subject:
    return Subject(footprint(), tuple(whole_href(table, href) for href in hrefs), access_of(table))


def tell(monkeypatch: pytest.MonkeyPatch, settings: PageSettings) -> None:
    for name, value in settings.to_environment().items():
        monkeypatch.setenv(name, value)


def test_the_tables_own_folder_is_read(table: EmbeddingTable) -> None:
    inside = aerial(table.path)
    for href in (inside, "aerial.tif", f"file://{inside}"):
        assert shown(table, href).caption == "Aerial"


def test_other_folders_take_a_flag_or_a_button(
    table: EmbeddingTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = aerial(tmp_path)
    for href in (outside, f"file://{outside}", "../aerial.tif", f"{table.path}/../aerial.tif"):
        assert shown(table, href).caption == NOT_ALLOWED
    assert places_asked([subject(table, outside)]) == [str(tmp_path)]
    allow(table, str(tmp_path))
    assert shown(table, outside).caption == "Aerial"
    monkeypatch.setattr(allowed, "_granted", {})
    tell(monkeypatch, PageSettings((str(table.path),), paths=(str(tmp_path),)))
    assert shown(table, outside).caption == "Aerial"


def test_a_link_in_the_tables_folder_does_not_lead_out(table: EmbeddingTable, tmp_path: Path) -> None:
    outside = aerial(tmp_path)
    (table.path / "link.tif").symlink_to(outside)
    (table.path / "folder").symlink_to(tmp_path)
    for href in ("link.tif", "folder/aerial.tif"):
        assert shown(table, href).caption == NOT_ALLOWED


def test_a_virtual_raster_in_the_tables_folder_refers_to_what_is_allowed(
    table: EmbeddingTable, tmp_path: Path, served: Served
) -> None:
    inside, outside = aerial(table.path), aerial(tmp_path)
    assert virtual(table, inside).caption == "Aerial"
    for source in (outside, f"{served.url}/aerial.tif", f"/vsicurl/{served.url}/aerial.tif"):
        assert not virtual(table, source).is_drawn
    assert served.requests == []


def virtual(table: EmbeddingTable, source: str) -> Quicklook:
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{band}"><SimpleSource><SourceBand>{band}</SourceBand>'
        f"<SourceFilename>{source}</SourceFilename></SimpleSource></VRTRasterBand>"
        for band in (1, 2, 3)
    )
    path = table.path / f"{abs(hash(source))}.vrt"
    path.write_text(
        '<VRTDataset rasterXSize="64" rasterYSize="64"><SRS>EPSG:32632</SRS>'
        f"<GeoTransform>500000, 10, 0, 5200000, 0, -10</GeoTransform>{bands}</VRTDataset>"
    )
    return shown(table, str(path))


@pytest.mark.parametrize("prefix", ["", "/vsicurl/"])
def test_no_server_is_asked_before_it_was_allowed(
    table: EmbeddingTable, served: Served, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    href = f"{prefix}{served.url}/aerial.tif"
    asked = subject(table, href)
    assert draw(asked).caption == NOT_ALLOWED
    assert modalities(asked) == []
    assert served.requests == []
    assert places_asked([asked]) == []  # an inner address takes a flag
    tell(monkeypatch, PageSettings((str(table.path),), hosts=(served.url.removeprefix("http://"),)))
    assert shown(table, href).caption == "Aerial"
    assert served.requests


@pytest.mark.parametrize(
    "where", ["http://127.0.0.1:{other}/aerial.tif", "http://example.org/aerial.tif", "file://{file}"]
)
def test_a_redirect_leads_nowhere_that_was_not_allowed(
    table: EmbeddingTable, served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    with serving(tmp_path / "web") as other:
        target = where.format(other=other.url.rpartition(":")[2], file=tmp_path / "web" / "aerial.tif")

        def away(handler: object, number: int) -> bool:
            handler.give(302, headers={"Location": target})  # type: ignore[attr-defined]
            return True

        served.fault = away
        tell(
            monkeypatch,
            PageSettings((str(table.path),), hosts=(served.url.removeprefix("http://"),), wait_s=0.5),
        )
        assert not shown(table, f"{served.url}/aerial.tif").is_drawn
        assert served.requests
        assert other.requests == []


def test_public_hosts_and_buckets_take_a_button(table: EmbeddingTable) -> None:
    hrefs = ("https://data.example.org/a.tif", "https://data.example.org/b.tif", "s3://bucket/a.tif")
    asked = subject(table, *hrefs)
    assert not any(is_allowed(href, asked.access) for href in hrefs)
    assert places_asked([asked]) == ["data.example.org", "s3://bucket"]
    for place in places_asked([asked]):
        allow(table, place)
    assert all(is_allowed(href, access_of(table)) for href in hrefs)
    assert not is_allowed("https://other.example.org/a.tif", access_of(table))
    assert not is_allowed("s3://other/a.tif", access_of(table))


@pytest.mark.parametrize(
    "href",
    [
        "http://169.254.169.254/latest/x.tif", "http://10.0.0.1/x.tif", "http://localhost/x.tif",
        "http://[::1]/x.tif", "http://user@127.0.0.1/x.tif", "http://2130706433/x.tif", "/vsis3/bucket/x.tif",
        "/vsimem/x", "/vsistdin/", "/vsizip//vsicurl/http://127.0.0.1/a.zip/x.tif", "ftp://example.org/x.tif",
        "gs://b/x.tif", "", "..", "/", "http://[half/x.tif",
    ],
)  # fmt: skip
def test_nothing_else_is_read_and_no_button_allows_an_inner_address(table: EmbeddingTable, href: str) -> None:
    asked = subject(table, href)
    assert not draw(asked).is_drawn
    inner = [place for place in places_asked([asked]) if not place.startswith((os.sep, "s3://", "gs://"))]
    assert inner == []


def test_what_is_allowed_for_one_table_is_not_for_another(table: EmbeddingTable, tmp_path: Path) -> None:
    other = small_table(tmp_path / "other")
    allow(table, "data.example.org")
    assert is_allowed("https://data.example.org/a.tif", access_of(table))
    assert not is_allowed("https://data.example.org/a.tif", access_of(other))
