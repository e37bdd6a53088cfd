"""What an encoder's actor does: it keeps the model, and makes rows of the pieces of a batch."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import pyarrow as pa

from encoder.protocol import AnyEncoder
from indexer.table.row_stream import packed, unpacked

from ..batch import Made, Recipe, make
from .decode import Piece
from .sample_arrow import from_arrow


@dataclass(frozen=True)
class Sent:
    """A `Made` as it travels."""

    made: Made  # without rows
    rows: tuple[pa.Buffer | None, ...]  # Arrow streams
    read_bytes: int  # of the samples that it was made of

    @staticmethod
    def of(made: Made, read_bytes: int) -> "Sent":
        rows = tuple(None if table is None else packed(table) for table in made.rows)
        return Sent(replace(made, rows=()), rows, read_bytes)

    def received(self) -> Made:
        """The whole."""
        rows = tuple(None if stream is None else unpacked(stream) for stream in self.rows)
        return replace(self.made, rows=rows)


class EncoderActor:
    """An encoder in a process of its own."""

    encoder: AnyEncoder
    free_since: float  # of `perf_counter`

    def load(self, make_encoder: Callable[[], AnyEncoder]) -> str:
        """Load the weights; their digest."""
        self.encoder = make_encoder()
        self.free_since = time.perf_counter()
        return self.encoder.info.digest

    def embed(self, recipe: Recipe, *pieces: Piece) -> Sent:
        """The rows of a batch that was read in pieces."""
        waited = time.perf_counter() - self.free_since
        samples = [sample for piece in pieces for sample in from_arrow(piece.samples)]
        left_out = [item for piece in pieces for item in piece.left_out]
        made = make(self.encoder, recipe, [*samples, *left_out], waited)
        self.free_since = time.perf_counter()
        return Sent.of(made, sum(piece.samples.size for piece in pieces))
