"""Read a STAC catalog: items become light `Scene` records, grouped into places."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pystac
import shapely

from .sample import InputError
from .scene import Scene
from .stac_item import scene_of

_NOT_STAC = (ValueError, KeyError, TypeError, AttributeError, pystac.STACError, pystac.STACTypeError)
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

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """Each scene once; without the property `place` a large one may belong to several places."""
        return tuple(dict.fromkeys(scene for place in self.places for scene in place.scenes))


def read_catalog(href: str | Path) -> Catalog:
    """Read a catalog, collection, item or item collection from a path or an http(s) address.

    Places are what the item property `place` says; scenes without it are grouped by their footprints.
    Raises InputError when it is missing, is not STAC or holds no items.
    """
    title, items, unreadable = _read_items(str(href))
    scenes: list[Scene] = []
    problems: dict[str, list[str]] = {name: [reason] for name, reason in unreadable.items()}
    for item in items:
        try:
            scenes.append(scene_of(item))
        except InputError as error:
            problems.setdefault(_place_of(item), []).append(str(error))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            problems.setdefault(_place_of(item), []).append(f"item {item.id} is malformed: {error!r}")
    if not scenes and not problems:
        raise InputError(f"{href} holds no items; expected a STAC catalog of GeoTIFFs")
    simulated = any(bool(item.properties.get("simulated")) for item in items)
    return Catalog(str(href), title, group_into_places(scenes, problems), simulated)


def _place_of(item: pystac.Item) -> str:
    return str(item.properties.get("place", item.id))


def _read_items(href: str) -> tuple[str, list[pystac.Item], dict[str, str]]:
    """Title, items, and why others could not be read, by the names of their files."""
    if Path(href).is_dir():
        href = str(Path(href) / "catalog.json")
    try:
        if _stac_type(href) == "FeatureCollection":
            return href, list(pystac.ItemCollection.from_file(href)), {}
        root = pystac.read_file(href)
        if isinstance(root, pystac.Item):
            return root.id, [root], {}
        return root.title or root.id, *_walk(root)
    except OSError as error:
        raise InputError(
            f"cannot read the catalog {href}: {error}; expected a path or http(s) address"
        ) from error
    except _NOT_STAC as error:
        raise InputError(
            f"{href} is not a STAC catalog: {error}; expected a catalog, collection or items"
        ) from error


def _walk(catalog: pystac.Catalog) -> tuple[list[pystac.Item], dict[str, str]]:
    items: list[pystac.Item] = []
    unreadable: dict[str, str] = {}
    for link in catalog.get_item_links():
        try:
            items.append(link.resolve_stac_object(root=catalog.get_root()).target)
        except (OSError, *_NOT_STAC) as error:
            unreadable[Path(link.href).stem] = f"item {link.href} cannot be read: {error.__cause__ or error}"
    for child in catalog.get_children():
        more_items, more_unreadable = _walk(child)
        items += more_items
        unreadable |= more_unreadable
    return items, unreadable


def _stac_type(href: str) -> str:
    document = json.loads(pystac.StacIO.default().read_text(href))
    if not isinstance(document, dict) or "type" not in document:
        raise ValueError("it is JSON without the field `type`")
    return str(document["type"])


def group_into_places(
    scenes: Sequence[Scene], problems: dict[str, list[str]] | None = None
) -> tuple[Place, ...]:
    """Scenes by their property `place`, the rest by footprint; `problems` are reasons by name of place."""
    problems = problems or {}
    members: dict[str, list[Scene]] = {name: [] for name in problems}
    for scene in scenes:
        if scene.place is not None:
            members.setdefault(scene.place, []).append(scene)
    for name, found in _places_by_footprint([scene for scene in scenes if scene.place is None]).items():
        members.setdefault(name, []).extend(found)
    return tuple(
        Place(name, tuple(sorted(found, key=lambda s: (s.start, s.item_id))), tuple(problems.get(name, ())))
        for name, found in sorted(members.items())
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
