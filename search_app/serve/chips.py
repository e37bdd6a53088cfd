"""Chips that came with a question: the contents of GeoTIFFs as base64."""

import base64
import binascii
from collections.abc import Sequence

from indexer.errors import QueryError
from indexer.search.query import Vector
from indexer.table.embedding_table import EmbeddingTable
from pipeline.examples import chip_contents


def examples_of(table: EmbeddingTable, contents: Sequence[str], using: str, weights: str) -> list[Vector]:
    """The vector of each chip. Raises QueryError."""
    chips = {f"chip-{n}": _decoded(f"chip-{n}", text) for n, text in enumerate(contents, 1)}
    return chip_contents(table, chips, using=using, weights=weights, code=False)


def _decoded(name: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise QueryError(f"{name} is not base64 ({error}): expected the content of a GeoTIFF") from error
