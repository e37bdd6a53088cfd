"""Join the road's two halves: a plan's samples through the encoder into the table, in resumable chunks.

A chunk of samples is one commit. Its key is a digest of everything it is made from, and the table remembers
the keys it holds, so a job that was killed goes on where it stopped.
"""

import hashlib
import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol

from data.cover import Plan, SampleTask, Skip
from data.reader import read_sample
from data.sample import InputError, Sample, SampleSpec
from encoder.embed import Encoder
from indexer.errors import TableError
from indexer.manifest import snapshot_numbers
from indexer.schema import ModelInfo
from indexer.storage import Storage
from indexer.table import EmbeddingTable

from .rows import model_info, rows_of

CHUNK_MIN, CHUNK_MAX = 64, 256  # samples per commit
BATCH = 32  # samples handed to the encoder at once
READ_AHEAD = 2 * BATCH  # decoded samples that wait, at most: bounds memory
SKIPPED_FILE = "skipped.json"


class Progress(Protocol):
    """Told after each sample how many of how many are done."""

    def __call__(self, done: int, total: int, /) -> None: ...


@dataclass(frozen=True)
class EmbedReport:
    """What a job did."""

    table: EmbeddingTable
    embedded: int  # samples that this run turned into rows
    already: int  # samples that an earlier run had committed
    skipped: tuple[Skip, ...]  # of the whole plan, earlier runs included
    dropped: tuple[
        tuple[str, str], ...
    ] = ()  # (modality, reason) of each sensor left out of a sample of this run


def embed_plan(
    plan: Plan,
    encoder: Encoder,
    path: Path,
    *,
    h3_resolution: int,
    simulated: bool = False,
    workers: int = 1,
    progress: Progress | None = None,
) -> EmbedReport:
    """Embed every task of `plan` that the table does not hold yet; commit chunk by chunk.

    Args:
        workers: processes that decode rasters while the encoder works; 0 decodes in this one.

    Raises:
        TableError: the table holds another model or another H3 resolution.
        InputError: a decoding process died.
    """
    model = model_info(encoder)
    table = open_or_create(path, model, h3_resolution=h3_resolution, simulated=simulated)
    chunks = [(chunk_key(chunk, model), chunk) for chunk in chunks_of(plan.tasks)]
    todo = [(key, chunk) for key, chunk in chunks if key not in table.input_keys]
    total = len(plan.tasks)
    already = done = total - sum(len(chunk) for _, chunk in todo)
    finished = {task.sample_id for key, chunk in chunks if key in table.input_keys for task in chunk}
    skipped = {skip.sample_id: skip for skip in plan.skipped}
    skipped |= {s.sample_id: s for s in _read_skips(path) if s.sample_id in finished}
    dropped: list[tuple[str, str]] = []
    embedded = 0
    with _decoder(workers) as decode:
        results = decode([task for _, chunk in todo for task in chunk], encoder.spec)
        for key, chunk in todo:
            batches = []
            for size in _batch_sizes(len(chunk)):
                read = [next(results) for _ in range(size)]
                samples = [item for item in read if isinstance(item, Sample)]
                skipped |= {item.sample_id: item for item in read if isinstance(item, Skip)}
                dropped += [entry for sample in samples for entry in sample.dropped]
                if samples:
                    batches.append(rows_of(samples, encoder.embed(samples), model))
                    embedded += len(samples)
                done += size
                if progress:
                    progress(done, total)
            _write_skips(path, skipped.values())
            table = table.upsert(batches, input_key=key)
    _write_skips(path, skipped.values())
    return EmbedReport(table, embedded, already, tuple(skipped.values()), tuple(dropped))


def open_or_create(path: Path, model: ModelInfo, *, h3_resolution: int, simulated: bool) -> EmbeddingTable:
    """The table at `path`, made if there is none.

    Raises:
        TableError: the table there holds another model or another H3 resolution.
    """
    if not snapshot_numbers(Storage(path, create=True)):
        return EmbeddingTable.create(path, model, h3_resolution=h3_resolution, simulated=simulated)
    table = EmbeddingTable.open(path)
    if table.model.digest != model.digest:
        raise TableError(
            f"{path} holds vectors of {table.model}, this run would add those of {model}: they cannot be "
            "compared. Name another table with -t, or the table's weights with --weights."
        )
    if table.h3_resolution != h3_resolution:
        raise TableError(
            f"{path} holds cells of H3 resolution {table.h3_resolution}, this run asks for {h3_resolution}. "
            f"Name another table with -t, or add --h3-res {table.h3_resolution}."
        )
    return table


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


def _batch_sizes(n: int) -> list[int]:
    return [min(BATCH, n - start) for start in range(0, n, BATCH)]


class _Decode(Protocol):
    def __call__(self, tasks: Sequence[SampleTask], spec: SampleSpec, /) -> Iterator[Sample | Skip]: ...


@contextmanager
def _decoder(workers: int) -> Iterator[_Decode]:
    """Yield a function that decodes tasks in order, in worker processes that stay `READ_AHEAD` ahead."""
    if workers == 0:
        yield lambda tasks, spec: (read_sample(task, spec) for task in tasks)
        return
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))

    def decode(tasks: Sequence[SampleTask], spec: SampleSpec) -> Iterator[Sample | Skip]:
        waiting: deque[Future[Sample | Skip]] = deque()
        for task in tasks:
            waiting.append(pool.submit(read_sample, task, spec))
            if len(waiting) > READ_AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    try:
        yield decode
    except BrokenProcessPool as error:
        raise InputError(
            "A process that decodes rasters died, most likely for want of memory. What was committed is "
            "safe: run the same command again, with --workers 0 to see which raster it is."
        ) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _read_skips(path: Path) -> list[Skip]:
    file = path / SKIPPED_FILE
    if not file.exists():
        return []
    return [
        Skip(entry["sample_id"], entry["reason"]) for entry in json.loads(file.read_text(encoding="utf-8"))
    ]


def _write_skips(path: Path, skips: Iterable[Skip]) -> None:
    entries = [{"sample_id": skip.sample_id, "reason": skip.reason} for skip in skips]
    file = path / SKIPPED_FILE
    part = file.with_suffix(".part")
    part.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
    part.replace(file)
