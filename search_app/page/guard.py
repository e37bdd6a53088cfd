"""Whom the page's server answers: this machine's own names, asked by the page itself or by a link to it.

Streamlit's own check takes every port of this machine for the page. Here the Origin is the very address that
was asked, so that a page of another server, on this machine or elsewhere, opens no session and sees nothing.
"""

from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OWN_NAMES = ("127.0.0.1", "localhost")  # any port: a tunnel has one of its own
HEADERS = {
    "Content-Security-Policy": "frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """Middleware around all of the server, its websocket included."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        reason = refusal(Headers(scope=scope))
        if not reason:
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": reason})
        else:
            await PlainTextResponse(reason, HTTPStatus.FORBIDDEN)(scope, receive, _with_headers(send))


def refusal(headers: Headers) -> str:
    """Why a request is not answered; empty where it is."""
    hosts, origins = headers.getlist("host"), headers.getlist("origin")
    if len(hosts) != 1 or _name(hosts[0]) not in OWN_NAMES:
        return f"This page is served to this machine alone: ask http://{OWN_NAMES[0]}, not another name."
    if origins not in ([], [f"http://{hosts[0]}"]):
        return "This page is not for pages of other origins."
    # Browsers that send no Origin with a plain GET still tell who asks; a person may follow a link here.
    site = headers.get("sec-fetch-site", "none")
    follows = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    if site not in ("same-origin", "none") and not follows:
        return "This page is neither framed nor read by pages of other origins."
    return ""


def _name(host: str) -> str:
    """The name in `name:port`; empty for what is not of that form."""
    try:
        parts = urlsplit(f"//{host}")
        port = parts.port  # raises for what is no number
    except ValueError:
        return ""
    name = parts.hostname or ""
    return name if host.lower() in (name, f"{name}:{port}") else ""


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(HEADERS)
        await send(message)

    return sending
