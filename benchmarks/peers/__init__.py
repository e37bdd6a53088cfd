"""What search is measured on: ours and others', each used as its documentation shows."""

from .base import Peer
from .duckdb_scan import DuckDbScan
from .faiss_indexes import FaissFlat, FaissHnsw, FaissIvf
from .hnswlib_graph import HnswlibGraph
from .lancedb_table import LanceDbTable
from .skyhex_search import SkyhexIndex, SkyhexSearch
from .usearch_graph import UsearchGraph

PEERS: dict[str, type[Peer]] = {
    "skyhex": SkyhexIndex,
    "skyhex-search": SkyhexSearch,
    "faiss-flat": FaissFlat,
    "faiss-ivf": FaissIvf,
    "faiss-hnsw": FaissHnsw,
    "hnswlib": HnswlibGraph,
    "usearch": UsearchGraph,
    "lancedb": LanceDbTable,
    "duckdb": DuckDbScan,
}

__all__ = ["PEERS", "Peer"]
