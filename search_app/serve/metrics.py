"""What was answered, in the text form of Prometheus."""

import threading
import time
from collections import Counter, defaultdict

from .guard import App, Message, Receive, Send
from .turns import Turns


class Metrics:
    """Counts of requests by path and status, and seconds spent on them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._seconds: dict[str, float] = defaultdict(float)

    def add(self, route: str, status: int, seconds: float) -> None:
        """One request that was answered."""
        with self._lock:
            self._requests[route, status] += 1
            self._seconds[route] += seconds

    def text(self, turns: Turns) -> str:
        """All of it."""
        with self._lock:
            lines = ["# TYPE skyhex_requests_total counter"]
            lines += [
                f'skyhex_requests_total{{route="{route}",status="{status}"}} {count}'
                for (route, status), count in sorted(self._requests.items())
            ]
            lines.append("# TYPE skyhex_request_seconds_total counter")
            lines += [
                f'skyhex_request_seconds_total{{route="{route}"}} {seconds:.6f}'
                for route, seconds in sorted(self._seconds.items())
            ]
        lines += ["# TYPE skyhex_waiting gauge", f"skyhex_waiting {turns.waiting}"]
        lines += ["# TYPE skyhex_working gauge", f"skyhex_working {turns.working}"]
        return "\n".join(lines) + "\n"


class Counted:
    """Counts what an application answers."""

    def __init__(self, app: App, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        began, status = time.perf_counter(), 500

        async def sent(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, sent)
        finally:
            if scope["type"] == "http":
                route = getattr(scope.get("route"), "path", "other")
                self._metrics.add(route, status, time.perf_counter() - began)
