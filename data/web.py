"""HTTP with patience and limits: growing waits, checked redirects, bounded connections, a clock on reads."""

import os
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import certifi
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.util import Timeout
from urllib3.util.connection import create_connection

from .access import WEB, Access, UnreachableError, host_of, is_public_ip, unsigned
from .sample import InputError

PASSING = (408, 425, 429)  # what a server answers, beside 5xx, that may answer otherwise soon
REDIRECTS = (301, 302, 303, 307, 308)
MAX_HOPS = 5
CONNECT_S = 10.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 20.0
DOCUMENT_BYTES = 2**28  # of a catalog or item, at most
SILENCES = 2  # a host that said nothing so many times in a row is not asked again for a while
_EARTHDATA = (".earthdatacloud.nasa.gov", ".earthdata.nasa.gov")

traffic: Counter[str] = Counter()  # "requests" and "bytes" of this process
_silent: dict[str, tuple[int, float]] = {}  # by host: silences in a row, and until when it is not asked
_lock = threading.Lock()


@dataclass(frozen=True)
class Answer:
    """What a server said at last."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    href: str  # after redirects


@dataclass(frozen=True)
class Question:
    """One request, whose answer must be `whole`."""

    href: str
    method: str = "GET"
    headers: Mapping[str, str] | None = None
    body: bytes | None = None
    limit_bytes: int = DOCUMENT_BYTES
    whole: Callable[[Answer], bool] = lambda answer: True


def count(what: str, more: int) -> None:
    """Add to `traffic`, from any thread."""
    with _lock:
        traffic[what] += more


def ask(question: Question, access: Access) -> Answer:
    """The answer to a request, asked again with growing waits while the fault may pass.

    Raises UnreachableError when it does not pass in `access.wait_s` or `access.tries`, InputError for an
    address or a redirect that the job may not follow and for an answer that is too large.
    """
    host = host_of(question.href)
    _refuse_silent(host)
    until = time.monotonic() + access.wait_s
    for attempt in range(1, access.tries + 1):
        wait_s = 0.0
        try:
            answer = _follow(question, access, until)
        except HTTPError as error:
            reason, silent = _reason(error), True
        except OSError:
            reason, silent = "the connection broke", True
        else:
            _silent.pop(host, None)
            passing = answer.status in PASSING or answer.status >= 500
            if not passing and question.whole(answer):
                return answer
            reason, silent = f"HTTP {answer.status}" if passing else "half an answer", False
            wait_s = _seconds(answer.headers.get("Retry-After", ""))
        wait_s = max(
            wait_s, min(FIRST_PAUSE_S * 2 ** (attempt - 1), LONGEST_PAUSE_S) * random.uniform(0.5, 1)
        )
        if attempt == access.tries or time.monotonic() + wait_s > until:
            break
        time.sleep(wait_s)
    if silent:
        _note_silence(host, access)
    raise UnreachableError(
        f"{unsigned(question.href)} cannot be read now: {reason}, asked {attempt} times within"
        f" {access.wait_s:g} s (--wait allows more)"
    )


def _refuse_silent(host: str) -> None:
    _, until = _silent.get(host, (0, 0.0))
    if time.monotonic() < until:
        raise UnreachableError(
            f"{host} does not answer; it was asked {SILENCES} times and is left alone a while"
        )


def _note_silence(host: str, access: Access) -> None:
    count = _silent.get(host, (0, 0.0))[0] + 1
    _silent[host] = count, time.monotonic() + access.wait_s if count >= SILENCES else 0.0


def _seconds(retry_after: str) -> float:
    return min(float(retry_after), LONGEST_PAUSE_S) if retry_after.isdigit() else 0.0


def _follow(question: Question, access: Access, until: float) -> Answer:
    href, method, body = question.href, question.method, question.body
    if not access.typed:
        access = replace(access, typed=href)  # the caller named this host, not those that it leads to
    for hop in range(MAX_HOPS):
        _check(href, access, is_led=hop > 0)
        answer = _once(href, method, body, question, access, until)
        location = answer.headers.get("Location")
        if answer.status not in REDIRECTS or not location:
            return answer
        href = _target(question, href, location)
        if method != "GET" and answer.status in (301, 302, 303):
            method, body = "GET", None
    raise UnreachableError(f"{unsigned(question.href)} leads through more than {MAX_HOPS} redirects")


def _target(question: Question, href: str, location: str) -> str:
    try:
        target = urljoin(href, location)
    except ValueError:
        target = ""
    if not target.startswith(WEB):
        raise UnreachableError(f"{unsigned(question.href)} leads to another kind of address than http(s)")
    return target


def _check(href: str, access: Access, is_led: bool) -> None:
    """Where a server leads to is its doing of today, no fact about what was asked for."""
    try:
        access.check(href)
    except InputError as error:
        if is_led:
            raise UnreachableError(f"a redirect is not followed: {error}") from error
        raise


def _once(
    href: str, method: str, body: bytes | None, question: Question, access: Access, until: float
) -> Answer:
    left_s = max(until - time.monotonic(), 0.01)
    response = _pool(href, access).request(
        method,
        href,
        body=body,
        headers={**_headers(href), **(question.headers or {})},
        redirect=False,
        retries=False,
        preload_content=False,
        timeout=Timeout(connect=min(CONNECT_S, left_s), read=min(access.wait_s / 3, left_s)),
    )
    count("requests", 1)
    try:
        content = b"" if response.status in REDIRECTS else _content(response, question, until)
    finally:
        if not response.closed:
            response.close()  # of what was not read to its end
        response.release_conn()
    return Answer(response.status, response.headers, content, href)


def _content(response: Any, question: Question, until: float) -> bytes:
    """The body, as long as it keeps coming; a server that drips is cut off at `until`."""
    parts: list[bytes] = []
    size = 0
    while part := response.read1(2**20, decode_content=True):
        parts.append(part)
        size += len(part)
        if size > question.limit_bytes:
            raise InputError(f"{unsigned(question.href)} is larger than {question.limit_bytes / 1e6:,.0f} MB")
        if time.monotonic() > until:
            raise ReadTimeoutError(response._pool, None, "the answer drips")
    count("bytes", size)
    return b"".join(parts)


def _headers(href: str) -> dict[str, str]:
    """Of every request; the Earthdata token goes to NASA's hosts alone."""
    headers = {"User-Agent": "skyhex"}
    token = os.environ.get("EARTHDATA_TOKEN")
    if token and href.startswith("https://") and host_of(href).endswith(_EARTHDATA):
        headers["Authorization"] = f"Bearer {token}"
    return headers


