"""Worker processes that decode rasters ahead of the encoder, in order, with bounded memory."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Protocol

from data.cover import SampleTask, Skip
from data.reader import read_sample
from data.sample import InputError, Sample, SampleSpec

READ_AHEAD = 64  # decoded samples that wait, at most


class Decode(Protocol):
    def __call__(self, tasks: Sequence[SampleTask], spec: SampleSpec, /) -> Iterator[Sample | Skip]: ...


@contextmanager
def decoder(workers: int) -> Iterator[Decode]:
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
            "safe: run the same command again, with --workers 0 to see which raster it is"
        ) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
