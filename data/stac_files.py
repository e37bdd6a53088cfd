"""STAC documents, wherever they lie: what holds items, walked with bounds, one bad member being one problem.

A catalog or collection with its children, an item, an item collection (a saved page of an API, or a page that
is asked for now, with those that follow it), a list, lines of JSON (NDJSON) or stac-geoparquet.
"""

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from pystac.utils import make_absolute_href

from .access import REMOTE, WEB, Access, UnreachableError, plain_href, unsigned
from .remote import read_document
from .sample import InputError
from .stac_api import following, links_of, list_of
from .time_series import utc

MAX_ITEMS = 200_000
MAX_CATALOGS = 20_000  # children below one root
AHEAD = 64  # documents of one catalog that are asked for together

Document = Mapping[str, Any]
Progress = Callable[[int], None]


@dataclass
class Listing:
    """The items below an href, as documents whose asset hrefs are absolute."""

    href: str
    title: str = ""
    progress: Progress | None = None  # told of each item how many were found
    items: list[dict[str, Any]] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)  # by name: what could not be read, and why
    unreachable: list[str] = field(default_factory=list)  # what may be read another time
    notes: list[str] = field(default_factory=list)

    def add(self, document: object, base: str, max_items: int) -> None:
        """One item, or what stands in its place. Raises InputError beyond `max_items`."""
        if not isinstance(document, dict) or document.get("type") != "Feature":
            kind = document.get("type") if isinstance(document, dict) else type(document).__name__
            name = f"member {len(self.items) + len(self.problems)}"
            self.problems[name] = f"{name} of {unsigned(base)} is no STAC item but a {kind!s:.60}"
            return
        if len(self.items) >= max_items:
            raise InputError(
                f"{unsigned(self.href)} holds more than {max_items:,} items; narrow it down, or raise"
                " --max-items"
            )
        try:
            self.items.append(_resolved(document, base))
        except ValueError as error:
            name = str(document.get("id"))
            self.problems[name] = f"item {name:.60} of {unsigned(base)} names an asset by no address: {error}"
            return
        if self.progress:
            self.progress(len(self.items))


def find_items(
    href: str, access: Access, max_items: int = MAX_ITEMS, progress: Progress | None = None
) -> Listing:
    """All items that a path or address holds.

    Raises InputError where it is missing or is not STAC, UnreachableError where its host does not answer.
    """
    typed = href
    if not href.startswith(REMOTE):
        href = make_absolute_href(str(Path(plain_href(href)).absolute()))
        if Path(href).is_dir():
            href = str(PurePosixPath(href) / "catalog.json")
    listing = Listing(href, unsigned(href), progress)
    try:
        content = read_document(href, access)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"cannot read the catalog {typed}: {reason}; expected a path or address") from error
    if content.startswith(b"PAR1"):
        for document in _parquet_items(href, content):
            listing.add(document, href, max_items)
        return listing
    root = parse(content, href)
    if isinstance(root, list):
        for document in root:
            for member in _members(document):
                listing.add(member, href, max_items)
    elif root.get("type") == "FeatureCollection":
        _add_pages(root, href, listing, access, max_items)
    elif root.get("type") == "Feature":
        listing.title = str(root.get("id", href))
        listing.add(root, href, max_items)
    elif root.get("type") in ("Catalog", "Collection"):
        _refuse_api(root, href)
        listing.title = str(root.get("title") or root.get("id") or href)
        _walk(root, href, listing, access, max_items)
    else:
        raise InputError(
            f"{unsigned(href)} is not a STAC catalog: its type is {root.get('type')!r:.60};"
            " expected a catalog, collection or items"
        )
    return listing


