"""Objects of a store that speaks S3, on loopback."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data import bucket, raster, web
from data.access import Access, UnreachableError, using
from data.grid import Window
from data.sample import InputError
from data.window_pixels import read_window

from .conftest import LEFT, TOP, UTM32, write_raster
from .servers import Served, serving

WINDOW = Window(UTM32, LEFT + 640, TOP - 640, 320, 320, 80.0)
PIXELS = np.random.default_rng(0).integers(1, 3000, (3, 512, 512)).astype(np.uint16)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A bucket named `images`; no credentials."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    write_raster(tmp_path / "images" / "deep" / "a b.tif", PIXELS, tiled=True, blockxsize=128, blockysize=128)
    monkeypatch.setattr(raster, "LEFT_ALONE", 0)
    raster._kept.clear()
    bucket._store.cache_clear()
    with serving(tmp_path) as served:
        monkeypatch.setenv("AWS_ENDPOINT_URL", served.url)
        yield served


def read(name: str = "deep/a%20b.tif", **options: Any) -> np.ndarray:
    with using(Access(typed="https://example.org/", **({"wait_s": 3, "tries": 2} | options))):
        return read_window(f"s3://images/{name}", [1, 2, 3], WINDOW, 10.0)[0]


def test_without_credentials_nothing_is_signed(store: Served) -> None:
    np.testing.assert_array_equal(read(), PIXELS[:, 64:96, 64:96])
    assert all("authorization" not in headers for headers in store.headers)
    assert all("x-amz-request-payer" not in headers for headers in store.headers)
    assert len(store.requests) <= 4


def test_credentials_come_from_the_environment_and_the_reader_pays_when_asked(
    store: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "KEYID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SECRET")
    np.testing.assert_array_equal(read(requester_pays=True), PIXELS[:, 64:96, 64:96])
    assert all("Credential=KEYID/" in headers["authorization"] for headers in store.headers)
    assert all(headers["x-amz-request-payer"] == "requester" for headers in store.headers)
    assert "SECRET" not in str(store.headers)


def test_missing_refused_and_unreachable_are_told_apart(store: Served) -> None:
    before = web.traffic.copy()
    with pytest.raises(InputError, match="no such object"):
        read("gone.tif")
    store.fault = lambda handler, number: handler.give(403) is None
    with pytest.raises(UnreachableError, match="AWS_ACCESS_KEY_ID"):
        read()
    store.fault = lambda handler, number: handler.give(503) is None
    with pytest.raises(UnreachableError, match="cannot be read now"):
        read()
    store.fault = lambda handler, number: number % 3 == 0 and handler.give(503) is None
    np.testing.assert_array_equal(read(tries=5, wait_s=10), PIXELS[:, 64:96, 64:96])
    assert (web.traffic - before)["requests"] > 3


def test_copernicus_store_is_known_by_its_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_S3_ENDPOINT", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    options = bucket._with_s3_place("eodata", {"client_options": {}}, Access())
    assert options["endpoint"] == "https://eodata.dataspace.copernicus.eu"
    monkeypatch.setenv("AWS_S3_ENDPOINT", "inner.example.org")
    options = bucket._with_s3_place("eodata", {"client_options": {}}, Access())
    assert options["endpoint"] == "https://inner.example.org"
    assert not options["client_options"]["allow_http"]
