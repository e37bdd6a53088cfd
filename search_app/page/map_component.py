"""The map as an element of the page: what it is told with every run, and what it asks for.

Its code is TypeScript in `map/src`, built into `map/dist`. What it is told is small: its cells and
similarities it fetches itself, see map_routes.py.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import streamlit as st

from ..own_ground import address_of
from ..page_settings import page_settings
from .background import Extent
from .session import current

HEARD = "asks heard"
# A page may lie in a folder of its own, so the code is named from the page, not from the root.
LOADER = """\
const code = import(new URL("skyhex/code/map.js", document.baseURI));
export default async (component) => (await code).default(component);
"""
_mount = st.components.v2.component("skyhex_map", js=LOADER)
_mount_plane = st.components.v2.component("skyhex_plane", js=LOADER.replace("default(", "plane("))


@dataclass(frozen=True)
class Marks:
    """Cells that are pointed out, by hex id."""

    like: Sequence[str] = ()
    unlike: Sequence[str] = ()
    results: Sequence[str] = ()  # in order of rank
    chosen: str = ""  # the result that is looked at


@dataclass(frozen=True)
class Scene:
    """What the map shows; `src/scene.ts` reads it."""

    snapshot: int
    question: str  # as an address's query, "" = none: see `map_routes`
    marks: Marks
    home: Extent  # what to look at
    look: int = 0  # a new number moves the map to `home`
    colour: str = "similarity"
    prototype: str = ""  # REGION or REGION/NUMBER that alone is coloured
    layer: str = ""  # classes coloured in the place of prototypes, as an address's query
    kinds: Sequence[str] = ()  # a label for each kind
    asks: bool = True  # False: a map to look at
    paints: str = ""  # the class that clicks and shapes give to cells, "" = none
    teaches: bool = False  # whether the card says right and wrong
    canUndo: bool = False  # noqa: N815 - as the browser reads it
    outlines: Sequence[str] = ()  # shapes that limit the question
    measure: str = "similarity"  # or "change", "confidence": its amounts, and the address that has them
    period: str = ""  # rows of it are looked at first, and alone have kinds
    link: str = ""  # maps of one link move together
    tells: bool = False  # True: asks "look" for the cell that is looked at
    picks: bool = False  # True: a shape picks its cells, in what is linked, too, and asks "pick" for it
    picked: str = ""  # the shape that is picked, of this map or of a plane


@dataclass(frozen=True)
class PlaneScene:
    """What a plane of rows shows; `src/plane.ts` reads it."""

    snapshot: int
    method: str  # of `indexer.overview.projection`
    link: str  # of the map whose colours it takes
    picked: str = ""  # the shape that is picked, of this plane or of the map


@dataclass(frozen=True)
class Ask:
    """What a person did on the map; `place` is a cell's hex id or a shape."""

    does: str  # "like", "add", "unlike", "only", "undo", "look", "pick", "paint", "right" or "wrong"
    place: str


def mount_map(scene: Scene, key: str, take: Callable[[Ask], None]) -> None:
    """Draw the map; `take` gets each thing that a person asks for, once and in order."""
    _draw(_mount, scene, key, take)


def mount_plane(scene: PlaneScene, key: str, take: Callable[[Ask], None]) -> None:
    """Draw a plane of rows, in the same way."""
    _draw(_mount_plane, scene, key, take)


def _draw(mount: Any, scene: Scene | PlaneScene, name: str, take: Callable[[Ask], None]) -> None:
    table = current().table
    key = f"{name} {table}" if table else name  # another table is another map

    def take_new() -> None:
        for ask in new_asks(st.session_state[key].asked, st.session_state.get(HEARD, 0)):
            st.session_state[HEARD] = ask["number"]
            take(Ask(str(ask["does"]), str(ask["place"])))

    data = {
        **asdict(scene),
        "table": table,
        "heard": st.session_state.get(HEARD, 0),
        "ground": address_of(page_settings().ground),
    }
    mount(key=key, data=data, on_asked_change=take_new)


def new_asks(sent: Sequence[Mapping[str, Any]] | None, heard: int) -> list[Mapping[str, Any]]:
    """Those of the asks that came after one number; the map sends each until it hears that it was taken."""
    return sorted((ask for ask in sent or () if ask["number"] > heard), key=lambda ask: ask["number"])
