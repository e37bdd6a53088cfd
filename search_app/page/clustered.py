"""The clusters of a table's rows, for the page and for its map."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import streamlit as st

from indexer.errors import QueryError
from indexer.overview.clusters import fit_clusters, sizes_of, typical_of
from indexer.table.embedding_table import EmbeddingTable

from .cached import BY_SNAPSHOT, read_cells, read_vectors
from .colours import KINDS
from .map_bytes import kind_codes
from .plane import read_drawn

MOST_CLUSTERS = len(KINDS)  # that colours tell apart


@dataclass(frozen=True)
class Clustered:
    """Clusters of a snapshot, that of the most drawn rows first."""

    cluster: np.ndarray  # (n,) int64 of each row in order of key, -1 = none
    sizes: np.ndarray  # (c,) rows of each
    typical: pa.Table  # (c,) the keys of the row nearest each centre, of those that were drawn


@st.cache_resource(max_entries=4, show_spinner="Grouping the rows", hash_funcs=BY_SNAPSHOT)
def read_clusters(table: EmbeddingTable, count: int) -> Clustered:
    """Fitted to the rows that were drawn, told for all. Raises `QueryError`."""
    drawn, vectors = read_drawn(table), read_vectors(table)
    clusters = fit_clusters(drawn.vectors, count)
    cluster = clusters.of_table(table) if vectors is None else clusters.of(vectors.matrix.whole())
    return Clustered(cluster, sizes_of(cluster, count), typical_of(drawn.keys, drawn.vectors, clusters))


def cluster_codes(table: EmbeddingTable, text: str) -> bytes:
    """A byte a cell: the commonest cluster of its rows, of as many as `text` says. Raises `QueryError`."""
    if not (text.isdecimal() and 2 <= int(text) <= MOST_CLUSTERS):
        raise QueryError(f"clusters={text!r}: expected a number from 2 to {MOST_CLUSTERS}")
    return kind_codes(read_cells(table).commonest(read_clusters(table, int(text)).cluster)).tobytes()
