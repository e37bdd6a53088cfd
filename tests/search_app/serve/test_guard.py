"""Callers that are slow, or stop."""

import asyncio
from typing import Any

import pytest

from search_app.serve import guard
from search_app.serve.guard import Guard, Message, Rules

from .apart import run_apart

SCOPE: Message = {"type": "http", "method": "POST"}
HEADERS = [(b"host", b"localhost"), (b"content-type", b"application/json")]


async def echo(scope: Message, receive: Any, send: Any) -> None:
    """Answers with what it got."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            break
    kind = message["type"].encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": kind + b" " + body})


def asked(pieces: list[bytes], stall: bool = False, taken: int = 10**9) -> bytes:
    """What a caller that sends pieces gets; it may stop sending, or take only so many pieces."""
    sent: list[bytes] = []
    left = list(pieces)

    async def receive() -> Message:
        if not left and stall:
            await asyncio.sleep(60)
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left) or stall}

    async def send(message: Message) -> None:
        if len(sent) >= taken:
            await asyncio.sleep(60)
        if message["type"] == "http.response.body":
            sent.append(message["body"])

    run_apart(Guard(echo, Rules())({**SCOPE, "headers": HEADERS}, receive, send))
    return b"".join(sent)


def test_a_large_answer_comes_whole_in_pieces() -> None:
    body = bytes(range(256)) * 4_096
    assert asked([body[:700_000], body[700_000:]]) == b"http.request " + body
    assert asked([b""]) == b"http.request "


def test_a_caller_that_stops_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "STALLED_S", 0.05)
    assert asked([b"half of it"], stall=True) == b"http.disconnect half of it"
    with pytest.raises(TimeoutError):
        asked([b"x" * 1_000_000], taken=2)


def test_a_body_without_a_length_is_not_taken_beyond_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MAX_BODY_BYTES", 1_000)
    assert asked([b"x" * 600, b"y" * 600]) == b"http.disconnect " + b"x" * 600
