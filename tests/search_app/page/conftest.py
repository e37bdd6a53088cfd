"""The browser that tests of the page share."""

from collections.abc import Iterator
from typing import Any

import pytest

from .chromium import ARGUMENTS, CHROMIUM, watched


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    with watched(browser) as page:
        yield page


@pytest.fixture
def phone(browser: Any) -> Iterator[Any]:
    with watched(browser, 390, 800, color_scheme="dark") as page:
        yield page
