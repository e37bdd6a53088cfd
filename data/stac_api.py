"""STAC APIs: a search and the pages of its answer, by pystac-client over our own transport."""

import hashlib
import json
import operator
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urljoin

import pystac
import shapely
from pystac.link import Link
from pystac_client import Client, ConformanceClasses
from pystac_client.errors import ClientTypeError
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from pystac_client.warnings import PystacClientWarning

from .access import WEB, Access, UnreachableError, unsigned
from .sample import InputError
from .web import Question, ask

PAGE_ITEMS = 200
MAX_CORNERS = 500  # of an area that is sent as it is; others are sent as the box around them

Page = dict[str, Any]
_OPERATORS = {
    "<=": "lte",
    ">=": "gte",
    "!=": "neq",
    "=": "eq",
    "<": "lt",
    ">": "gt",
}
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "lte": operator.le,
    "gte": operator.ge,
    "neq": operator.ne,
    "eq": operator.eq,
    "lt": operator.lt,
    "gt": operator.gt,
}


@dataclass(frozen=True)
class Search:
    """What is asked of an API."""

    api: str  # its address
    collections: tuple[str, ...]
    area: shapely.Geometry | None = None  # lon/lat; None = everywhere
    start: datetime | None = None  # UTC, [start, end)
    end: datetime | None = None
    query: tuple[str, ...] = ()  # "eo:cloud_cover<40"

    @property
    def digest(self) -> str:
        """Names the search: the same words, the same name."""
        where = (
            None if self.area is None else shapely.to_wkt(shapely.normalize(self.area), rounding_precision=9)
        )
        parts = (self.api, sorted(self.collections), where, self.start, self.end, sorted(self.query))
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


class _ApiIO(StacApiIO):  # type: ignore[misc]
    """pystac-client's requests, asked with our patience, limits and rule of hosts."""

    def __init__(self, access: Access) -> None:
        super().__init__(max_retries=None)
        self._access = access

    def read_text(self, source: Any, *args: Any, **kwargs: Any) -> str:
        """As pystac-client's, but never a local file, whatever a server's link says."""
        href = source.href if isinstance(source, Link) else str(source)
        if not href.startswith(WEB):
            raise InputError(f"{href:.80} is no address of a STAC API")
        return str(super().read_text(source, *args, **kwargs))

    def request(
        self,
        href: str,
        method: str | None = None,
        headers: dict[str, str] | None = None,
        parameters: dict[str, Any] | None = None,
    ) -> str:
        """The text that a server answers. Raises InputError, UnreachableError."""
        headers, body = {"Accept": "application/geo+json, application/json", **(headers or {})}, None
        if method == "POST":
            body = json.dumps(parameters).encode()
            headers["Content-Type"] = "application/json"
        elif parameters:
            href += ("&" if "?" in href else "?") + urlencode(parameters, doseq=True)
        answer = ask(Question(href, method or "GET", headers, body), self._access)
        if answer.status in (401, 403):
            raise UnreachableError(
                f"{unsigned(href)} is refused (HTTP {answer.status}): it needs credentials"
            )
        if not 200 <= answer.status < 300:
            said = answer.content[:200].decode(errors="replace")
            raise InputError(f"{unsigned(href)} answers HTTP {answer.status}: {said}")
        return answer.content.decode(errors="replace")


def search_pages(search: Search, access: Access) -> Iterator[Page]:
    """The pages of an answer. Raises InputError for what is no STAC API, UnreachableError."""
    io = _ApiIO(access)
    with warnings.catch_warnings(), _api_errors(search.api):
        warnings.simplefilter("ignore", PystacClientWarning)
        client = Client.open(search.api, stac_io=io)
        links = [link for link in client.links if link.rel == "search"]
        methods = {str(link.extra_fields.get("method", "GET")).upper() for link in links}
        knows_query = client.conforms_to(ConformanceClasses.QUERY)  # what it does not know is held here
        asked = client.search(
            method="POST" if "POST" in methods else "GET",
            collections=list(search.collections),
            limit=PAGE_ITEMS,
            datetime=_interval(search),
            query=(parse_query(search.query) or None) if knows_query else None,
            **_where(search.area),
        )
        parameters = asked.get_parameters()
        first = io.read_json(asked.url, method=asked.method, parameters=parameters)
    yield first
    yield from following(first, asked.url, access, parameters)


