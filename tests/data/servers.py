"""Servers on loopback: files by range and a STAC API, as good and as bad as a test wants them."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

Fault = Callable[["Handler", int], bool]  # answers the n-th request itself, or declines


@dataclass
class Served:
    """What a server gives, and what it saw."""

    folder: Path
    url: str = ""
    fault: Fault = lambda handler, n: False
    pages: Callable[["Handler"], object | None] = lambda handler: None  # JSON by request
    requests: list[str] = field(default_factory=list)  # "GET /path?query"
    headers: list[dict[str, str]] = field(default_factory=list)  # of each, by lower-case name
    most_at_once: int = 0
    _at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def seen(self) -> Counter[str]:
        """Requests by path."""
        return Counter(urlsplit(request.split(" ")[1]).path for request in self.requests)

    def enter(self, handler: "Handler") -> int:
        with self.lock:
            self.requests.append(f"{handler.command} {handler.path}")
            self.headers.append({name.lower(): value for name, value in handler.headers.items()})
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            return len(self.requests)

    def leave(self) -> None:
        with self.lock:
            self._at_once -= 1


class Handler(BaseHTTPRequestHandler):
    """Files of a folder by range, after the fault and the pages had their say."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet
    served: Served

    def log_message(self, *args: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer()

    def _answer(self) -> None:
        number = self.served.enter(self)
        try:
            if self.served.fault(self, number):
                return
            page = self.served.pages(self)
            if page is not None:
                self.give(200, json.dumps(page).encode(), {"Content-Type": "application/geo+json"})
            else:
                self._file()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            self.served.leave()

    def _file(self) -> None:
        path = self.served.folder / unquote(urlsplit(self.path).path.lstrip("/"))
        if not path.is_file():
            self.give(404)
            return
        content = path.read_bytes()
        version = {"ETag": f'"{len(content)}"', "Last-Modified": "Wed, 01 Jan 2020 00:00:00 GMT"}
        wanted = self.headers.get("Range")
        if wanted is None:
            self.give(200, content, version)
            return
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start, stop = int(first), min(int(last) + 1, len(content))
        span = {"Content-Range": f"bytes {start}-{stop - 1}/{len(content)}"}
        self.give(206, content[start:stop], version | span)

    def give(self, status: int, content: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    @property
    def query(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.path).query).items()}


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *args: Any) -> None:
        """Whoever asked has hung up."""


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """A folder on a port of this machine."""
    served = Served(folder)
    server = _Quiet(("127.0.0.1", 0), type("Bound", (Handler,), {"served": served}))
    served.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()


def sometimes(share: float, seed: int = 0) -> Fault:
    """A share of requests fails, each in one of the ways in which servers do."""
    rng = np.random.default_rng(seed)
    lock = threading.Lock()

    def fault(handler: Handler, number: int) -> bool:
        with lock:
            if rng.random() >= share:
                return False
            kind = rng.integers(5)
        if kind == 0:
            handler.give(429, headers={"Retry-After": "0"})
        elif kind in (1, 2):
            handler.give(500 if kind == 1 else 503)
        elif kind == 3:  # cut off
            handler.send_response(206)
            handler.send_header("Content-Length", "100000")
            handler.send_header("Content-Range", "bytes 0-99999/100000")
            handler.end_headers()
            handler.wfile.write(b"II*")
            handler.close_connection = True
        else:  # hangs up
            handler.close_connection = True
        return True

    return fault


def silent(handler: Handler, number: int) -> bool:
    """Accepts and says nothing for longer than anyone waits here."""
    handler.close_connection = True
    time.sleep(3)
    return True


def api(
    items: list[dict[str, Any]], page_size: int = 2, post: bool = False
) -> Callable[[Handler], object | None]:
    """A STAC API that answers searches in pages, followed by GET, or by POST with a merged body."""

    def pages(handler: Handler) -> object | None:
        path = urlsplit(handler.path).path
        root = handler.served.url
        if path == "/":
            method = "POST" if post else "GET"
            return {
                "type": "Catalog",
                "id": "api",
                "stac_version": "1.0.0",
                "description": "a test's",
                "conformsTo": [
                    "https://api.stacspec.org/v1.0.0/core",
                    "https://api.stacspec.org/v1.0.0/item-search",
                ],
                "links": [
                    {
                        "rel": "search",
                        "href": f"{root}/search",
                        "method": method,
                        "type": "application/geo+json",
                    }
                ],
            }
        if path != "/search":
            return None
        asked = json.loads(handler.body) if handler.command == "POST" else handler.query
        wanted = asked.get("collections", [])
        wanted = wanted.split(",") if isinstance(wanted, str) else wanted
        found = [item for item in items if not wanted or item["collection"] in wanted]
        first = int(asked.get("token", 0))
        page: dict[str, Any] = {
            "type": "FeatureCollection",
            "features": found[first : first + page_size],
            "numberMatched": len(found),
            "links": [],
        }
        after = first + page_size
        if after < len(found):
            if handler.command == "POST":
                link = {
                    "href": f"{root}/search",
                    "method": "POST",
                    "body": {"token": str(after)},
                    "merge": True,
                }
            else:
                link = {
                    "href": f"{root}/search?collections={','.join(wanted)}&token={after}",
                    "method": "GET",
                }
            page["links"] = [{"rel": "next", "type": "application/geo+json", **link}]
        return page

    return pages
