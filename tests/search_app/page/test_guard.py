"""Whom the page answers: itself and who follows a link to it; no page of another origin, no other name."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from starlette.datastructures import Headers

from indexer.sql.limits import Limits
from search_app.cli.launch import start, stop
from search_app.page.guard import refusal
from search_app.page_settings import PageSettings

from ...processes import child_of, has_ended, needs_proc
from ..make_table import small_table
from .chromium import MARKS, WAIT_MS

OPEN_EVERYTHING = """\
[server]
enableCORS = false
enableXsrfProtection = false
allowedHosts = ["*"]
corsAllowedOrigins = ["http://evil.example"]
baseUrlPath = "elsewhere"
enableStaticServing = true
sslCertFile = "none.pem"
address = "0.0.0.0"
"""
ENDLESS = "SELECT count(*) FROM range(100000000000) a, range(1000) b WHERE a.range %25 7 = b.range"
SOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "c2t5aGV4c2t5aGV4c2t5aA==",
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, str]]:
    """The app, started where environment, home and working directory open all they can: process and URL."""
    folder = tmp_path_factory.mktemp("guard")
    small_table(folder / "table")
    for place in (folder / ".streamlit", folder / "home" / ".streamlit"):
        place.mkdir(parents=True)
        (place / "config.toml").write_text(OPEN_EVERYTHING)
    (folder / "streamlit.py").write_text("raise SystemExit('a module of the working directory')")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HOME", str(folder / "home"))
        patch.setenv("STREAMLIT_SERVER_ENABLE_CORS", "false")
        patch.setenv("STREAMLIT_SERVER_ENABLE_XSRF_PROTECTION", "false")
        patch.setenv("STREAMLIT_SERVER_COOKIE_SECRET", "known")
        server, url = start(PageSettings(("table",), limits=Limits(timeout_s=None)))
    yield server.pid, url
    stop(server)


@pytest.fixture
def url(served: tuple[int, str]) -> str:
    return served[1]


def status(url: str, path: str, headers: dict[str, str]) -> tuple[int, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    connection.close()
    return answer.status, answer.headers


@pytest.mark.parametrize(
    ("given", "answered"),
    [
        ({"host": "127.0.0.1:8501"}, True),
        ({"host": "localhost:9000", "origin": "http://localhost:9000"}, True),  # through a tunnel
        ({"host": "127.0.0.1:8501", "sec-fetch-site": "same-origin", "sec-fetch-dest": "empty"}, True),
        ({"host": "127.0.0.1:8501", "sec-fetch-site": "none", "sec-fetch-dest": "document"}, True),
        (
            {
                "host": "127.0.0.1:8501",
                "sec-fetch-site": "cross-site",
                "sec-fetch-mode": "navigate",
                "sec-fetch-dest": "document",
            },
            True,
        ),  # a link
        ({}, False),
        ({"host": "evil.example:8501"}, False),
        ({"host": "127.0.0.1.evil.example"}, False),
        ({"host": "user@127.0.0.1"}, False),
        ({"host": "127.0.0.1:x"}, False),
        ({"host": "evil.example", "origin": "http://evil.example"}, False),
        ({"host": "127.0.0.1:8501", "origin": "http://evil.example"}, False),
        ({"host": "127.0.0.1:8501", "origin": "http://127.0.0.1:8502"}, False),
        ({"host": "127.0.0.1:8501", "origin": "http://localhost:8501"}, False),
        ({"host": "127.0.0.1:8501", "origin": "null"}, False),
        ({"host": "127.0.0.1:8501", "sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors"}, False),
        (
            {
                "host": "127.0.0.1:8501",
                "sec-fetch-site": "cross-site",
                "sec-fetch-mode": "navigate",
                "sec-fetch-dest": "iframe",
            },
            False,
        ),
    ],
)
def test_who_is_answered(given: dict[str, str], answered: bool) -> None:
    assert (refusal(Headers(given)) == "") is answered


def test_two_hosts_are_none() -> None:
    assert refusal(Headers(raw=[(b"host", b"127.0.0.1"), (b"host", b"evil.example")]))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 101),
        ({"Host": "evil.example"}, 403),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
    ],
)
def test_the_session_is_opened_to_the_page_alone(url: str, headers: dict[str, str], expected: int) -> None:
    """Whatever the environment, the home and the working directory say."""
    assert status(url, "/_stcore/stream", {**SOCKET, **headers})[0] == expected
    assert status(url, "/skyhex/land.json", headers)[0] == (200 if expected == 101 else 403)


def test_the_page_may_not_be_framed(url: str) -> None:
    answered, headers = status(url, "/", {})
    assert answered == 200
    assert headers["Content-Security-Policy"] == "frame-ancestors 'none'"
    assert headers["X-Frame-Options"] == "DENY"


@contextmanager
def other_page(words: str) -> Iterator[int]:
    """A page of another server on this machine; its port."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(words.encode())

        def log_message(self, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


ATTEMPTS = """\
<script>
window.seen = {};
const tell = (name) => [() => (seen[name] = "in"), () => (seen[name] = "out")];
fetch("URL/skyhex/land.json").then(...tell("read"));
fetch("URL/skyhex/land.json", {mode: "no-cors"}).then(...tell("sent"));
const socket = new WebSocket("URL/_stcore/stream".replace("http", "ws"), ["streamlit"]);
[socket.onopen, socket.onerror] = tell("socket");
const image = new Image();
[image.onload, image.onerror] = tell("image");
image.src = "URL/favicon.png";
</script>
<iframe src="URL/?tab=sql&sql=SELECT 1"></iframe>
"""


class TestInChromium:
    pytestmark = MARKS

    @pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
    def test_a_page_of_another_origin_gets_nowhere(self, browser: Any, url: str, name: str) -> None:
        with other_page(ATTEMPTS.replace("URL", url)) as port:
            page = browser.new_page()
            page.goto(f"http://{name}:{port}/")
            page.wait_for_function("Object.keys(seen).length === 4", timeout=WAIT_MS)
            assert page.evaluate("seen") == {"read": "out", "sent": "out", "socket": "out", "image": "out"}
            page.wait_for_load_state("load")
            [frame] = page.main_frame.child_frames
            assert "skyhex" not in frame.content()
            page.close()

    def test_a_link_fills_the_editor_and_runs_nothing(self, browser: Any, url: str) -> None:
        statement = "SELECT 6 * 7 AS answer"
        with other_page(f"<a href='{url}/?tab=sql&sql={statement}'>look</a>") as port:
            page = browser.new_page()
            page.goto(f"http://localhost:{port}/")
            page.get_by_text("look").click()
            page.get_by_text("was not run here").wait_for(timeout=WAIT_MS)
            filled = "words => document.querySelector('textarea[aria-label=SQL]')?.value === words"
            page.wait_for_function(filled, arg=statement, timeout=WAIT_MS)
            assert page.get_by_text("1 rows", exact=True).count() == 0
            page.get_by_role("button", name="Run").click()
            page.get_by_text("1 rows", exact=True).wait_for(timeout=WAIT_MS)
            page.locator("[data-testid=stDataFrame]").hover(timeout=WAIT_MS)
            streamlits_csv = page.locator("button[aria-label='Download as CSV']")  # with formulas as they are
            streamlits_csv.wait_for(state="attached", timeout=WAIT_MS)
            assert not streamlits_csv.is_visible()
            page.close()

    @needs_proc
    def test_a_query_ends_when_its_browser_leaves(self, browser: Any, served: tuple[int, str]) -> None:
        server, url = served
        page = browser.new_page()
        page.goto(f"{url}/?tab=sql&sql={ENDLESS}")
        page.get_by_role("button", name="Run").click()
        page.get_by_text("Running, ").wait_for(timeout=WAIT_MS)
        query = child_of(server, "indexer.sql.worker")
        page.close()
        assert has_ended(query)
