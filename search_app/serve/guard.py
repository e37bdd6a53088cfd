"""Who may ask, and what a request may weigh: decided before anything of it is read further.

A page of another origin can make a browser send requests here. So a Host that is not this server's own is
refused, and so is an Origin that is not the Host; no answer allows another origin to read it.
"""

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

MAX_BODY_BYTES = 8 << 20
PIECE_BYTES = 256 << 10  # sent at once
STALLED_S = 30.0  # without a byte taken or given
LOOPBACK = ("127.0.0.1", "localhost", "::1")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


@dataclass(frozen=True)
class Rules:
    """Who may ask."""

    hosts: tuple[str, ...] = LOOPBACK  # names that this server goes by; any where a token is asked for
    token: str | None = None


class RefusedError(Exception):
    """Why a request is not answered."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Guard:
    """Stands before an application and lets through what the rules allow."""

    def __init__(self, app: App, rules: Rules) -> None:
        self._app, self._rules = app, rules

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            check(scope["method"], headers, self._rules)
        except RefusedError as refusal:
            await _refuse(send, refusal)
            return
        await self._app(scope, _limited(receive), _patient(send))


def check(method: str, headers: Mapping[str, str], rules: Rules) -> None:
    """Raises RefusedError."""
    host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
    if rules.token is None and host not in rules.hosts:
        raise RefusedError(421, f"this server is not {host[:100]!r}: ask it by the name it was started with")
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers.get("host"):
        raise RefusedError(403, "a page of another origin may not ask")
    given = headers.get("authorization", "").removeprefix("Bearer ")
    if rules.token is not None and not hmac.compare_digest(given.encode(), rules.token.encode()):
        raise RefusedError(401, "no token, or another one: send Authorization: Bearer TOKEN")
    if method not in ("GET", "HEAD", "POST"):
        raise RefusedError(405, "a table is only read here: GET or POST")
    media = headers.get("content-type", "").split(";")[0].strip().lower()
    if method == "POST" and media != "application/json":
        raise RefusedError(415, "expected a body of type application/json")
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
        raise RefusedError(413, f"a body of {length[:20]} bytes: at most {MAX_BODY_BYTES} are taken")


def _limited(receive: Receive) -> Receive:
    """What is received, up to a size, whatever its header said; a body that stalls has ended."""
    received, whole = 0, False

    async def limited() -> Message:
        nonlocal received, whole
        try:
            message = await (receive() if whole else asyncio.wait_for(receive(), STALLED_S))
        except TimeoutError:
            return {"type": "http.disconnect"}
        whole = not message.get("more_body", False)
        received += len(message.get("body", b""))
        if received > MAX_BODY_BYTES:
            return {"type": "http.disconnect"}
        return message

    return limited


def _patient(send: Send) -> Send:
    """What is sent, in pieces that are each taken within STALLED_S, or the connection is closed.

    So a caller that stops reading holds an answer no longer than that.
    """

    async def patient(message: Message) -> None:
        body = message.get("body", b"")
        more = message.get("more_body", False)
        for start in range(0, max(len(body), 1), PIECE_BYTES):
            piece = body[start : start + PIECE_BYTES]
            rest = {"body": piece, "more_body": more or start + PIECE_BYTES < len(body)} if body else {}
            await asyncio.wait_for(send({**message, **rest}), STALLED_S)

    return patient


async def _refuse(send: Send, refusal: RefusedError) -> None:
    content = json.dumps({"error": refusal.reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    if refusal.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
