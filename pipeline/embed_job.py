"""Join the road's two halves: a plan's samples through the encoder into the table, in resumable chunks.

A chunk of samples is one commit. Its key is a digest of everything it is made from, and the table remembers
the keys it holds, so a job that was killed goes on where it stopped.
"""

import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Protocol

from data.cover import Plan, SampleTask, Skip
from data.reader import Unfinished
from data.sample import InputError
from encoder.protocol import AnyEncoder
from indexer.table.bucket_access import is_address
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import ModelInfo, Values

from .batch import BATCH, Engine, Made, Recipe, RowsOf
from .decoder import local_engine
from .rows import model_info, piece_rows_of, rows_of
from .skips import keep_skips, settle_skips

CHUNK_MIN, CHUNK_MAX = 64, 256  # samples per commit


class Progress(Protocol):
    """Told after each sample how many of how many are done."""

    def __call__(self, done: int, total: int, /) -> None: ...


@dataclass(frozen=True)
class EmbedReport:
    """What a job did."""

    table: EmbeddingTable
    embedded: int  # samples that this run turned into rows
    already: int  # samples that an earlier run had committed
    skipped: tuple[Skip, ...]  # places of which the table holds nothing, earlier runs included
    unfinished: tuple[Unfinished, ...]  # samples that could not be read now; the same job tries them again
    dropped: tuple[tuple[str, str], ...]  # (modality, reason) of each sensor left out of a sample of this run
    notes: tuple[tuple[str, str], ...]  # (modality, what its values decided) of each sample of this run
    seconds: float  # from the first sample asked for to the last row committed
    seconds_waited: float  # of these, the encoder waited for pixels


@dataclass
class _Target:
    """A table that the job fills, and how a batch becomes its rows."""

    table: EmbeddingTable
    rows: RowsOf


