"""The prototypes tab in three parts: what regions are made of, clusters of the whole, what is rare."""

import streamlit as st

from indexer.table.embedding_table import EmbeddingTable

from .cluster_panel import draw_clusters
from .outlier_panel import draw_outliers
from .prototype_panel import draw_prototypes
from .session import bound, current

PARTS = {"prototypes": draw_prototypes, "clusters": draw_clusters, "outliers": draw_outliers}


def draw_makeup(table: EmbeddingTable) -> None:
    """The part that is chosen."""
    st.segmented_control(
        "Part", list(PARTS), **bound("part"), required=True, format_func=str.capitalize,
        label_visibility="collapsed",
    )  # fmt: skip
    PARTS[current().part](table)