def _reason(error: HTTPError) -> str:
    """Never the error's own text: it may hold an address with its token."""
    if isinstance(error, _InnerAddressError):
        return "its name leads to an inner address, which --allow-host would allow"
    kinds = {
        NameResolutionError: "its name is not known",
        NewConnectionError: "no connection",
        ConnectTimeoutError: "no connection in time",
        ReadTimeoutError: "no answer in time",
        SSLError: "its certificate is not trusted or TLS failed",
    }
    return next((text for kind, text in kinds.items() if isinstance(error, kind)), "the connection broke")


class _InnerAddressError(NewConnectionError):
    """A public name that leads to an inner address."""


def _connect_public(connection: HTTPConnection) -> socket.socket:
    """A connection to an address that is public; the one that was judged is the one that is used."""
    try:
        entries = socket.getaddrinfo(connection._dns_host, connection.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise NameResolutionError(connection.host, connection, error) from error  # type: ignore[arg-type]
    addresses = [str(entry[4][0]) for entry in entries]
    if not all(map(is_public_ip, addresses)):
        raise _InnerAddressError(connection, "inner address")
    try:
        return create_connection((addresses[0], connection.port), connection.timeout)
    except TimeoutError as error:
        raise ConnectTimeoutError(connection, "timed out") from error
    except OSError as error:
        raise NewConnectionError(connection, "refused") from error


class _Timely:
    """A connection on which a head that drips is cut off: a socket's own limit is for each byte alone."""

    def getresponse(self) -> Any:
        watch = threading.Timer(self.timeout or CONNECT_S, self._hang_up)  # type: ignore[attr-defined]
        watch.daemon = True
        watch.start()
        try:
            return super().getresponse()  # type: ignore[misc]
        finally:
            watch.cancel()

    def _hang_up(self) -> None:
        with suppress(OSError, AttributeError):
            self.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[attr-defined]


class _HTTP(_Timely, HTTPConnection):
    pass


class _HTTPS(_Timely, HTTPSConnection):
    pass


class _PublicHTTP(_HTTP):
    _new_conn = _connect_public


class _PublicHTTPS(_HTTPS):
    _new_conn = _connect_public


def _pool_of(base: type, connection: type) -> type:
    return type(f"Pool{connection.__name__}", (base,), {"ConnectionCls": connection})


_ANY = {"http": _pool_of(HTTPConnectionPool, _HTTP), "https": _pool_of(HTTPSConnectionPool, _HTTPS)}
_PUBLIC = {
    "http": _pool_of(HTTPConnectionPool, _PublicHTTP),
    "https": _pool_of(HTTPSConnectionPool, _PublicHTTPS),
}


def _pool(href: str, access: Access) -> urllib3.PoolManager:
    scheme = urlsplit(href).scheme
    proxy = getproxies().get(scheme)
    if proxy and not proxy_bypass(host_of(href)):
        return _proxied(proxy, access.connections, os.getpid())
    return _pools(not access.names_host(href), access.connections, os.getpid())


@lru_cache(maxsize=8)
def _pools(public: bool, connections: int, process: int) -> urllib3.PoolManager:
    """Connections belong to one process: hence the key."""
    pools = urllib3.PoolManager(num_pools=64, maxsize=connections, block=True, ca_certs=_certificates())
    pools.pool_classes_by_scheme = _PUBLIC if public else _ANY
    return pools


@lru_cache(maxsize=8)
def _proxied(proxy: str, connections: int, process: int) -> urllib3.PoolManager:
    return urllib3.ProxyManager(
        proxy, num_pools=64, maxsize=connections, block=True, ca_certs=_certificates()
    )


def _certificates() -> str:
    named = (os.environ.get(name) for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"))
    return next((path for path in named if path), certifi.where())