@dataclass(frozen=True)
class Share:
    """Every `of`-th chunk of a plan, from one of the first on: what one of several jobs does."""

    number: int = 1  # 1 to `of`
    of: int = 1

    @staticmethod
    def parse(text: str) -> "Share":
        """From `3/16`. Raises InputError."""
        number, slash, of = text.partition("/")
        if not (slash and number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
            raise InputError(f"--chunks {text!r}: expected I/N, such as 3/16, with I from 1 to N")
        return Share(int(number), int(of))

    def pick(self, chunks: Iterable[tuple[SampleTask, ...]]) -> Iterator[tuple[SampleTask, ...]]:
        """The chunks of this share."""
        return islice(chunks, self.number - 1, None, self.of)


def embed_plan(
    plan: Plan,
    encoder: AnyEncoder,
    path: str | Path,
    *,
    h3_resolution: int,
    granularity: int | None = None,
    simulated: bool = False,
    values: Values | None = None,
    workers: int = 1,
    share: Share = Share(),
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> EmbedReport:
    """Embed every task of `plan` that the table does not hold yet; commit chunk by chunk.

    A chunk with a sample that could not be read now, because a host did not answer, is committed without its
    key: the same job reads it again.

    Args:
        granularity: H3 resolution of a second table, `finer_path(path, granularity)`, with a row per finer
            cell from the same forward pass.
        values: how new tables keep vectors, float16 by default.
        workers: processes that decode rasters while the encoder works; 0 decodes in this one.
        share: of the plan's chunks, where several jobs fill one table; each commits what it would alone.
        engine: who reads and embeds in place of `encoder` and `workers`, with an encoder of the same weights.

    Raises:
        TableError: the table holds another model or another H3 resolution.
        InputError: a decoding process died, or `granularity` is finer than the model's grid.
    """
    model = model_info(encoder)
    begin = partial(EmbeddingTable.open_or_create, model=model, simulated=simulated, values=values)
    table = begin(path, h3_resolution=h3_resolution)
    targets = [_Target(table, partial(rows_of, model=model, values=table.values))]
    if granularity is not None:
        finer = begin(finer_path(path, granularity), h3_resolution=granularity)
        cell_m = encoder.spec.cell_m
        pieces = partial(
            piece_rows_of, model=model, resolution=granularity, cell_m=cell_m, values=finer.values
        )
        targets.append(_Target(finer, pieces))
    chunks = [(chunk_key(chunk, model), chunk) for chunk in share.pick(chunks_of(plan.tasks))]
    names = [task.sample_id for _, chunk in chunks for task in chunk]
    todo = [(key, chunk) for key, chunk in chunks if any(key not in t.table.input_keys for t in targets)]
    already = len(names) - sum(len(chunk) for _, chunk in todo)
    keep_skips(table, plan.skipped)
    run = _Run(already, len(names), progress)
    recipe = Recipe(encoder.spec, tuple(target.rows for target in targets))
    began = time.perf_counter()
    with nullcontext(engine) if engine else local_engine(encoder, workers) as work:
        made = work([batch for _, chunk in todo for batch in _batches(chunk)], recipe)
        for key, chunk in todo:
            _commit(targets, key, [run.add(next(made)) for _ in _batches(chunk)])
    seconds = time.perf_counter() - began
    tried = {left.sample_id for left in run.unfinished}
    skipped = settle_skips(targets[0].table, [name for name in names if name not in tried])
    return EmbedReport(
        targets[0].table,
        run.embedded,
        already,
        tuple(skipped),
        tuple(run.unfinished),
        tuple(run.dropped),
        tuple(run.notes),
        seconds,
        run.seconds_waited,
    )


@dataclass
class _Run:
    """What a run has done so far."""

    done: int  # samples, those of earlier runs included
    total: int
    progress: Progress | None
    embedded: int = 0
    unfinished: list[Unfinished] = field(default_factory=list)
    dropped: list[tuple[str, str]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    seconds_waited: float = 0.0

    def add(self, made: Made) -> Made:
        """A batch that is done."""
        self.unfinished += made.unfinished
        self.dropped += made.dropped
        self.notes += made.notes
        self.embedded += made.embedded
        self.seconds_waited += made.seconds_waited
        self.done += len(made.skips) + len(made.unfinished) + made.embedded
        if self.progress:
            self.progress(self.done, self.total)
        return made


def _commit(targets: Sequence[_Target], key: str, batches: Sequence[Made]) -> None:
    """Commit a chunk to each table."""
    keep_skips(targets[0].table, [skip for made in batches for skip in made.skips])
    is_whole = not any(made.unfinished for made in batches)
    imagery = {source for made in batches for source in made.imagery}
    for i, target in enumerate(targets):
        rows = [new for made in batches if (new := made.rows[i]) is not None]
        if rows or is_whole:
            target.table = target.table.upsert(rows, input_key=key if is_whole else None, imagery=imagery)


def finer_path(path: str | Path, resolution: int) -> str:
    """Where the finer table lies: beside the first, so that a search never mixes them."""
    if is_address(path):
        return f"{str(path).rstrip('/')}-r{resolution}"
    return str(Path(path).with_name(f"{Path(path).resolve().name}-r{resolution}"))


def chunks_of(tasks: Sequence[SampleTask]) -> Iterator[tuple[SampleTask, ...]]:
    """Cut tasks into chunks at places that depend on the tasks alone.

    So when a later catalog adds a place, only the chunk around it changes its key.
    """
    chunk: list[SampleTask] = []
    for task in tasks:
        chunk.append(task)
        boundary = int(hashlib.sha256(task.sample_id.encode()).hexdigest()[:4], 16) % CHUNK_MIN == 0
        if len(chunk) == CHUNK_MAX or (len(chunk) >= CHUNK_MIN and boundary):
            yield tuple(chunk)
            chunk = []
    if chunk:
        yield tuple(chunk)


def chunk_key(chunk: Sequence[SampleTask], model: ModelInfo) -> str:
    """Digest of a chunk's inputs and of the weights."""
    text = "\n".join([model.digest, *(task.key for task in chunk)])
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _batches(chunk: Sequence[SampleTask]) -> list[Sequence[SampleTask]]:
    return [chunk[start : start + BATCH] for start in range(0, len(chunk), BATCH)]
