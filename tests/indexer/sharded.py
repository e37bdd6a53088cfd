"""A table whose index is cut into shards, questions to it, and a shard that is no longer what was written."""

from pathlib import Path

import numpy as np

from indexer.index import segment_files
from indexer.index.faiss_index import build_index, open_index
from indexer.search.query import Query, Vector
from indexer.search.search import Hits
from indexer.table.embedding_table import EmbeddingTable

from .random_rows import MODEL
from .small_tables import place_table

QUERIES = [Query((Vector(np.random.default_rng(i).normal(size=MODEL.dimension)),)) for i in range(5)]


def sharded_table(path: Path, n: int = 600, shards: int = 4) -> EmbeddingTable:
    """A table of n places, indexed."""
    made = place_table(path, n=n)
    build_index(made, shards=shards)
    return made


def damage_a_shard(table: EmbeddingTable) -> None:
    """Turn a bit of the first shard's vectors."""
    index, _ = open_index(table)
    assert index is not None
    path = index.segments[0].folder / "embedding.bin"
    content = bytearray(path.read_bytes())
    content[5] ^= 0x10
    path.write_bytes(content)
    segment_files.open_segment.cache_clear()


def same(some: Hits, others: Hits) -> bool:
    """The same answer, found in the same way."""
    return some.rows == others.rows and some.plan == others.plan and some.notes == others.notes
