"""What a job may read: what the user typed, and of what that names only what is public or allowed."""

from pathlib import Path

import numpy as np
import pytest
import urllib3

from data import raster as raster_module
from data import web
from data.access import Access, UnreachableError, is_private, plain_href, unsigned, using
from data.cover import plan_chips
from data.grid import Window
from data.sample import InputError, SampleSpec
from data.stac import read_catalog
from data.web import Question, ask
from data.window_pixels import read_window

from .conftest import LEFT, TOP, UTM32, TinyCatalog, write_raster
from .servers import serving

WINDOW = Window(UTM32, LEFT, TOP, 160, 160, 80.0)
REMOTE = Access(typed="https://example.org/catalog.json")


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "127.0.0.1", "127.1.2.3", "10.0.0.8", "192.168.1.1", "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1", "0.0.0.0",
        "::1", "fe80::1", "fc00::1", "::ffff:127.0.0.1", "2002:7f00:1::", "224.0.0.1",
        "printer.local", "metadata.google.internal", "intranet",
    ],
)  # fmt: skip
def test_inner_addresses_are_refused_unless_named(host: str) -> None:
    netloc = f"[{host}]" if ":" in host else host
    href = f"http://{netloc}/x.tif"
    assert is_private(host)
    with pytest.raises(InputError, match="--allow-host"):
        REMOTE.check(href)
    Access(typed=REMOTE.typed, hosts=(host,)).check(href)
    Access(typed=f"http://{netloc}/catalog.json").check(href)
    with pytest.raises(InputError):  # another port of the typed host is another server
        Access(typed=f"http://{netloc}:8000/catalog.json").check(href)


@pytest.mark.parametrize(
    "href",
    [
        "http://example.org\\@127.0.0.1/x",
        "http://example.org@127.0.0.1/x",
        "http://127.0.0.1\\.example.org/x",
    ],
)
def test_no_spelling_makes_two_readers_disagree(href: str) -> None:
    """Whatever the rule takes for the host is what is connected to."""
    access = Access(typed="http://example.org/catalog.json")
    host = urllib3.util.parse_url(href).host
    try:
        named = access.names_host(href)
    except InputError:
        return
    assert named == (host == "example.org")


@pytest.mark.parametrize("host", ["example.org", "8.8.8.8", "2606:4700::1111", "a.b.example"])
def test_public_hosts_are_allowed(host: str) -> None:
    assert not is_private(host)
    REMOTE.check(f"https://[{host}]/x.tif" if ":" in host else f"https://{host}/x.tif")


@pytest.mark.parametrize(
    "href", ["/etc/hosts", "file:///etc/hosts", "../x.tif", "ftp://example.org/x", "/vsistdin/", "/vsimem/x"]
)
def test_a_remote_item_names_no_local_file(href: str) -> None:
    with pytest.raises(InputError):
        REMOTE.check(plain_href(href))


def test_local_files_lie_in_the_typed_folder_or_an_allowed_one(tmp_path: Path) -> None:
    access = Access(typed=str(tmp_path / "a" / "catalog.json"))
    access.check(str(tmp_path / "a" / "b" / "x.tif"))
    for outside in ("x.tif", "a/../x.tif", "ab/x.tif"):
        with pytest.raises(InputError, match="--allow-path"):
            access.check(str(tmp_path / outside))
        Access(typed=access.typed, paths=(str(tmp_path),)).check(str(tmp_path / outside))


@pytest.mark.parametrize(
    ("href", "plain"),
    [
        ("/vsicurl/https://example.org/x.tif", "https://example.org/x.tif"),
        ("/vsis3/bucket/x.tif", "s3://bucket/x.tif"),
        ("/vsigs/bucket/x.tif", "gs://bucket/x.tif"),
        ("file:///data/a%20b.tif", "/data/a b.tif"),
        ("/vsizip//data/a.zip/x.tif", "/vsizip//data/a.zip/x.tif"),
        ("/data/x.tif", "/data/x.tif"),
    ],
)
def test_gdals_names_are_undone(href: str, plain: str) -> None:
    assert plain_href(href) == plain


@pytest.mark.parametrize(
    "href", ["/vsizip//vsicurl/http://10.0.0.1/a.zip/x", "/vsisubfile/0_9,/x", "/vsicurl?u=a"]
)
def test_gdals_other_file_systems_are_refused(href: str) -> None:
    with pytest.raises(InputError):
        plain_href(href)