def parse(content: bytes, href: str) -> dict[str, Any] | list[Any]:
    """A JSON document, or a list of those in the lines of an NDJSON file. Raises InputError."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{unsigned(href)} is not a STAC catalog: it is no text") from error
    try:
        root = json.loads(text)
    except (ValueError, RecursionError) as error:
        try:
            root = [json.loads(line) for line in text.splitlines() if line.strip()]
        except (ValueError, RecursionError):
            raise InputError(f"{unsigned(href)} is not a STAC catalog: it is no JSON ({error})") from error
    if isinstance(root, list):
        is_stac = any(isinstance(member, dict) for member in root)
    else:
        is_stac = isinstance(root, dict) and "type" in root
    if not is_stac:
        raise InputError(f"{unsigned(href)} is not a STAC catalog: it is JSON without the field `type`")
    return root  # type: ignore[no-any-return]


def _members(document: object) -> Iterable[object]:
    """Of a list or of NDJSON: items, or collections of items."""
    if isinstance(document, dict) and document.get("type") == "FeatureCollection":
        return list_of(document, "features")
    return [document]


def _add_pages(page: dict[str, Any], href: str, listing: Listing, access: Access, max_items: int) -> None:
    """The items of a page, and of those that follow one that was asked for now."""
    _add_members(page, href, listing, max_items)
    if href.startswith(WEB):
        for after in following(page, href, access):
            _add_members(after, href, listing, max_items)
    matched, held = _matched(page), len(listing.items) + len(listing.problems)
    if matched is not None and matched > held:
        listing.notes.append(
            f"{unsigned(href)} holds {held:,} of the {matched:,} items that its search matched; the API's"
            " address with --collections reads them all"
        )


def _add_members(page: Document, href: str, listing: Listing, max_items: int) -> None:
    for member in list_of(page, "features"):
        listing.add(member, own_address(member, href), max_items)


def _matched(page: Document) -> int | None:
    """How many items a search matched, in the words of STAC API 1.0 or of the older context extension."""
    context = page.get("context") or page.get("search:metadata")
    older = context.get("matched") if isinstance(context, dict) else None
    count = page.get("numberMatched", older)
    return count if isinstance(count, int) else None


def own_address(member: object, href: str) -> str:
    """What a member's relative hrefs start from: of an API's answer its own address, else the page's."""
    if not href.startswith(WEB) or not isinstance(member, dict):
        return href
    own = next((str(link.get("href")) for link in links_of(member, "self")), href)
    return own if own.startswith(WEB) else href


@dataclass(frozen=True)
class _Link:
    """A document that a catalog leads to, and the terms of the collection that it lies in."""

    rel: str
    href: str
    terms: Document


def _walk(root: Document, href: str, listing: Listing, access: Access, max_items: int) -> None:
    """All items below a catalog, each document once: level by level, the documents of a level together."""
    seen = {href}
    level = list(_links(root, href, {}, listing))
    pool = ThreadPoolExecutor(access.connections)
    try:
        while level:
            fresh = [link for link in {link.href: link for link in level}.values() if link.href not in seen]
            seen.update(link.href for link in fresh)
            if len(seen) > max_items + MAX_CATALOGS:
                raise InputError(
                    f"{unsigned(href)} leads to more than {len(seen):,} documents; narrow it down"
                )
            level = []
            for start in range(0, len(fresh), AHEAD):
                some = fresh[start : start + AHEAD]
                read = pool.map(lambda link: _read(link.href, access), some)
                for link, document in zip(some, read, strict=True):
                    level += _add_read(link, document, listing, max_items)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # what has not been asked for is not any more


def _links(document: Document, href: str, terms: Document, listing: Listing) -> Iterator[_Link]:
    """What a catalog leads to; below a collection, under its terms."""
    terms = terms_of(document) or terms
    for link in links_of(document, "item", "child"):
        if not isinstance(link.get("href"), str):
            continue
        try:
            child = make_absolute_href(plain_href(link["href"]), href)
            yield _Link(str(link["rel"]), child, terms)
        except ValueError as error:
            listing.problems[link["href"][:60]] = f"a link of {unsigned(href)} cannot be read: {error}"


def terms_of(document: Document) -> Document:
    """What a collection says for all its items: licence and providers."""
    is_collection = document.get("type") == "Collection"
    names = ("license", "providers") if is_collection else ()
    return {name: document[name] for name in names if document.get(name)}


