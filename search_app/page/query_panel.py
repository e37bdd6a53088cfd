"""What is looked for, in the sidebar: a place typed, the examples and how they combine, which results."""

from collections import Counter
from collections.abc import Callable, Sequence

import h3
import streamlit as st

from indexer.errors import QueryError
from indexer.geo.cells import Cells
from indexer.search.words import COLUMNS
from indexer.table.embedding_table import EmbeddingTable

from .background import Extent
from .gazetteer import CREDIT
from .plain import plain
from .question import place_label
from .session import bound, change, current, look_for
from .typed_place import read_typed
from .url_state import COLOURS, MATCHES, MAX_K, View

MOST_TIMES = 9  # that an example may count
MOST_SHOWN = 12  # examples
OPPOSITE = {"like": "unlike", "unlike": "like"}
SIGNS = {"like": "Looked for:", "unlike": "Kept away from:"}
ICONS = {"like": ":material/add:", "unlike": ":material/remove:"}
TURNS = {
    "like": "Looked for: press to keep away from it",
    "unlike": "Kept away from: press to look for it",
}
MATCH_LABELS = {"mean": "their mean", "any": "any one", "all": "each"}
VECTORS = {"fused": "all sensors", "geo": "where it lies", "hr": "aerial", "s2": "Sentinel-2", "s1": "radar"}
_PLACE, _PLACE_ERROR, _PLACE_NOTE = "place", "place error", "place note"


def with_times(places: Sequence[str], place: str, times: int) -> tuple[str, ...]:
    """Places where one stands so many times, where it first stood."""
    counts = Counter(places) | {place: 0}
    counts[place] = times
    return tuple(one for one, count in counts.items() for _ in range(count))


def draw_query(cells: Cells, on_place: Callable[[Extent | None], None]) -> None:
    """A box for a place, and the examples that are looked for.

    Args:
        cells: the table's (n,), in order.
        on_place: runs after a new place, with what is to be seen where it is a town.
    """
    if _PLACE_ERROR not in st.session_state:
        st.session_state[_PLACE] = ""
    st.text_input(
        "Look for places like",
        key=_PLACE,
        placeholder="town, lon, lat or cell",
        icon=":material/search:",
        on_change=_take_place,
        args=(cells, on_place),
        help="An H3 cell such as 891f1d4801bffff, or a place in any usual writing, such as 9.96, 52.09 or "
        f"52°05′24″N 9°57′36″E: it is looked for. A town such as Bern, CH is shown on the map. {CREDIT}",
    )
    if st.session_state.get(_PLACE_NOTE):
        st.caption(plain(st.session_state[_PLACE_NOTE]))
    if _PLACE_ERROR in st.session_state:
        st.error(plain(st.session_state[_PLACE_ERROR]), icon=":material/error:")
    _draw_examples(current())


def draw_options(table: EmbeddingTable, has_prototypes: bool) -> None:
    """How many results, which, and what colours mean."""
    st.slider("Results", 1, 100 if current().k <= 100 else MAX_K, **bound("k"))
    st.segmented_control(
        "Colour by", COLOURS, **bound("colour"), required=True, width="stretch",
        disabled=not has_prototypes, format_func=str.capitalize,
        help=None if has_prototypes else "This table has no prototypes yet: run `skyhex prototypes fit`.",
    )  # fmt: skip
    with st.expander("Which results", key="which", icon=":material/tune:"):
        _draw_differing(current())
        _draw_compared(table, current())


def _draw_examples(view: View) -> None:
    """A line for each example: its sign, how often it counts, a way to drop it."""
    listed = [(name, place) for name in SIGNS for place in dict.fromkeys(getattr(view, name))]
    for name, place in listed[:MOST_SHOWN]:
        _draw_example(name, place, weighs=len(listed) > 1)
    if len(listed) > MOST_SHOWN:
        st.caption(f"and {len(listed) - MOST_SHOWN} more")
    if len(listed) > 1:
        st.button(
            "Drop all", on_click=change, kwargs={"like": (), "unlike": ()}, type="tertiary", width="stretch"
        )
        _draw_combined(view)


