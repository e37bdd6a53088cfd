"""Rasters on a server on loopback: every fault of the network is one, and no fact about the imagery."""

import dataclasses
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio

from data import raster as raster_module
from data import web, window_pixels
from data.access import Access, UnreachableError, using
from data.grid import Window
from data.remote import (
    BLOCK,
    GAP,
    KEPT_BYTES,
    LONGEST_RANGE,
    RemoteFile,
    WebSource,
    _content_range,
    _cut,
    _joined,
    read_document,
)
from data.sample import InputError
from data.web import Answer
from data.window_pixels import read_window, visiting

from .conftest import LEFT, TOP, UTM32, write_raster
from .servers import Handler, Served, serving, silent, sometimes

WINDOW = Window(UTM32, LEFT + 640, TOP - 640, 320, 320, 80.0)


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch, short_waits: None) -> None:
    """Nothing known of files."""
    monkeypatch.setattr(raster_module, "LEFT_ALONE", 0)
    raster_module._kept.clear()


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 3000, (3, 512, 512)).astype(np.uint16)


@pytest.fixture
def served(tmp_path: Path, pixels: np.ndarray) -> Iterator[Served]:
    write_raster(tmp_path / "a.tif", pixels, tiled=True, blockxsize=128, blockysize=128)
    with serving(tmp_path) as server:
        yield server


def allowed(served: Served, **options: object) -> Access:
    return dataclasses.replace(Access(typed=f"{served.url}/catalog.json", wait_s=5, tries=12), **options)


def read(served: Served, name: str = "a.tif", **options: object) -> np.ndarray:
    with using(allowed(served, **options)):
        return read_window(f"{served.url}/{name}", [1, 2, 3], WINDOW, 10.0)[0]


def test_a_window_is_the_files_own_in_few_requests(served: Served, pixels: np.ndarray) -> None:
    np.testing.assert_array_equal(read(served, tries=1), pixels[:, 64:96, 64:96])
    assert len(served.requests) <= 4  # the header, and a tile of each band
    assert set(served.seen()) == {"/a.tif"}  # no directory, no file beside it


def test_jpeg_2000_is_read_by_ranges_too(served: Served, pixels: np.ndarray) -> None:
    with rasterio.open(
        served.folder / "a.jp2", "w", driver="JP2OpenJPEG", width=512, height=512, count=3, dtype="uint16",
        crs=UTM32, transform=rasterio.Affine(10, 0, LEFT, 0, -10, TOP), QUALITY="100", REVERSIBLE="YES",
        BLOCKXSIZE=128, BLOCKYSIZE=128,
    ) as out:  # fmt: skip
        out.write(pixels)
    size = (served.folder / "a.jp2").stat().st_size
    before = web.traffic["bytes"]
    np.testing.assert_array_equal(read(served, "a.jp2"), pixels[:, 64:96, 64:96])
    assert web.traffic["bytes"] - before < size / 2
    assert set(served.seen()) == {"/a.jp2"}


def test_a_file_read_in_order_takes_few_requests_and_little_memory(served: Served) -> None:
    content = np.random.default_rng(0).bytes(6 * 2**20)
    (served.folder / "long.bin").write_bytes(content)
    file = RemoteFile(f"{served.url}/long.bin", allowed(served))
    assert b"".join(file.read(at, BLOCK) for at in range(0, len(content), BLOCK)) == content
    assert [file.read(len(content) + more, 10) for more in (-3, 0, 5)] == [content[-3:], b"", b""]
    assert len(served.requests) <= 12  # each twice as long as the one before, up to a megabyte
    assert len(file._blocks) * BLOCK <= KEPT_BYTES
    asked = len(served.requests)
    assert file.read(0, 100) == content[:100]
    assert len(served.requests) == asked


def test_neighbouring_tiles_are_fetched_in_one_request() -> None:
    assert _joined([(100, 50), (0, 100), (200_000, 10)]) == [(0, 150), (200_000, 200_010)]
    half = LONGEST_RANGE // 2
    assert _joined([(half * i, half) for i in range(3)]) == [(0, 2 * half), (2 * half, 3 * half)]


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_faults_that_pass_change_no_pixel(served: Served, pixels: np.ndarray, share: float) -> None:
    served.fault = sometimes(share)
    for _ in range(10):
        raster_module._kept.clear()
        np.testing.assert_array_equal(read(served, tries=30), pixels[:, 64:96, 64:96])
    assert len(served.requests) > 20  # without faults it is two for each


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (404, InputError, "no such file"),
        (410, InputError, "no such file"),
        (400, InputError, "HTTP 400"),
        (403, UnreachableError, "needs credentials"),
        (401, UnreachableError, "needs credentials"),
        (429, UnreachableError, "HTTP 429"),
        (503, UnreachableError, "HTTP 503"),
        (522, UnreachableError, "HTTP 522"),  # of a server before the server
    ],
)
def test_missing_is_a_fact_and_unreachable_is_none(
    served: Served, status: int, kind: type[ValueError], words: str
) -> None:
    def fault(handler: Handler, number: int) -> bool:
        handler.give(status)
        return True

    served.fault = fault
    with pytest.raises(kind, match=words):
        read(served, tries=3)
    served.fault = lambda handler, number: False
    assert read(served, tries=3).any()  # nothing of it is kept


