"""The prototypes tab in three parts: what regions are made of, clusters of the whole, what is rare."""

import streamlit as st

from indexer.table.embedding_table import EmbeddingTable

from .cluster_panel import draw_clusters
from .outlier_panel import draw_outliers
from .prototype_panel import draw_prototypes
from .session import change, current

PARTS = {"prototypes": draw_prototypes, "clusters": draw_clusters, "outliers": draw_outliers}


def draw_makeup(table: EmbeddingTable) -> None:
    """The part that is chosen."""
    st.session_state["part"] = current().part
    st.segmented_control(
        "Part", list(PARTS), key="part", required=True, format_func=str.capitalize,
        label_visibility="collapsed", on_change=lambda: change(part=st.session_state["part"]),
    )  # fmt: skip
    PARTS[current().part](table)
