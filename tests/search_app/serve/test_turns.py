"""Who waits, who is worked for, and who is not any more."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, cast

import pytest
from fastapi import Request

from search_app.serve import turns
from search_app.serve.turns import Asker, BusyError, GoneError, Turns

from .apart import run_apart

WAIT_S = 20.0


class Caller:
    """Stands for a request whose caller may leave."""

    def __init__(self) -> None:
        self.left = False

    async def is_disconnected(self) -> bool:
        return self.left


def run(work: Coroutine[Any, Any, None]) -> None:
    run_apart(asyncio.wait_for(work, WAIT_S))


def take(line: Turns, caller: Caller, work: Any) -> "asyncio.Task[Any]":
    return asyncio.create_task(line.take(cast(Request, caller), work))


async def until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def test_beyond_the_line_nobody_is_taken_in_and_all_others_are_answered() -> None:
    async def scenario() -> None:
        line, go = Turns(at_once=1, in_line=2), threading.Event()
        first = [take(line, Caller(), lambda asker: go.wait(WAIT_S)) for _ in range(3)]
        await until(lambda: (line.working, line.waiting) == (1, 2))
        with pytest.raises(BusyError):
            await line.take(cast(Request, Caller()), lambda asker: None)
        go.set()
        assert await asyncio.gather(*first) == [True] * 3
        assert (line.working, line.waiting) == (0, 0)
        assert await take(line, Caller(), lambda asker: "next") == "next"

    run(scenario())


def test_who_leaves_the_line_is_not_worked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "LOOKED_S", 0.01)

    async def scenario() -> None:
        line, go, worked = Turns(at_once=1, in_line=4), threading.Event(), list[str]()
        first = take(line, Caller(), lambda asker: go.wait(WAIT_S))
        await until(lambda: line.working == 1)
        leaving = Caller()
        second = take(line, leaving, lambda asker: worked.append("second"))
        third = take(line, Caller(), lambda asker: worked.append("third"))
        await until(lambda: line.waiting == 2)
        leaving.left = True
        with pytest.raises(GoneError):
            await second
        go.set()
        await asyncio.gather(first, third)
        assert worked == ["third"]
        assert (line.working, line.waiting) == (0, 0)

    run(scenario())


def test_work_hears_that_its_asker_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "LOOKED_S", 0.01)

    def endless(asker: Asker) -> None:
        while True:
            asker.check()
            threading.Event().wait(0.01)

    async def scenario() -> None:
        line, leaving = Turns(at_once=1, in_line=1), Caller()
        task = take(line, leaving, endless)
        await until(lambda: line.working == 1)
        leaving.left = True
        with pytest.raises(GoneError):
            await task
        assert await take(line, Caller(), lambda asker: 7) == 7

    run(scenario())
