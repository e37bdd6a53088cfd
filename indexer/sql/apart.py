"""A process of its own for DuckDB, kept between questions, and ended with one that takes too long.

DuckDB does not always heed an interrupt, and neither does the check of a long statement, so whoever waits
ends the process: at the limit of time, with Ctrl-C, and when the page that asked is gone.
"""

import atexit
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..errors import QueryError
from .limits import Limits

COMMAND = (sys.executable, "-m", f"{__package__}.worker")
ROOT = Path(__file__).parents[2]
START_S = 60.0  # for a process to begin, which no query's limit counts
TICK_S = 0.1
KEPT = 2  # idle processes

Request = dict[str, Any]


class EndedError(QueryError):
    """The process ended by itself."""


class Apart:
    """One process: it reads a request a line, and answers each with a line and an Arrow stream."""

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"},
            start_new_session=True,  # Ctrl-C is for those who wait
        )
        self._wait(self._read_head, Limits(START_S), lambda: None)

    def ask(self, request: Request, limits: Limits, waiting: Callable[[], None]) -> pa.Table:
        """The rows of an answer. A process that did not end what was asked of it is ended.

        Raises QueryError, and what `waiting` raises.
        """
        asked = json.dumps({**request, "limits": asdict(limits)}) + "\n"
        return self._wait(lambda: self._exchange(asked), limits, waiting)

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        """At once, whatever it does."""
        self._process.kill()
        self._process.wait()

    def _wait(self, ask: Callable[[], Any], limits: Limits, waiting: Callable[[], None]) -> Any:
        answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        until = time.monotonic() + (float("inf") if limits.timeout_s is None else limits.timeout_s)
        threading.Thread(target=lambda: answers.put(_outcome(ask)), daemon=True).start()
        answer = None
        try:
            answer = _first(answers, until, limits, waiting)
        finally:
            if answer is None or isinstance(answer, EndedError):
                self.end()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _exchange(self, asked: str) -> pa.Table:
        assert self._process.stdin
        self._process.stdin.write(asked.encode())
        self._process.stdin.flush()
        head = self._read_head()
        if "error" in head:
            raise QueryError(head["error"])
        with pa.ipc.open_stream(self._process.stdout) as stream:
            return stream.read_all()

    def _read_head(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise EOFError
        head: dict[str, Any] = json.loads(line)
        return head


def _outcome(ask: Callable[[], Any]) -> Any:
    """An answer or an error, for another thread."""
    try:
        return ask()
    except QueryError as error:
        return error
    except (OSError, EOFError, pa.ArrowInvalid):
        return EndedError(
            "DuckDB's process ended before it had an answer: the statement is too much for it, or the"
            " machine's memory is at its end"
        )


def _first(
    answers: "queue.SimpleQueue[Any]", until: float, limits: Limits, waiting: Callable[[], None]
) -> Any:
    while True:
        try:
            return answers.get(timeout=max(0.0, min(TICK_S, until - time.monotonic())))
        except queue.Empty:
            waiting()
            if time.monotonic() >= until:
                raise limits.out_of_time() from None


_idle: list[Apart] = []
_lock = threading.Lock()


def ask_apart(request: Request, limits: Limits, waiting: Callable[[], None]) -> pa.Table:
    """An answer from a process that is idle, or from a new one."""
    process = _taken() or Apart()
    try:
        return process.ask(request, limits, waiting)
    finally:
        _give_back(process)


def _taken() -> Apart | None:
    with _lock:
        while _idle:
            process = _idle.pop()
            if process.is_alive:
                return process
    return None


def _give_back(process: Apart) -> None:
    with _lock:
        if process.is_alive and len(_idle) < KEPT:
            _idle.append(process)
            return
    process.end()


@atexit.register
def _end_all() -> None:
    with _lock:
        while _idle:
            _idle.pop().end()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # they are the parent's
