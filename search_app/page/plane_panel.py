"""The projection tab: the map beside its rows in a plane, and what is picked in either."""

import pyarrow as pa
import streamlit as st

from indexer.errors import QueryError
from indexer.overview.projection import METHODS
from indexer.table.embedding_table import EmbeddingTable

from .allowed import draw_permission
from .as_code import draw_code
from .cached import read_kinds
from .map_component import Marks, PlaneScene, Scene, mount_map, mount_plane
from .map_panel import draw_focus, looks, outlines, question_address, take
from .plain import plain
from .plane import picked_rows, places_of, read_drawn, typical_first
from .results import PICTURE_PX, draw_downloads, picture, quicklook_folder, row_keys, rows_by_key, subjects
from .session import bound, can_undo, change, current
from .shapes import WITHIN, is_plane
from .url_state import View

LINK = "plane"  # of the map and the plane
TITLES = {"pca": "PCA", "pacmap": "PaCMAP"}
SHOWN = 6  # pictures of what is picked


def draw_plane(table: EmbeddingTable) -> None:
    """The whole tab."""
    view = current()
    left, right = st.columns(2, gap="small")
    with left:
        _draw_map(table, view)
    with right:
        drawn = read_drawn(table)
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.segmented_control(
                "Laid out by", METHODS, **bound("plane"), required=True, format_func=TITLES.__getitem__,
                label_visibility="collapsed",
                help="PCA has the two directions in which rows differ most. PaCMAP keeps neighbours "
                "together; its axes and the sizes of its gaps mean nothing.",
            )  # fmt: skip
            of = "all" if len(drawn.keys) == drawn.of_rows else f"{len(drawn.keys):,} of"
            st.caption(f"{of} {drawn.of_rows:,} rows{'' if of == 'all' else ', drawn at random'}")
        try:
            places_of(table, view.plane)
        except QueryError as error:
            st.error(plain(f"{error}."), icon=":material/error:")
            return
        mount_plane(PlaneScene(table.snapshot, view.plane, LINK, view.picked), "plane of rows", take)
    if view.picked:
        _draw_picked(table, view)
    else:
        st.caption("Take the lasso (S) on either side: what it holds is picked on both.")
    draw_code("project", table, {"method": view.plane})


def _draw_map(table: EmbeddingTable, view: View) -> None:
    kinds = read_kinds(table)
    limits = outlines(view) + ([] if is_plane(view.picked) else [view.picked.removeprefix(WITHIN)])
    scene = Scene(
        snapshot=table.snapshot,
        question=question_address(view),
        marks=Marks(),
        home=draw_focus(table),
        look=looks(),
        colour=view.colour,
        kinds=kinds.labels if kinds else [],
        canUndo=can_undo(),
        outlines=[shape for shape in limits if shape],
        link=LINK,
        picks=True,
        picked=view.picked,
    )
    mount_map(scene, "map beside the plane", take)


def _draw_picked(table: EmbeddingTable, view: View) -> None:
    """What the rows in the shape look like, and what to do with them."""
    try:
        rows = picked_rows(table, view.picked, view.plane)
    except QueryError as error:
        st.error(plain(f"{error}."), icon=":material/error:")
        return
    cells = len(rows["h3_cell"].unique())
    st.markdown(f"##### {rows.num_rows:,} rows of {cells:,} cells picked")
    with st.container(horizontal=True, gap="small"):
        none = not rows.num_rows
        st.button(
            "Like all of these", type="primary", disabled=none, on_click=_ask, args=(view.picked, False)
        )
        st.button("Not like these", disabled=none, on_click=_ask, args=(view.picked, True))
        draw_downloads(rows, "picked")
        st.button("Drop", type="tertiary", on_click=change, kwargs={"picked": ""})
    if rows.num_rows:
        _draw_pictures(table, view.picked)


def _ask(shape: str, unlike: bool) -> None:
    change(**{"like": () if unlike else (shape,), "unlike": (shape,) if unlike else (), "tab": "map"})


def _draw_pictures(table: EmbeddingTable, shape: str) -> None:
    numbers = typical_first(table, shape)[:SHOWN]
    keys = read_drawn(table).keys.take(pa.array(numbers))
    pictured = subjects(table, rows_by_key(table, row_keys(keys)))
    st.caption("Most like their mean")
    for column, subject in zip(st.columns(SHOWN, gap="xsmall", wrap=False), pictured, strict=False):
        shown = picture(subject, quicklook_folder(table), "", PICTURE_PX)
        column.image(shown.png, width="stretch", alt=shown.caption)
    draw_permission(table, pictured)
