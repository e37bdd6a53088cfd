"""Clusters: groups of alike rows over the whole table, where they lie and what each looks like."""

import pandas as pd
import streamlit as st

from indexer.geo.cells import cells_to_text
from indexer.table.embedding_table import EmbeddingTable

from .allowed import draw_permission
from .as_code import draw_code
from .clustered import MOST_CLUSTERS, Clustered, read_clusters
from .kinds import kind_name
from .map_component import Marks, Scene, mount_map
from .map_panel import draw_focus, looks
from .plain import plain
from .plane import read_drawn
from .prototype_panel import kind_style, share_column
from .results import (
    PICTURE_PX,
    draw_list,
    picture,
    quicklook_folder,
    row_keys,
    rows_by_key,
    subjects,
    thumbnails,
)
from .session import bound, current, look_for

LEAST_ROWS = 3


def draw_clusters(table: EmbeddingTable) -> None:
    """The clusters beside their map."""
    drawn = read_drawn(table)
    if len(drawn.keys) < LEAST_ROWS:
        st.info(f"Clusters are made of {LEAST_ROWS} rows or more.", icon=":material/category:")
        return
    most = min(MOST_CLUSTERS, len(drawn.keys) - 1)
    count = min(current().clusters, most)
    left, right = st.columns([9, 11], gap="medium")
    with left:
        st.slider("Clusters", 2, most, **bound("clusters", count), disabled=most == 2)
        clustered = read_clusters(table, count)
        _draw_list(table, clustered)
        of = "all rows" if len(drawn.keys) == drawn.of_rows else f"{len(drawn.keys):,} rows drawn at random"
        st.caption(
            f"Spherical k-means of {of}, of this snapshot alone: after the next commit a letter means "
            "another group. Prototypes are what is followed through snapshots and compared between regions."
        )
        draw_code("cluster", table, {"count": count})
    with right:
        _draw_map(table, clustered)


def cluster_frame(clustered: Clustered, pictures: list[str]) -> pd.DataFrame:
    """One line per cluster, with a picture of the row nearest its centre."""
    return pd.DataFrame(
        {
            "picture": pictures,
            "cluster": [kind_name(number) for number in range(len(clustered.sizes))],
            "share": clustered.sizes / max(clustered.sizes.sum(), 1),
            "rows": clustered.sizes,
            "example": cells_to_text(clustered.typical["h3_cell"].to_numpy()),
        }
    )


def _draw_list(table: EmbeddingTable, clustered: Clustered) -> None:
    pictured = subjects(table, rows_by_key(table, row_keys(clustered.typical)))
    frame = cluster_frame(clustered, thumbnails(pictured, quicklook_folder(table)))
    event = draw_list(
        frame.style.map(kind_style, subset=["cluster"]),
        f"cluster list of {len(frame)}",
        "rerun",
        38 + 64 * len(frame),
        cluster=st.column_config.TextColumn("cluster", width=60),
        share=share_column("share of the table", frame),
        rows=st.column_config.NumberColumn("rows", width=60),
        example=st.column_config.TextColumn("most typical", width=150),
    )
    draw_permission(table, pictured)
    if event.selection.rows:
        number = event.selection.rows[0]
        shown = picture(pictured[number], quicklook_folder(table), "", PICTURE_PX)
        st.image(shown.png, caption=plain(shown.caption), width=PICTURE_PX)
        st.button(
            "Search like its most typical row", type="primary", icon=":material/search:", on_click=look_for,
            args=(frame["example"][number],),
        )  # fmt: skip


def _draw_map(table: EmbeddingTable, clustered: Clustered) -> None:
    share = clustered.sizes / max(clustered.sizes.sum(), 1)
    scene = Scene(
        snapshot=table.snapshot,
        question="",
        marks=Marks(),
        home=draw_focus(table),
        look=looks(),
        colour="prototype",
        layer=f"clusters={len(clustered.sizes)}",
        kinds=[f"{kind_name(number)[-1]} {part:.0%}" for number, part in enumerate(share.tolist())],
        asks=False,
    )
    mount_map(scene, "cluster map", lambda ask: None)
