"""How many questions are worked on at once, how many may wait, and what becomes of those whose asker left."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import anyio
import anyio.to_thread
from fastapi import Request

from indexer.errors import QueryError

LOOKED_S = 0.25  # between two looks at whether the asker is still there

Answer = TypeVar("Answer")


class BusyError(Exception):
    """So many wait already that another would wait too long."""


class GoneError(QueryError):
    """The asker left before there was an answer."""


@dataclass(frozen=True)
class Asker:
    """Whoever waits for an answer; `check` is called by work that takes long."""

    _left: threading.Event = field(default_factory=threading.Event)

    def leave(self) -> None:
        self._left.set()

    def check(self) -> None:
        """Raises GoneError."""
        if self._left.is_set():
            raise GoneError("the asker left")


class Turns:
    """Work in threads, a few at once; others wait in line, and beyond a length nobody is taken in."""

    def __init__(self, at_once: int, in_line: int) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._threads = anyio.CapacityLimiter(at_once)
        self._in_line = in_line
        self.waiting = self.working = 0

    async def take(self, request: Request, work: Callable[[Asker], Answer]) -> Answer:
        """What `work` returns, done in a thread when it is its turn.

        Raises BusyError, GoneError, and what `work` raises.
        """
        if self.waiting >= self._in_line and self._free.locked():
            raise BusyError
        asker = Asker()
        watch = asyncio.create_task(_watch(request, asker))
        try:
            await self._wait(watch)
            try:
                self.working += 1
                return await anyio.to_thread.run_sync(work, asker, limiter=self._threads)
            finally:
                self.working -= 1
                self._free.release()
        finally:
            watch.cancel()

    async def _wait(self, watch: "asyncio.Task[None]") -> None:
        """Until it is its turn, or the asker left."""
        turn = asyncio.create_task(self._free.acquire())
        self.waiting += 1
        is_taken = False
        try:
            await asyncio.wait({turn, watch}, return_when=asyncio.FIRST_COMPLETED)
            if watch.done():
                raise GoneError("the asker left")
            is_taken = True
        finally:
            self.waiting -= 1
            if not is_taken and not turn.cancel() and not turn.cancelled():
                self._free.release()


async def _watch(request: Request, asker: Asker) -> None:
    while not await request.is_disconnected():
        await asyncio.sleep(LOOKED_S)
    asker.leave()