def test_a_server_says_how_long_to_wait(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(web.time, "sleep", waits.append)
    served.fault = lambda handler, number: (
        number == 1 and handler.give(503, b"", {"Retry-After": "3"}) is None
    )
    read(served)
    assert waits == [3]


def test_a_host_that_says_nothing_is_left_alone_after_two_waits(served: Served) -> None:
    served.fault = silent
    for _ in range(5):
        with pytest.raises(UnreachableError):
            read(served, wait_s=0.6)
    assert len(served.requests) <= 8


def test_a_file_that_cannot_be_reached_is_left_alone_a_while(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raster_module, "LEFT_ALONE", 10_000)
    monkeypatch.setattr(raster_module, "_left_alone", {})
    served.fault = lambda handler, number: handler.give(503) is None
    for _ in range(3):
        with pytest.raises(UnreachableError, match="HTTP 503"):
            read(served, tries=2)
    assert len(served.requests) == 2


def test_a_server_that_drips_is_cut_off(served: Served) -> None:
    def drip(handler: Handler, number: int) -> bool:
        handler.send_response(206)
        handler.send_header("Content-Length", "60000")
        handler.send_header("Content-Range", "bytes 0-59999/60000")
        handler.end_headers()
        for _ in range(40):
            handler.wfile.write(b"I")
            handler.wfile.flush()
            time.sleep(0.1)
        return True

    served.fault = drip
    with pytest.raises(UnreachableError, match="no answer in time"):
        read(served, wait_s=0.5)


def test_a_head_that_drips_is_cut_off_too(served: Served) -> None:
    def drip(handler: Handler, number: int) -> bool:
        for letter in b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nX-Padding: " + b"x" * 60 + b"\r\n\r\n":
            handler.wfile.write(bytes([letter]))
            handler.wfile.flush()
            time.sleep(0.05)
        return True

    served.fault = drip
    with pytest.raises(UnreachableError):
        read(served, wait_s=0.6)


def test_a_fault_within_the_pixels_is_no_nodata(served: Served, pixels: np.ndarray) -> None:
    read_first = len(served.requests)

    def after_the_header(handler: Handler, number: int) -> bool:
        if number > read_first + 1:
            handler.give(503)
            return True
        return False

    served.fault = after_the_header
    with pytest.raises(UnreachableError):
        read(served, tries=2)
    served.fault = lambda handler, number: False
    np.testing.assert_array_equal(read(served, tries=2), pixels[:, 64:96, 64:96])


def test_a_file_cut_short_is_damaged(served: Served) -> None:
    path = served.folder / "a.tif"
    path.write_bytes(path.read_bytes()[:50_000])
    with pytest.raises(InputError, match=r"ends before its pixels do|truncated or corrupt"):
        read(served)


def test_what_is_no_raster_is_refused_by_how_it_begins(served: Served) -> None:
    (served.folder / "a.tif").write_text('<VRTDataset rasterXSize="1" rasterYSize="1"></VRTDataset>')
    with pytest.raises(InputError, match="not a raster"):
        read(served)


def test_a_server_without_ranges_gives_the_whole_file(served: Served, pixels: np.ndarray) -> None:
    def whole(handler: Handler, number: int) -> bool:
        handler.give(200, (served.folder / "a.tif").read_bytes())
        return True

    served.fault = whole
    np.testing.assert_array_equal(read(served), pixels[:, 64:96, 64:96])
    assert len(served.requests) == 1


def test_a_file_that_changes_while_it_is_read_is_read_another_time(served: Served) -> None:
    def growing(handler: Handler, number: int) -> bool:
        first, _, last = handler.headers["Range"].removeprefix("bytes=").partition("-")
        content = bytes(int(last) + 1 - int(first))
        handler.give(206, content, {"Content-Range": f"bytes {first}-{last}/{10**7}"})
        return True

    with using(allowed(served)):
        file = RemoteFile(f"{served.url}/a.tif", allowed(served))
        served.fault = growing
        assert file.read(2**17, 10) == b""
    assert isinstance(file.fault, UnreachableError)


def test_redirects_are_followed_where_the_rule_allows(
    served: Served, pixels: np.ndarray, tmp_path: Path
) -> None:
    with serving(tmp_path) as inner:

        def lead(handler: Handler, number: int) -> bool:
            handler.give(302, headers={"Location": f"{inner.url}/a.tif"})
            return True

        served.fault = lead
        with pytest.raises(UnreachableError, match="an inner address that you did not name"):
            read(served)
        assert inner.requests == []
        host = inner.url.removeprefix("http://")
        np.testing.assert_array_equal(read(served, hosts=(host,)), pixels[:, 64:96, 64:96])


@pytest.mark.parametrize("location", ["http://[half/a.tif", "file:///a.tif"])
def test_a_redirect_to_no_web_address_is_no_fact(served: Served, location: str) -> None:
    served.fault = lambda handler, number: handler.give(302, headers={"Location": location}) is None
    with pytest.raises(UnreachableError, match="another kind of address"):
        read(served)


def test_redirects_in_a_circle_end(served: Served) -> None:
    def around(handler: Handler, number: int) -> bool:
        handler.give(302, headers={"Location": "/a.tif"})
        return True

    served.fault = around
    with pytest.raises(UnreachableError, match="redirects"):
        read(served)
    assert len(served.requests) == web.MAX_HOPS


def test_signatures_that_run_out_are_made_anew(served: Served, pixels: np.ndarray) -> None:
    valid = ["1"]

    def expire(handler: Handler, number: int) -> bool:
        if number == 2:
            valid[0] = "2"
        if handler.query.get("sig") == valid[0]:
            return False
        handler.give(403)
        return True

    made: list[str] = []

    def sign(href: str) -> str:
        made.append(href)
        return f"{href}?sig={valid[0]}"

    served.fault = expire
    np.testing.assert_array_equal(read(served, sign=sign), pixels[:, 64:96, 64:96])
    assert made == [f"{served.url}/a.tif"] * 2


def test_a_hook_that_does_not_answer_is_waited_for_no_longer_than_a_host(served: Served) -> None:
    def hang(href: str) -> str:
        time.sleep(3)
        return href

    def broken(href: str) -> str:
        raise ConnectionError("no token today")

    for sign in (hang, broken):
        with pytest.raises(UnreachableError, match="cannot be signed now"):
            read(served, sign=sign, wait_s=0.2)
    assert served.requests == []


def test_a_signature_in_the_item_that_has_run_out_is_replaced(served: Served, pixels: np.ndarray) -> None:
    served.fault = lambda handler, number: handler.query.get("sig") != "new" and handler.give(403) is None
    with using(allowed(served, sign=lambda href: f"{href}?sig=new")):
        found = read_window(f"{served.url}/a.tif?se=1&sig=old", [1, 2, 3], WINDOW, 10.0)[0]
    np.testing.assert_array_equal(found, pixels[:, 64:96, 64:96])


def test_a_login_page_is_no_damaged_file(served: Served) -> None:
    page = {"Content-Type": "text/html; charset=utf-8"}
    served.fault = lambda handler, number: handler.give(200, b"<html>Log in</html>", page) is None
    with pytest.raises(UnreachableError, match="login"):
        read(served)


def test_no_secret_is_in_an_error(served: Served) -> None:
    served.fault = lambda handler, number: handler.give(403) is None
    with using(allowed(served)), pytest.raises(UnreachableError) as error:
        read_window(f"{served.url}/a.tif?sig=SECRET&se=1", [1], WINDOW, 10.0)
    assert "SECRET" not in str(error.value)
    served.fault = silent
    with using(allowed(served, wait_s=0.3)), pytest.raises(UnreachableError) as error:
        read_window(f"{served.url}/a.tif?sig=SECRET&se=1", [1], WINDOW, 10.0)
    assert "SECRET" not in str(error.value)


def test_connections_are_bounded(served: Served) -> None:
    def slow(handler: Handler, number: int) -> bool:
        time.sleep(0.02)
        return False

    served.fault = slow
    access = allowed(served, connections=2)
    file = RemoteFile(f"{served.url}/a.tif", access)
    threads = [
        threading.Thread(target=file.read_ranges, args=(range(0, 1_400_000, 140_000), [100] * 10))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert file.fault is None
    assert served.most_at_once <= 2


def test_neighbouring_windows_are_read_in_one_visit_and_are_the_same(served: Served) -> None:
    windows = [Window(UTM32, LEFT + 320 * i, TOP - 640, 320, 320, 80.0) for i in range(8)]
    href = f"{served.url}/a.tif"
    with using(allowed(served)):
        alone = [read_window(href, [1, 2, 3], window, gsd) for gsd in (10.0, 12.0) for window in windows]
        raster_module._kept.clear()
        asked = len(served.requests)
        with visiting(windows):
            together = [
                read_window(href, [1, 2, 3], window, gsd) for gsd in (10.0, 12.0) for window in windows
            ]
            smooth = [read_window(href, [1], window, 20.0, smooth=True)[0] for window in windows]
        assert len(served.requests) - asked <= 8
        assert all(
            np.array_equal(a[0], b[0]) and np.array_equal(a[1], b[1])
            for a, b in zip(alone, together, strict=True)
        )
        for window, found in zip(windows, smooth, strict=True):
            np.testing.assert_array_equal(found, read_window(href, [1], window, 20.0, smooth=True)[0])


def test_a_visit_holds_no_more_than_it_may(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    held = []
    for most in (2**20, 1):
        monkeypatch.setattr(window_pixels, "VISIT_BYTES", most)
        with using(allowed(served)), visiting([WINDOW]):
            for band in (1, 2, 3):
                read_window(f"{served.url}/a.tif", [band], WINDOW, 10.0)
            visit = window_pixels._visit.get()
            assert visit is not None
            held.append(len(visit._held))
    assert held == [3, 1]


def test_the_traffic_is_counted(served: Served) -> None:
    before = web.traffic.copy()
    read(served)
    spent = web.traffic - before
    assert spent["requests"] == len(served.requests)
    assert 3 * 128 * 128 * 2 <= spent["bytes"] <= 400_000


@pytest.mark.parametrize(
    ("said", "span"),
    [
        ("bytes 0-99/1234", (0, 99, 1234)),
        ("bytes 100-199/1234", (100, 199, 1234)),
        ("bytes 0-99/*", (0, 4, 5)),  # no size
        ("bytes */1234", (0, 4, 5)),
        ("", (0, 4, 5)),
    ],
)
def test_the_range_of_an_answer_is_what_it_says_or_what_it_holds(
    said: str, span: tuple[int, int, int]
) -> None:
    assert _content_range(Answer(206, {"Content-Range": said}, b"12345", "http://here")) == span


@pytest.mark.parametrize(
    ("spans", "ranges"),
    [
        ([], []),
        ([(0, 10), (10 + GAP, 5)], [(0, 15 + GAP)]),
        ([(0, 10), (11 + GAP, 5)], [(0, 10), (11 + GAP, 16 + GAP)]),
        ([(50, 10), (0, 100), (20, 5)], [(0, 100)]),
        ([(0, 10), (5, LONGEST_RANGE - 5)], [(0, LONGEST_RANGE)]),
        ([(0, 10), (5, LONGEST_RANGE - 4)], [(0, 10), (5, LONGEST_RANGE + 1)]),
    ],
)
def test_parts_that_lie_close_are_one_range(
    spans: list[tuple[int, int]], ranges: list[tuple[int, int]]
) -> None:
    assert _joined(spans) == ranges


def test_a_part_is_cut_from_the_range_that_holds_it() -> None:
    held = [((0, 4), b"abcd"), ((4, 9), b"efghi"), ((20, 30), b"xyz")]
    assert _cut(held, 0, 4) == b"abcd"
    assert _cut(held, 4, 2) == b"ef"
    assert _cut(held, 7, 2) == b"hi"
    with pytest.raises(InputError, match="ends before its pixels do"):
        _cut(held, 22, 4)


def test_a_document_on_the_disk_has_a_size_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "catalog.json"
    path.write_bytes(b"x" * 10)
    monkeypatch.setattr("data.remote.DOCUMENT_BYTES", 10)
    assert read_document(str(path), Access()) == b"x" * 10
    path.write_bytes(b"x" * 11)
    with pytest.raises(InputError, match="a document has 0 at most"):
        read_document(str(path), Access())


def test_the_size_of_a_file_costs_one_byte(served: Served) -> None:
    source = WebSource(f"{served.url}/a.tif", allowed(served))
    before = web.traffic["bytes"]
    assert source.size() == source.size() == (served.folder / "a.tif").stat().st_size
    assert web.traffic["bytes"] - before == 1
    assert len(served.requests) == 1


def test_a_document_is_read_where_the_job_may(served: Served) -> None:
    with pytest.raises(InputError):
        read_document("/etc/hostname", Access(typed="https://data.example.org/catalog.json"))
    assert read_document(f"{served.url}/a.tif", allowed(served)) == (served.folder / "a.tif").read_bytes()
