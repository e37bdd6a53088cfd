"""What a job may read, how long it waits, and how it signs: one value that travels with every task.

The folder or host that the user typed is allowed. What a catalog's items name beyond it is not theirs to
open: other hosts must be public or allowed by name, local files lie in the typed folder or an allowed one.
"""

import ipaddress
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from .sample import InputError

WEB = ("http://", "https://")
BUCKETS = ("s3://", "gs://", "az://")
REMOTE = (*WEB, *BUCKETS)
_VSI = {"/vsicurl/": "", "/vsis3/": "s3://", "/vsigs/": "gs://", "/vsiaz/": "az://"}
_VSI_ARCHIVES = ("/vsizip/", "/vsitar/", "/vsigzip/")
# Names of parameters that hold a secret, and those that belong to a signature where one of these stands.
_SECRET = re.compile(
    r"sig|signature|x-(amz|goog|ms)-.*|key-pair-id|awsaccesskeyid|googleaccessid|hdnts|password"
    r"|.*(token|api[-_]?key|subscription-key)",
    re.IGNORECASE,
)
_WITH_SIGNATURE = re.compile(r"st|se|sp|spr|sv|sr|sip|sdd|sk[a-z]+|expires|policy", re.IGNORECASE)


class UnreachableError(ValueError):
    """A host that does not answer, or not now; says which, and what was tried.

    It is no fact about the imagery: what was to be made of it stays unfinished, for the same command to do.
    """


@dataclass(frozen=True)
class Access:
    """What a job may read and how. The default is for hrefs that the caller names: all are allowed."""

    typed: str = ""  # the catalog's address; "" = the caller names each href
    hosts: tuple[str, ...] = ()  # allowed beside public ones: `host` or `host:port`
    paths: tuple[str, ...] = ()  # folders of local files that are allowed beside the typed one
    wait_s: float = 60.0  # for one read, its retries included; then it counts as unreachable
    tries: int = 6  # of one request, at most
    connections: int = 8  # of one process to one host, at most
    sign: Callable[[str], str] | None = None  # unsigned href -> signed; asked again when one is refused
    requester_pays: bool = False
    foreign: bool = False  # someone else made what names the hrefs: no host is asked that was not allowed

    def check(self, href: str) -> None:
        """Raise InputError for an href that this job may not read. Redirects are checked hop by hop."""
        if href.startswith(WEB):
            inner = is_private(host_of(href))
            if not self.names_host(href) and (inner or self.foreign):
                kind = "an inner address" if inner else "a host"
                raise InputError(
                    f"{unsigned(href)} lies on {host_of(href)}, {kind} that you did not name:"
                    f" if it is yours, add --allow-host {named_host(href)}"
                )
        elif not href.startswith(BUCKETS):
            self._check_path(href)
        elif self.foreign and named_host(href) not in (named_host(self.typed), *self.hosts):
            raise InputError(
                f"{href} lies in a bucket that you did not name: add --allow-host {named_host(href)}"
            )

    def names_host(self, href: str) -> bool:
        """Whether the user named the host of a web address."""
        host, port = _host_port(href)
        return (
            not self.typed
            or (self.typed.startswith(WEB) and _host_port(self.typed) == (host, port))
            or bool({host, f"{host}:{port}"} & {name.lower() for name in self.hosts})
        )

    def _check_path(self, href: str) -> None:
        if "://" in href or href.startswith("/vsi"):
            raise InputError(f"{href} is no path, http(s), s3, gs or az address")
        if not self.typed:
            return
        whole = os.path.realpath if self.foreign else whole_path  # links of others may lead anywhere
        path = Path(whole(href))
        folders = [*self.paths, *([] if self.typed.startswith(REMOTE) else [folder_of(self.typed)])]
        if not any(path.is_relative_to(whole(folder)) for folder in folders):
            raise InputError(
                f"{href} is a local file outside the catalog's folder: if it is yours, add --allow-path"
                f" {path.parent}"
            )


