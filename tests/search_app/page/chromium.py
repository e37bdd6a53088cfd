"""A real browser for tests of the page: where it is, how it is started, what marks its tests."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlparse

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
]
WAIT_MS = 120_000
MARKS = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium"),
]


@contextmanager
def watched(browser: Any, width: int = 1300, height: int = 900, **settings: Any) -> Iterator[Any]:
    """A page that fails the test if it asks anything of another machine."""
    page = browser.new_page(viewport={"width": width, "height": height}, **settings)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    yield page
    page.close()
    outside = [
        url
        for url in asked
        if urlparse(url).hostname != "127.0.0.1" and not url.startswith(("data:", "blob:"))
    ]
    assert asked
    assert outside == []
