"""Segments searched in this process, or by a crew of others that hold them open, each within a time.

A holder is told folders, rows and plans, never filters or tables: it maps the files itself. One that is late
goes on, and is asked again when it is done; one that was ended, or does nothing for long, is begun anew. It
is a process of this machine, or whatever else answers as one.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from ..errors import QueryError
from ..geo.row_ranges import RowRanges
from ..table.columns import Cosines
from .answers import Nearest, answers
from .mapped import DamagedIndexError
from .planner import Plan
from .segment_files import open_segment

ROOT = Path(__file__).parents[2]
START_S = 60.0  # to begin a process, or to open a segment: no query's limit counts it
LOST_S = 60.0  # beyond its limit, until a worker that does not answer is ended


@dataclass(frozen=True)
class Scan:
    """What is asked of a segment."""

    folder: Path
    column: str
    rows: RowRanges  # that match
    plan: Plan
    all_of: bool = False

    def answer(self, questions: Sequence[Cosines], k: int) -> Nearest:
        """What questions (m, d) find, see `answers`. Raises `DamagedIndexError` with the segment's folder."""
        files = open_segment(self.folder)
        with files.blamed():
            inverted = files.inverted(self.column) if self.plan.probes else None
            vectors = files.segment.vectors[self.column]
            return answers(self.plan, vectors, inverted, self.rows, questions, k, self.all_of)


class Searcher(Protocol):
    """Who searches segments of an index in the place of the thread that asks."""

    @property
    def plan(self) -> Plan | None:
        """Of every scan; None: what was measured decides, and shards alone are searched."""

    def answers(
        self, scans: Sequence[Scan], questions: Sequence[Cosines], k: int
    ) -> Sequence[Nearest | None]:
        """What each scan finds, see `Scan.answer`; None where there was no answer in time."""


class EndedError(Exception):
    """A holder was ended before it answered."""


class Holder(Protocol):
    """A process, somewhere, that holds segments open."""

    def ask(self, request: Any, /) -> Any:
        """What `answered` makes of a request there. Raises `EndedError`."""
        ...

    def end(self) -> None:
        """Whoever waits for an answer hears `EndedError`."""
        ...


