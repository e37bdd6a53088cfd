"""Chips and texts that came with a question: the contents of GeoTIFFs as base64, and words."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass

from indexer.errors import QueryError
from indexer.search.query import Vector
from indexer.table.embedding_table import EmbeddingTable
from pipeline.examples import chip_contents, text_examples


@dataclass(frozen=True)
class Embedder:
    """Makes vectors of a table's kind, with the weights that the server was started with."""

    table: EmbeddingTable
    weights: str

    def chips(self, contents: Sequence[str], using: str) -> list[Vector]:
        """The vector of each chip. Raises QueryError."""
        chips = {f"chip-{n}": _decoded(f"chip-{n}", text) for n, text in enumerate(contents, 1)}
        return chip_contents(self.table, chips, using=using, weights=self.weights, code=False)

    def texts(self, texts: Sequence[str]) -> list[Vector]:
        """The vector of each text. Raises QueryError: the table's encoder knows no words."""
        return text_examples(self.table, texts, weights=self.weights, code=False)


def _decoded(name: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise QueryError(f"{name} is not base64 ({error}): expected the content of a GeoTIFF") from error