@pytest.mark.parametrize(
    ("href", "plain"),
    [
        ("https://x.org/a.tif", "https://x.org/a.tif"),
        ("https://x.org/a.tif?v=2&b=%20c", "https://x.org/a.tif?v=2&b=%20c"),
        ("https://x.blob.core.windows.net/a.tif?st=1&se=2&sp=rl&sv=3&sr=c&skoid=4&sig=5", "https://x.blob.core.windows.net/a.tif"),
        ("https://x.org/a.tif?X-Amz-Algorithm=1&X-Amz-Signature=2&v=3", "https://x.org/a.tif?v=3"),
        ("https://x.org/a.tif?Expires=1&Signature=2&Key-Pair-Id=3", "https://x.org/a.tif"),
        ("https://x.org/a.tif?access_token=1", "https://x.org/a.tif"),
        ("https://x.org/a.tif?maxar_api_key=1", "https://x.org/a.tif"),
        ("https://me:secret@x.org/a.tif", "https://x.org/a.tif"),
        ("s3://bucket/a.tif", "s3://bucket/a.tif"),
        ("/data/a?sig=1.tif", "/data/a?sig=1.tif"),
    ],
)  # fmt: skip
def test_an_href_is_told_without_its_secrets(href: str, plain: str) -> None:
    assert unsigned(href) == plain


@pytest.mark.parametrize("href", ["http://[half/a.json", "http://[half/a.json?sig=SECRET"])
def test_what_is_no_address_is_an_input_error(href: str) -> None:
    with pytest.raises(InputError, match="address") as error:
        read_catalog(href)
    assert "SECRET" not in str(error.value)


def test_a_public_name_that_leads_inside_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").write_text("secret")
    with serving(tmp_path) as served:
        port = int(served.url.rpartition(":")[2])
        found = [(2, 1, 6, "", ("127.0.0.1", port))]
        monkeypatch.setattr(web.socket, "getaddrinfo", lambda *args, **kwargs: found)
        monkeypatch.setattr(web, "_silent", {})
        with pytest.raises(UnreachableError, match="inner address"):
            ask(
                Question(f"http://images.example.org:{port}/x"), Access(typed="https://example.org/", tries=1)
            )
        assert served.requests == []


def test_an_item_s_hrefs_are_held_to_the_rule_when_they_are_read(tmp_path: Path) -> None:
    secret = write_raster(tmp_path / "elsewhere" / "x.tif", np.ones((3, 64, 64), np.uint8))
    tiny = TinyCatalog(tmp_path / "catalog")
    tiny.add("hr", "one", asset={"href": str(secret)})
    access = read_catalog(tiny.write()).access
    with using(access), pytest.raises(InputError, match="--allow-path"):
        read_window(str(secret), [1], WINDOW, 10.0)
    allowed = read_catalog(tiny.write(), Access(paths=(str(secret.parent),))).access
    with using(allowed):
        assert read_window(str(secret), [1], WINDOW, 10.0)[0].all()


def test_what_the_rule_leaves_out_is_in_a_sample_s_key(tmp_path: Path) -> None:
    secret = write_raster(tmp_path / "elsewhere" / "x.tif", np.ones((3, 64, 64), np.uint8))
    tiny = TinyCatalog(tmp_path / "catalog")
    tiny.add("hr", "one", asset={"href": str(secret)})

    def key(*paths: str) -> str:
        (task,) = plan_chips(read_catalog(tiny.write(), Access(paths=paths)), SampleSpec()).tasks
        return task.key

    assert key() == key(str(tmp_path / "other")) != key(str(secret.parent)) == key(str(tmp_path))


def test_the_earthdata_token_goes_to_nasa_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARTHDATA_TOKEN", "abc")
    assert web._headers("https://data.lpdaac.earthdatacloud.nasa.gov/x")["Authorization"] == "Bearer abc"
    for other in (
        "https://nasa.gov.example.org/x",
        "http://data.lpdaac.earthdatacloud.nasa.gov/x",
        "https://x.org/",
    ):
        assert "Authorization" not in web._headers(other)


def test_kept_rasters_belong_to_who_may_read_them(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "x.tif", np.ones((1, 64, 64), np.uint8))
    assert read_window(str(path), [1], WINDOW, 10.0)[0].all()
    assert raster_module._kept.rasters
    with using(REMOTE), pytest.raises(InputError, match="local file"):
        read_window(str(path), [1], WINDOW, 10.0)


@pytest.mark.parametrize("second", ["10.0.0.8", "127.0.0.1", "::1"])
def test_a_name_with_a_public_and_an_inner_address_is_refused(
    second: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [(None, None, None, "", (address, 443)) for address in ("93.184.216.34", second)]
    monkeypatch.setattr(web.socket, "getaddrinfo", lambda *args, **options: entries)
    connected: list[object] = []
    monkeypatch.setattr(web, "create_connection", lambda address, timeout: connected.append(address))
    connection = urllib3.connection.HTTPConnection("example.org", 443)
    with pytest.raises(web._InnerAddressError):
        web._connect_public(connection)
    assert connected == []
    del entries[1]
    web._connect_public(connection)
    assert connected == [("93.184.216.34", 443)], "the one that was judged"