class Crew:
    """Holders that search shards, until `close` or the end of a `with`.

    Args:
        workers: how many; one a core by default. Each shard has its own.
        limit_s: seconds that a shard has for an answer; None waits. Threads may ask at once, in line.
        begin: a holder; by default processes of this machine, which share its cores.
    """

    plan = None

    def __init__(
        self,
        workers: int | None = None,
        limit_s: float | None = None,
        begin: Callable[[], Holder] | None = None,
    ) -> None:
        self.limit_s = limit_s
        count = workers or os.cpu_count() or 1
        begin = begin or partial(Process, max((os.cpu_count() or 1) // count, 1))
        self._workers = [_Worker(begin) for _ in range(count)]
        self._numbers: dict[Path, int] = {}  # of the worker that holds a segment
        self._lock = threading.Lock()

    def answers(self, scans: Sequence[Scan], questions: Sequence[Cosines], k: int) -> list[Nearest | None]:
        """What each scan finds, see `Scan.answer`; None where there was no answer in time.

        Raises:
            DamagedIndexError: a segment cannot be read.
        """
        self._open([scan.folder for scan in scans])
        asked = [self._of(scan.folder).submit((scan, questions, k), self.limit_s) for scan in scans]
        return [_result(future) for future in _in_time(asked, self.limit_s)]

    def close(self) -> None:
        """End all processes."""
        for worker in self._workers:
            worker.close()

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _of(self, folder: Path) -> _Worker:
        with self._lock:
            number = self._numbers.setdefault(folder, len(self._numbers) % len(self._workers))
        return self._workers[number]

    def _open(self, folders: Sequence[Path]) -> None:
        """Begin the processes, and let them open segments that are new to them."""
        new = [(self._of(folder), folder) for folder in folders]
        asked = [worker.submit(folder, START_S) for worker, folder in new if folder not in worker.held]
        for future in _in_time(asked, START_S):
            _result(future)


@contextmanager
def crew_of(workers: int | None, limit_s: float | None = None) -> Iterator[Crew | None]:
    """A crew of so many processes; none for None. Raises `QueryError` for numbers that are none."""
    check_numbers(workers, limit_s)
    if workers is None and limit_s is not None:
        raise QueryError(
            "a limit for shards needs processes that it holds for: say how many with --shard-workers"
        )
    if workers is None:
        yield None
        return
    with Crew(workers, limit_s) as crew:
        yield crew


def check_numbers(workers: int | None, limit_s: float | None) -> None:
    """Raises `QueryError` for numbers of holders and of seconds that are none."""
    if (workers is not None and workers < 1) or (limit_s is not None and not limit_s > 0):
        raise QueryError(f"{workers} processes, {limit_s} s for a shard: expected numbers above zero")


def _in_time(asked: Sequence[Future[Any]], limit_s: float | None) -> Sequence[Future[Any]]:
    """After a time, or as soon as all are done; what was not begun by then is not."""
    wait(asked, limit_s)
    for future in asked:
        future.cancel()
    return asked


def _result(future: Future[Any]) -> Nearest | None:
    if future.cancelled() or not future.done():
        return None
    nearest: Nearest | DamagedIndexError | None = future.result()
    if isinstance(nearest, DamagedIndexError):
        raise nearest
    return nearest


class _Worker:
    """One holder, and the thread that talks with it."""

    def __init__(self, begin: Callable[[], Holder]) -> None:
        self._begin = begin
        self._line = ThreadPoolExecutor(1)
        self._holder: Holder | None = None
        self.held: set[Path] = set()  # segments that it has opened
        self._until = float("inf")  # when it is lost

    def submit(self, request: Any, limit_s: float | None) -> Future[Any]:
        """Its answer, when the requests before it are done."""
        if time.monotonic() > self._until and self._holder is not None:
            self._holder.end()
        return self._line.submit(self._ask, request, limit_s)

    def close(self) -> None:
        self._line.shutdown(wait=False, cancel_futures=True)
        self._until = -float("inf")
        self._end()

    def _ask(self, request: Any, limit_s: float | None) -> Any:
        """An answer, of a second holder where one was ended meanwhile; None where neither answers."""
        for _ in range(2):
            self._holder = self._holder or self._begin()
            self._until = float("inf") if limit_s is None else time.monotonic() + limit_s + LOST_S
            try:
                answer = self._holder.ask(request)
            except EndedError:
                is_lost = time.monotonic() > self._until
                self._end()
                if is_lost:
                    return None
                continue
            if isinstance(request, Path):
                self.held.add(request)
            return answer
        return None

    def _end(self) -> None:
        holder, self._holder = self._holder, None
        self.held, self._until = set(), float("inf")
        if holder is not None:
            holder.end()


class Process:
    """A `Holder` on this machine, with so many threads."""

    def __init__(self, threads: int) -> None:
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        own = {"PYTHONPATH": path, "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": str(threads)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **own},
            start_new_session=True,  # Ctrl-C is for those who wait
        )

    def ask(self, request: Any, /) -> Any:
        """See `Holder`."""
        assert self.process.stdin
        assert self.process.stdout
        try:
            pickle.dump(request, self.process.stdin)
            self.process.stdin.flush()
            return pickle.load(self.process.stdout)
        except (OSError, EOFError, ValueError, pickle.UnpicklingError) as error:
            raise EndedError from error

    def end(self) -> None:
        """See `Holder`."""
        self.process.kill()
        self.process.wait()
        for pipe in filter(None, (self.process.stdin, self.process.stdout)):
            with suppress(OSError):  # what was not yet read of a request
                pipe.close()


def main() -> None:
    """Answer what comes on stdin, until it ends."""
    answers: BinaryIO = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing else is written there
    while True:
        try:
            request = pickle.load(sys.stdin.buffer)
            pickle.dump(answered(request), answers)
            answers.flush()
        except (EOFError, BrokenPipeError):
            return


def answered(request: Any) -> Nearest | DamagedIndexError | None:
    """What a holder answers: to a segment's folder nothing, once it is open; to questions what they find."""
    try:
        if isinstance(request, Path):
            open_segment(request)
            return None
        scan, questions, k = request
        nearest: Nearest = scan.answer(questions, k)
        return nearest
    except DamagedIndexError as error:
        return error


if __name__ == "__main__":
    main()