def under_terms(document: Any, terms: Document) -> Any:
    """An item with what its collection says, where it says nothing else itself."""
    properties = document.get("properties") if isinstance(document, dict) else None
    if not (terms and isinstance(properties, dict)):
        return document
    return {**document, "properties": {**terms, **properties}}


def _read(href: str, access: Access) -> dict[str, Any] | list[Any] | ValueError:
    """A document, or why there is none."""
    try:
        return parse(read_document(href, access), href)
    except OSError as error:
        return InputError(error.strerror or str(error))
    except (InputError, UnreachableError) as error:
        return error


def _add_read(
    link: _Link, read: dict[str, Any] | list[Any] | ValueError, listing: Listing, max_items: int
) -> Iterator[_Link]:
    """Add the items of a document; what it leads to, where it is a catalog."""
    if isinstance(read, UnreachableError):
        listing.unreachable.append(str(read))
    elif isinstance(read, ValueError):
        name = PurePosixPath(link.href).stem
        listing.problems[name] = f"{link.rel} {unsigned(link.href)} cannot be read: {read}"
    elif isinstance(read, dict) and read.get("type") in ("Catalog", "Collection"):
        yield from _links(read, link.href, link.terms, listing)
    else:
        for member in _members(read):
            listing.add(under_terms(member, link.terms), link.href, max_items)


def _refuse_api(root: Document, href: str) -> None:
    """The address of an API is no catalog to walk: who gives it wants to search."""
    if href.startswith(WEB) and links_of(root, "search") and not links_of(root, "item"):
        names = [str(link.get("title") or link.get("href")) for link in links_of(root, "child")]
        known = f" It has: {', '.join(names[:12])}." if names else ""
        raise InputError(
            f"{unsigned(href)} is a STAC API: say what to search with --collections NAME,NAME and --bbox"
            f" or --aoi.{known}"
        )


def _resolved(document: dict[str, Any], base: str) -> dict[str, Any]:
    """An item whose assets' hrefs are whole. Raises ValueError for one that cannot be parsed."""
    assets = document.get("assets")
    if not isinstance(assets, dict):
        return document
    whole = {}
    for key, asset in assets.items():
        href = asset.get("href") if isinstance(asset, dict) else None
        is_plain = isinstance(href, str) and not href.startswith("file://")
        whole[key] = {**asset, "href": make_absolute_href(href, base)} if is_plain else asset
    return {**document, "assets": whole}


def _parquet_items(href: str, content: bytes) -> Iterator[dict[str, Any]]:
    """The items of a stac-geoparquet file: properties are columns, an absent field is null."""
    try:
        file = pq.ParquetFile(io.BytesIO(content))
        for batch in file.iter_batches(batch_size=1024):
            yield from map(_item_of_row, batch.to_pylist())
    except (pa.ArrowException, shapely.errors.ShapelyError, TypeError) as error:
        raise InputError(f"{unsigned(href)} is no stac-geoparquet that can be read: {error}") from error


_ITEM_FIELDS = ("type", "stac_version", "stac_extensions", "id", "bbox", "links", "assets", "collection")


def _item_of_row(row: dict[str, Any]) -> dict[str, Any]:
    known = {name: value for name, value in _without_nulls(row).items() if name != "geometry"}
    geometry = row.get("geometry")
    box = known.get("bbox")
    return {
        "type": "Feature",
        "links": [],
        "assets": {},
        **{name: known[name] for name in _ITEM_FIELDS if name in known},
        "geometry": json.loads(shapely.to_geojson(shapely.from_wkb(geometry))) if geometry else None,
        "bbox": list(box.values()) if isinstance(box, dict) else box,
        "properties": {
            "datetime": None,
            **{name: value for name, value in known.items() if name not in _ITEM_FIELDS},
        },
    }


def _without_nulls(value: Any) -> Any:
    """Nulls that a table puts where an item has no such field, and times as STAC writes them."""
    if isinstance(value, dict):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value]
    if isinstance(value, datetime):
        return utc(value).isoformat().replace("+00:00", "Z")
    return value