def _draw_example(name: str, place: str, weighs: bool) -> None:
    with st.container(horizontal=True, wrap=False, vertical_alignment="center", gap="xsmall"):
        called = plain(place_label(place))
        st.button(
            f"{SIGNS[name]} {called}", icon=ICONS[name], key=f"sign {name} {place}", on_click=_turn,
            args=(name, place), help=TURNS[name], width=40,
        )  # fmt: skip
        st.markdown(called, width="stretch")
        if weighs:
            key = f"times {name} {place}"
            st.session_state[key] = getattr(current(), name).count(place)
            st.selectbox(
                f"How often {called} counts", range(1, max(MOST_TIMES, st.session_state[key]) + 1), key=key,
                format_func=lambda count: f"×{count}", label_visibility="collapsed", filter_mode=None,
                on_change=lambda: _set_times(name, place, st.session_state[key]), width=72,
            )  # fmt: skip
        st.button(
            f"Drop {called}", icon=":material/close:", key=f"drop {name} {place}",
            on_click=_set_times, args=(name, place, 0), type="tertiary",
            help=f"Drop this place from the search ({name})",
        )  # fmt: skip


def _draw_combined(view: View) -> None:
    """How several examples make one question."""
    if len(set(view.like or view.unlike)) > 1:
        st.segmented_control(
            "Rows that are like" if view.like else "Rows that are unlike", MATCHES, **bound("match"),
            required=True, format_func=MATCH_LABELS.__getitem__, width="stretch",
            help="Each of them: a row counts for the example that it is least like.",
        )  # fmt: skip
    if view.like and view.unlike:
        st.session_state["negative_weight"] = view.negative_weight
        st.slider(
            "How much − counts beside +", 0.0, max(2.0, view.negative_weight), step=0.1,
            key="negative_weight", on_change=_take_weight,
        )  # fmt: skip


def _draw_differing(view: View) -> None:
    """The opposite of the question, and results that are not all alike or in one place."""
    st.toggle("The least like it first", **bound("invert"))
    st.session_state["per_parent"] = view.per_parent
    st.session_state["parent_res"] = 5 if view.parent_res is None else view.parent_res
    st.number_input(
        "At most so many in one place", 1, MAX_K, key="per_parent", step=1, placeholder="any",
        on_change=_take_parent,
        help="A place is a coarse cell: the best of the whole map, and not all of one field.",
    )  # fmt: skip
    st.selectbox(
        "How large a place is", range(16), key="parent_res", format_func=_across, on_change=_take_parent,
        disabled=view.per_parent is None,
    )  # fmt: skip
    st.session_state["variety"] = 0 if view.relevance is None else round(100 * (1 - view.relevance))
    st.slider(
        "Variety", 0, 100, key="variety", format="%d %%", on_change=_take_variety,
        help="Results unlike each other: from ten candidates for each, likeness to the question weighed "
        "against likeness to those already chosen.",
    )  # fmt: skip


def _draw_compared(table: EmbeddingTable, view: View) -> None:
    """Which vectors, where the table has several."""
    held = [word for word, column in COLUMNS.items() if column in {"embedding", *table.manifest.optional}]
    words = list(dict.fromkeys([*held, view.using, view.against]))
    if len(words) < 2:
        return
    for name, label in (("using", "Examples seen by"), ("against", "Rows seen by")):
        st.selectbox(label, words, **bound(name), format_func=VECTORS.__getitem__)


def _across(resolution: int) -> str:
    """`17 km` for cells of a resolution."""
    km = 2 * h3.average_hexagon_edge_length(resolution, "km")
    return f"{float(f'{km:.2g}'):,g} km" if km >= 1 else f"{float(f'{1000 * km:.2g}'):,g} m"


def _take_place(cells: Cells, on_place: Callable[[Extent | None], None]) -> None:
    text = st.session_state[_PLACE]
    st.session_state.pop(_PLACE_ERROR, None)
    st.session_state.pop(_PLACE_NOTE, None)
    if not text.strip():
        return
    try:
        typed = read_typed(text, cells)
    except QueryError as error:
        st.session_state[_PLACE_ERROR] = f"{error}."
        return
    st.session_state[_PLACE_NOTE] = typed.note
    if typed.place:
        look_for(typed.place)
    else:
        change(tab="map")
    on_place(typed.extent)


def _take_parent() -> None:
    most = st.session_state["per_parent"]
    resolution = st.session_state["parent_res"]
    change(per_parent=most, parent_res=None if most is None or resolution == 5 else resolution)


def _take_variety() -> None:
    percent = st.session_state["variety"]
    change(relevance=None if percent == 0 else round(1 - percent / 100, 2))


def _take_weight() -> None:
    change(negative_weight=round(st.session_state["negative_weight"], 1))


def _turn(name: str, place: str) -> None:
    """What was looked for is kept away from, or the other way round."""
    view, other = current(), OPPOSITE[name]
    times = getattr(view, name).count(place)
    change(
        **{
            name: with_times(getattr(view, name), place, 0),
            other: with_times(getattr(view, other), place, times),
        }
    )


def _set_times(name: str, place: str, times: int) -> None:
    change(**{name: with_times(getattr(current(), name), place, times)})