EVERYTHING = Access()
_current: ContextVar[Access] = ContextVar("access", default=EVERYTHING)


@contextmanager
def using(access: Access) -> Iterator[None]:
    """Read with `access` inside."""
    token = _current.set(access)
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Access:
    return _current.get()


def whole_path(path: str | Path) -> str:
    """From the root, without `..`; links are not followed, for they are the user's own."""
    return os.path.normpath(Path(path).absolute())


def folder_of(href: str) -> str:
    """The folder of a local catalog, which may be named by its folder."""
    return href if Path(href).is_dir() else str(Path(href).parent)


def plain_href(href: str) -> str:
    """A path or address as we write it: `file://` and GDAL's `/vsicurl/`, `/vsis3/` and like ones undone.

    Raises InputError for one of GDAL's other file systems, except archives on the local disk.
    """
    if href.startswith("file://"):
        return unquote(urlsplit(href).path)
    if not href.startswith("/vsi"):
        return href
    for prefix, scheme in _VSI.items():
        if href.startswith(prefix):
            return plain_href(scheme + href.removeprefix(prefix))
    if href.startswith(_VSI_ARCHIVES) and "/vsi" not in href[1:] and "{" not in href:
        return href
    raise InputError(f"{unsigned(href)} names a file system of GDAL's; expected a path or an address")


def inside_archive(href: str) -> str | None:
    """The local path in `/vsizip//data/a.zip/b.tif`; None for an href of another kind."""
    prefix = next((prefix for prefix in _VSI_ARCHIVES if href.startswith(prefix)), None)
    return None if prefix is None else href.removeprefix(prefix)


def unsigned(href: str) -> str:
    """An href without token, signature or password, as keys, tables and messages hold it.

    Raises InputError for an address that cannot be parsed, without a word of it.
    """
    if "://" not in href or not ("?" in href or "@" in href):
        return href
    try:
        parts = urlsplit(href)
    except ValueError as error:
        raise InputError(f"an address cannot be parsed: {error}") from None
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    host = parts.netloc.rpartition("@")[2]
    if host == parts.netloc and not any(_SECRET.fullmatch(name) for name, _ in pairs):
        return href
    kept = [pair for pair in pairs if not (_SECRET.fullmatch(pair[0]) or _WITH_SIGNATURE.fullmatch(pair[0]))]
    return urlunsplit((parts.scheme, host, parts.path, urlencode(kept), parts.fragment))


def named_host(href: str) -> str:
    """What --allow-host calls the place of an address: `host`, `host:port` or `s3://bucket`."""
    scheme, _, rest = href.partition("://")
    place = re.split(r"[/?#]", rest)[0].rpartition("@")[2]
    return f"{scheme}://{place}" if href.startswith(BUCKETS) else place.lower()


def host_of(href: str) -> str:
    return _host_port(href)[0]


def _host_port(href: str) -> tuple[str, int]:
    """As the parser of those who connect reads them: two parsers could be made to disagree."""
    try:
        url = parse_url(href)
    except LocationParseError as error:
        raise InputError(f"{unsigned(href)} is no address that can be asked") from error
    host = (url.host or "").strip("[]").rstrip(".").lower()
    return host, url.port or (443 if url.scheme == "https" else 80)


def is_private(host: str) -> bool:
    """Whether a name or IP address is not for the public: this machine, its network, or reserved.

    What a name resolves to is judged when it is connected to.
    """
    try:
        return not is_public_ip(host)
    except ValueError:
        return (
            host in ("", "localhost")
            or host.endswith((".localhost", ".local", ".internal"))
            or "." not in host
        )


def is_public_ip(text: str) -> bool:
    """Raises ValueError for what is no IP address."""
    ip = ipaddress.ip_address(text.partition("%")[0])
    inner = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None) or ip
    return bool(inner.is_global and not inner.is_multicast)
