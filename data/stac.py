"""STAC items become light `Scene` records, grouped into places."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pystac
import shapely

from .access import EVERYTHING, Access, UnreachableError, unsigned, using
from .remote import read_document
from .sample import InputError
from .scene import Scene
from .stac_api import Search, answers, links_of, list_of, search_pages
from .stac_files import MAX_ITEMS, Listing, Progress, find_items, own_address, parse, terms_of, under_terms
from .stac_item import scene_of

_MALFORMED = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    pystac.STACError,
    pystac.STACTypeError,
)
SAME_PLACE = 0.5  # share of a place's smallest footprint that a scene covers to belong to it


@dataclass(frozen=True)
class Place:
    """All scenes of one place, in order of time."""

    name: str
    scenes: tuple[Scene, ...]
    problems: tuple[str, ...] = ()  # items of it that hold no usable scene, and why


@dataclass(frozen=True)
class Catalog:
    """All places of a catalog, in order of name."""

    href: str
    title: str
    places: tuple[Place, ...]
    simulated: bool  # whether any item says so
    notes: tuple[str, ...] = ()  # what its reader should know
    unreachable: tuple[str, ...] = ()  # items that could not be read now, and why
    access: Access = EVERYTHING  # with what it was read, and its scenes are to be

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """Each scene once; without the property `place` a large one may belong to several places."""
        return tuple(dict.fromkeys(scene for place in self.places for scene in place.scenes))


def read_catalog(
    href: str | Path,
    access: Access | None = None,
    *,
    max_items: int = MAX_ITEMS,
    progress: Progress | None = None,
) -> Catalog:
    """Read a catalog, collection, item, list or collection of items from a path or address.

    Places are what the item property `place` says; scenes without it are grouped by their footprints. What
    `access` allows is widened by `href` itself: its host, or its folder.
    Raises InputError when it is missing, is not STAC, holds no items or too many, UnreachableError when its
    host does not answer.
    """
    access = replace(access or Access(), typed=str(href))
    return _catalog_of(find_items(str(href), access, max_items, progress), access)


def search_catalog(
    search: Search,
    access: Access | None = None,
    *,
    max_items: int = MAX_ITEMS,
    kept: Path | None = None,
    again: bool = False,
    progress: Progress | None = None,
) -> Catalog:
    """The answer of a STAC API as a catalog; from the file `kept` where an earlier answer lies there.

    `again` asks anew and keeps the new answer in place of it.

    Raises InputError when it is no API, finds nothing or too much, UnreachableError when it does not answer.
    """
    access = replace(access or Access(), typed=search.api)
    if kept is not None and kept.exists() and not again:
        listing = find_items(str(kept), replace(access, typed=str(kept)), max_items, progress)
        listing.notes.append(
            f"the items are those of an earlier run, kept in {kept}; --search-again asks anew"
        )
        return _catalog_of(listing, access)
    listing = Listing(search.api, search.api, progress)
    names: set[tuple[str, str]] = set()
    terms: dict[str, Any] = {}
    ignored = 0
    for page in search_pages(search, access):
        for item in list_of(page, "features"):
            if isinstance(item, dict) and not answers(item, search):
                ignored += 1
            elif not isinstance(item, dict) or _name(item) not in names:
                names.update([_name(item)] if isinstance(item, dict) else [])
                item = under_terms(item, _terms(item, search.api, access, terms))
                listing.add(item, own_address(item, search.api), max_items)
    if ignored:
        listing.notes.append(
            f"{ignored:,} items that the server gave are not what was asked for, and are left out"
        )
    if not listing.items:
        raise InputError(
            f"{unsigned(search.api)} has no items of {', '.join(search.collections)} there and then"
        )
    if kept is not None:
        keep_items(listing, kept)
    return _catalog_of(listing, access)


def _terms(item: Any, api: str, access: Access, known: dict[str, Any]) -> dict[str, Any]:
    """What the collection of an item says of licence and providers, asked for once."""
    links = links_of(item, "collection") if isinstance(item, dict) else []
    if not links:
        return {}
    link = str(links[0].get("href"))
    if link not in known:
        try:
            href = urljoin(api, link)
            document = parse(read_document(href, access), href)
            known[link] = terms_of(document) if isinstance(document, dict) else {}
        except UnreachableError:
            raise
        except (ValueError, OSError):  # no address, no document, none that can be read
            known[link] = {}
    return dict(known[link])


def _name(item: dict[str, Any]) -> tuple[str, str]:
    return str(item.get("collection")), str(item.get("id"))


def keep_items(listing: Listing, path: Path) -> None:
    """Keep the items of a job as an item collection of unsigned hrefs, whole or not at all."""
    items = [
        {**item, "assets": {key: _unsigned(asset) for key, asset in _assets(item).items()}}
        for item in listing.items
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps({"type": "FeatureCollection", "features": items}) + "\n", encoding="utf-8")
    part.replace(path)


def _assets(item: dict[str, Any]) -> dict[str, Any]:
    assets = item.get("assets")
    return assets if isinstance(assets, dict) else {}


def _unsigned(asset: Any) -> Any:
    return (
        {**asset, "href": unsigned(str(asset["href"]))}
        if isinstance(asset, dict) and "href" in asset
        else asset
    )


def _catalog_of(listing: Listing, access: Access) -> Catalog:
    scenes: list[Scene] = []
    problems: dict[str, list[str]] = {name: [reason] for name, reason in listing.problems.items()}
    unreachable, href = list(listing.unreachable), unsigned(listing.href)
    simulated = False
    with using(access):
        for document in listing.items:
            item = _item(document, problems)
            if item is None:
                continue
            try:
                simulated |= bool(item.properties.get("simulated"))
                scenes.append(scene_of(item))
            except UnreachableError as error:
                unreachable.append(f"item {item.id}: {error}")
            except InputError as error:
                problems.setdefault(_place_of(item), []).append(str(error))
            except _MALFORMED as error:
                reason = f"item {item.id} is malformed: {error!r}"
                problems.setdefault(_place_of(item), []).append(reason)
    if not scenes and not problems:
        if unreachable:
            raise UnreachableError(f"no item of {href} can be read now; the first: {unreachable[0]}")
        raise InputError(f"{href} holds no items; expected a STAC catalog of GeoTIFFs")
    places = group_into_places(scenes, problems)
    return Catalog(href, listing.title, places, simulated, tuple(listing.notes), tuple(unreachable), access)


def _item(document: dict[str, Any], problems: dict[str, list[str]]) -> pystac.Item | None:
    try:
        return pystac.Item.from_dict(document)
    except _MALFORMED as error:
        name = str(document.get("id"))
        problems.setdefault(name, []).append(f"item {name} cannot be read: {error}")
        return None


def _place_of(item: pystac.Item) -> str:
    return str(item.properties.get("place", item.id))


def group_into_places(
    scenes: Sequence[Scene], problems: dict[str, list[str]] | None = None
) -> tuple[Place, ...]:
    """Scenes by their property `place`, the rest by footprint; `problems` are reasons by name of place."""
    problems = problems or {}
    members: dict[str, list[Scene]] = {name: [] for name in problems}
    for scene in scenes:
        if scene.place is not None:
            members.setdefault(scene.place, []).append(scene)
    for name, gathered in _places_by_footprint([scene for scene in scenes if scene.place is None]).items():
        members.setdefault(name, []).extend(gathered)
    return tuple(
        Place(
            name, tuple(sorted(gathered, key=lambda s: (s.start, s.item_id))), tuple(problems.get(name, ()))
        )
        for name, gathered in sorted(members.items())
    )


def _places_by_footprint(scenes: Sequence[Scene]) -> dict[str, list[Scene]]:
    """The smallest footprint founds a place, which every scene that covers half of it joins; and so on."""
    footprints = [scene.grid.footprint() for scene in scenes]
    tree = shapely.STRtree(footprints)
    by_size = sorted(range(len(scenes)), key=lambda i: (footprints[i].area, scenes[i].item_id))
    places: dict[str, list[Scene]] = {}
    settled: set[int] = set()
    for founder in by_size:
        if founder in settled:
            continue
        footprint = footprints[founder]
        near = [int(i) for i in tree.query(footprint)]
        joined = [
            i for i in near if footprints[i].intersection(footprint).area >= SAME_PLACE * footprint.area
        ]
        settled.update(joined)
        places[scenes[founder].item_id] = [scenes[i] for i in joined]
    return places
