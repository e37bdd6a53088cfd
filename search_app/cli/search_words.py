"""What people type after `skyhex search` to look like, read: `8.54,47.37`, files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from indexer.errors import QueryError
from indexer.search.query import Example
from indexer.search.words import examples_of
from indexer.table.embedding_table import EmbeddingTable
from pipeline.examples import chip_examples, read_vector, text_examples


@dataclass(frozen=True)
class Examples:
    """What a person gave to look like, or not to look like."""

    cells: Sequence[str] | None = None
    lonlats: Sequence[str] | None = None  # "LON,LAT"
    chips: Sequence[Path] | None = None
    vectors: Sequence[Path] | None = None
    texts: Sequence[str] | None = None

    def __bool__(self) -> bool:
        return any((self.cells, self.lonlats, self.chips, self.vectors, self.texts))

    def read(self, table: EmbeddingTable, using: str, weights: str) -> tuple[Example, ...]:
        """The examples; chips and texts go through the encoder.

        Raises:
            QueryError: a name, a place or a file that cannot be read; a table of another model.
            InputError: a chip that cannot be embedded.
        """
        vectors = [read_vector(path).reshape(-1) for path in self.vectors or ()]
        return (
            *examples_of(cell=self.cells, lonlat=[lonlat(text) for text in self.lonlats or ()] or None),
            *chip_examples(table, self.chips or (), using=using, weights=weights),
            *text_examples(table, self.texts or (), weights=weights),
            *(one for vector in vectors for one in examples_of(vector=vector)),
        )


def lonlat(text: str) -> tuple[float, float]:
    """`8.54,47.37` in degrees. Raises `QueryError`."""
    try:
        lon, lat = (float(number) for number in text.split(","))
    except ValueError:
        raise QueryError(f"the place came as {text!r}; expected LON LAT in degrees") from None
    return lon, lat