def following(
    page: Page, href: str, access: Access, parameters: Mapping[str, Any] | None = None
) -> Iterator[Page]:
    """The pages after one, by its link `next`: a GET, or a POST with a body of its own or merged.

    Raises InputError when a server pages in a circle.
    """
    io, seen = _ApiIO(access), {_ids(page)}
    while link := _next(page):
        with _api_errors(href):
            after = urljoin(href, str(link["href"]))
            page = io.read_json(Link.from_dict({**link, "href": after}), parameters=dict(parameters or {}))
        href = after
        if not list_of(page, "features"):
            return
        if _ids(page) in seen:
            raise InputError(f"{unsigned(href)}: the page was there before; the server pages in a circle")
        seen.add(_ids(page))
        yield page


def _next(page: Page) -> Page | None:
    return next((link for link in links_of(page, "next") if isinstance(link.get("href"), str)), None)


def _ids(page: Page) -> str:
    """A digest of what a page holds."""
    names = [
        (item.get("collection"), item.get("id")) if isinstance(item, dict) else repr(item)
        for item in list_of(page, "features")
    ]
    return hashlib.sha256(repr(names).encode()).hexdigest()


def list_of(document: Mapping[str, Any], key: str) -> list[Any]:
    """A list in a document from outside; empty where it is none."""
    value = document.get(key)
    return value if isinstance(value, list) else []


def links_of(document: Mapping[str, Any], *rels: str) -> list[dict[str, Any]]:
    """The links of these relations in a document from outside; of any where none is named."""
    links = [link for link in list_of(document, "links") if isinstance(link, dict)]
    return [link for link in links if not rels or link.get("rel") in rels]


def _interval(search: Search) -> str | None:
    """RFC 3339; both ends belong to a STAC interval, and ours ends before `end`."""
    if search.start is None and search.end is None:
        return None
    end = search.end and search.end - timedelta(seconds=1)
    return "/".join(".." if at is None else f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in (search.start, end))


def _where(area: shapely.Geometry | None) -> dict[str, Any]:
    """A box as `bbox`, an area as `intersects`, one of very many corners as the box around it."""
    if area is None:
        return {}
    if area.geom_type == "Polygon" and area.equals(area.envelope):
        return {"bbox": area.bounds}
    if shapely.get_num_coordinates(area) <= MAX_CORNERS:
        return {"intersects": shapely.geometry.mapping(area)}
    return {"intersects": shapely.geometry.mapping(_boxes(area))}


def _boxes(area: shapely.Geometry) -> shapely.Geometry:
    """The boxes around its parts east and west of Greenwich, for it may lie on both ends of the map."""
    halves = [area.intersection(shapely.box(west, -90, west + 180, 90)) for west in (-180, 0)]
    return shapely.union_all([shapely.box(*half.bounds) for half in halves if not half.is_empty])


def parse_query(texts: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """`eo:cloud_cover<40` as the query extension has it. Raises InputError."""
    query: dict[str, dict[str, Any]] = {}
    for text in texts:
        match = re.fullmatch(r"\s*([\w:.\-]+)\s*(<=|>=|!=|=|<|>)\s*(.+?)\s*", text)
        if match is None:
            raise InputError(f"--query {text!r}; expected a property, one of < <= = != >= > and a value")
        name, sign, value = match.groups()
        query.setdefault(name, {})[_OPERATORS[sign]] = _value(value)
    return query


def _value(text: str) -> str | float | bool:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return float(text)
    except ValueError:
        return text.strip("'\"")


def answers(item: Mapping[str, Any], search: Search) -> bool:
    """Whether an item is what was asked for: some servers ignore what they do not know, and say nothing."""
    said = item.get("properties")
    properties = said if isinstance(said, dict) else {}
    wanted = not search.collections or item.get("collection") in search.collections
    return wanted and all(
        _holds(properties.get(name), sign, value)
        for name, conditions in parse_query(search.query).items()
        for sign, value in conditions.items()
    )


def _holds(held: object, sign: str, value: str | float | bool) -> bool:
    if isinstance(value, float) and isinstance(held, str):
        held = _value(held)
    try:
        return bool(_COMPARE[sign](held, value))
    except TypeError:  # of another type, or absent
        return False


@contextmanager
def _api_errors(href: str) -> Iterator[None]:
    """What pystac-client and pystac raise over an answer that is no STAC, as ours."""
    try:
        yield
    except (InputError, UnreachableError):
        raise
    except (
        APIError,
        ClientTypeError,
        pystac.STACError,
        pystac.STACTypeError,
        NotImplementedError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:
        raise InputError(
            f"{unsigned(href)} does not answer as a STAC API: {error!r:.200}; expected one with item search,"
            " or a catalog without --collections"
        ) from error
