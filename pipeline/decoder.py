"""The engine of this machine: worker processes decode rasters ahead of the encoder, with bounded memory."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context
from typing import Protocol

from data.cover import SampleTask, Skip
from data.reader import Unfinished, read_visit, visits
from data.sample import InputError, Sample, SampleSpec
from encoder.protocol import AnyEncoder

from .batch import Engine, Made, Recipe, make

READ_AHEAD = 64  # decoded samples that wait, at most


Read = Sample | Skip | Unfinished


class Decode(Protocol):
    def __call__(self, tasks: Sequence[SampleTask], spec: SampleSpec, /) -> Iterator[Read]: ...


@contextmanager
def local_engine(encoder: AnyEncoder, workers: int) -> Iterator[Engine]:
    """Yield an engine that embeds in this process; see `decoder` for `workers`."""
    with decoder(workers) as decode:

        def run(batches: Sequence[Sequence[SampleTask]], recipe: Recipe) -> Iterator[Made]:
            results = decode([task for batch in batches for task in batch], recipe.spec)
            for batch in batches:
                asked = time.perf_counter()
                read = list(islice(results, len(batch)))
                yield make(encoder, recipe, read, time.perf_counter() - asked)

        yield run


@contextmanager
def decoder(workers: int) -> Iterator[Decode]:
    """Yield a function that decodes tasks in order, in worker processes that stay `READ_AHEAD` ahead."""
    if workers == 0:
        yield lambda tasks, spec: (read for visit in visits(tasks) for read in read_visit(visit, spec))
        return
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))

    def decode(tasks: Sequence[SampleTask], spec: SampleSpec) -> Iterator[Read]:
        waiting: deque[tuple[int, Future[list[Read]]]] = deque()
        for visit in visits(tasks):
            waiting.append((len(visit), pool.submit(read_visit, visit, spec)))
            while len(waiting) > workers and sum(size for size, _ in waiting) > READ_AHEAD:
                yield from waiting.popleft()[1].result()
        while waiting:
            yield from waiting.popleft()[1].result()

    try:
        yield decode
    except BrokenProcessPool as error:
        raise InputError(
            "A process that decodes rasters died, most likely for want of memory. What was committed is "
            "safe: run the same command again, with --workers 0 to see which raster it is"
        ) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
