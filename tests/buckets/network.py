"""A proxy on loopback that behaves badly where it is told to, and counts what passes."""

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

Fault = Literal["busy", "cut", "lost", "slow", "elsewhere", "refused", "conflict", None]
HOPS = {"connection", "transfer-encoding", "content-length"}


@dataclass
class Network:
    """What lies between a client and a server."""

    port: int
    fault_of: Callable[[str, str], Fault] = lambda method, path: None
    requests: list[tuple[str, str]] = field(default_factory=list)
    bytes: int = 0  # of bodies that were answered

    def forget(self) -> None:
        self.requests, self.bytes = [], 0

    @property
    def methods(self) -> list[str]:
        return [method for method, _ in self.requests]


@contextmanager
def network(port: int) -> Iterator[Network]:
    """A proxy before the server on a port of this machine."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with lock:
                between.requests.append((self.command, self.path))
                fault = between.fault_of(self.command, self.path)
            if fault == "busy":
                return self._answer(503, [], b"")
            if fault == "conflict":
                return self._answer(409, [], b"<Error><Code>ConditionalRequestConflict</Code></Error>")
            if fault == "refused":
                return self._answer(403, [], b"<Error><Code>AccessDenied</Code></Error>")
            if fault == "elsewhere":
                return self._answer(301, [], b"<Error><Code>PermanentRedirect</Code></Error>")
            server = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            server.request(self.command, self.path, body, dict(self.headers))
            answer = server.getresponse()
            content = answer.read()
            server.close()
            if fault == "slow":
                time.sleep(0.3)
            if fault == "lost":
                self.close_connection = True
                self.connection.close()
                return None
            with lock:
                between.bytes += len(content)
            return self._answer(answer.status, answer.getheaders(), content, cut=fault == "cut")

        def _answer(
            self, status: int, headers: list[tuple[str, str]], content: bytes, cut: bool = False
        ) -> None:
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in HOPS:
                    self.send_header(name, value)
            length = dict(headers).get("Content-Length") if self.command == "HEAD" else len(content)
            self.send_header("Content-Length", str(length or 0))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content[: len(content) // 2] if cut else content)
            if cut:
                self.close_connection = True
                self.connection.shutdown(2)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass  # noqa: N815 - of http.server

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    between = Network(server.server_address[1])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield between
    finally:
        server.shutdown()
        server.server_close()
