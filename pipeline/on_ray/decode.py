"""What a decoding task does, in a process that knows no torch."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from data.cover import SampleTask, Skip
from data.reader import Unfinished, read_visit, visits
from data.sample import Sample, SampleSpec

from .sample_arrow import to_arrow


@dataclass(frozen=True)
class Piece:
    """What was read of a few tasks."""

    samples: pa.Buffer  # see `sample_arrow`
    left_out: tuple[Skip | Unfinished, ...]


def read_piece(tasks: Sequence[SampleTask], spec: SampleSpec) -> Piece:
    """Read tasks. Hosts that do not answer are asked again inside; what stays silent is `Unfinished`."""
    read = [item for visit in visits(tasks) for item in read_visit(visit, spec)]
    samples = [item for item in read if isinstance(item, Sample)]
    return Piece(to_arrow(samples), tuple(item for item in read if not isinstance(item, Sample)))


def unread(tasks: Sequence[SampleTask], reason: str) -> Piece:
    """A piece of which nothing could be read."""
    return Piece(to_arrow([]), tuple(Unfinished(task.sample_id, reason) for task in tasks))
