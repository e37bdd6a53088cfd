"""A batch of samples becomes rows: what every engine does with one, wherever it runs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from data.cover import SampleTask, Skip
from data.reader import Unfinished
from data.sample import Sample, SampleSpec
from encoder.embed import EmbeddingBatch
from encoder.protocol import AnyEncoder
from indexer.table.manifest import Imagery

from .rows import with_direction

BATCH = 32  # samples handed to the encoder at once

RowsOf = Callable[[Sequence[Sample], EmbeddingBatch], pa.Table | None]


@dataclass(frozen=True)
class Recipe:
    """What samples are read to, and how each table's rows are made of them. Can be pickled."""

    spec: SampleSpec
    rows: tuple[RowsOf, ...]  # one a table; more than one ask for dense vectors


@dataclass(frozen=True)
class Made:
    """What became of a batch of tasks."""

    rows: tuple[pa.Table | None, ...]  # one a table
    embedded: int = 0  # samples
    skips: tuple[Skip, ...] = ()
    unfinished: tuple[Unfinished, ...] = ()
    dropped: tuple[tuple[str, str], ...] = ()  # (modality, reason) of each sensor left out of a sample
    notes: tuple[tuple[str, str], ...] = ()  # (modality, what its values decided) of each sample
    imagery: frozenset[Imagery] = frozenset()
    seconds_waited: float = 0.0  # by the encoder, for these pixels


class Engine(Protocol):
    """Whoever reads and embeds: here, or on other machines."""

    def __call__(self, batches: Sequence[Sequence[SampleTask]], recipe: Recipe, /) -> Iterator[Made]:
        """What became of each batch, in order."""
        ...


def make(
    encoder: AnyEncoder, recipe: Recipe, read: Sequence[Sample | Skip | Unfinished], seconds_waited: float
) -> Made:
    """Embed what was read of a batch."""
    samples = [item for item in read if isinstance(item, Sample)]
    skips = [item for item in read if isinstance(item, Skip)]
    seen = samples
    rows: tuple[pa.Table | None, ...] = (None,) * len(recipe.rows)
    if samples:
        embedded = encoder.embed(samples, dense=len(recipe.rows) > 1)
        seen, embedded, blind = with_direction(samples, embedded)
        skips += blind
        if seen:
            rows = tuple(rows_of(seen, embedded) for rows_of in recipe.rows)
    return Made(
        rows,
        len(seen),
        tuple(skips),
        tuple(item for item in read if isinstance(item, Unfinished)),
        tuple(entry for sample in samples for entry in sample.dropped),
        tuple(entry for sample in samples for entry in sample.notes),
        frozenset(Imagery(**vars(source)) for sample in samples for source in sample.imagery),
        seconds_waited,
    )
