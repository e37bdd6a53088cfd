"""Servers on loopback that end with the tests, and a test's environment for one of them."""

import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from socket import socket

import pytest

from indexer.index import bucket_index

START_S = 60.0


@contextmanager
def running(command: Callable[[int], Sequence[str | Path]]) -> Iterator[int]:
    """The port of a server, once it answers, whatever it says; `command` is told the port."""
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(command(port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_S
        while not _answers(port):
            assert time.monotonic() < deadline, "the server did not start"
            assert server.poll() is None, "the server ended"
            time.sleep(0.1)
        yield port
    finally:
        server.kill()
        server.wait()


def _answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def only(monkeypatch: pytest.MonkeyPatch, prefix: str, values: Mapping[str, str], cache: Path) -> None:
    """Of variables that begin so these alone; what is kept of buckets is this test's, asked each time."""
    for name in [name for name in os.environ if name.startswith(prefix)]:
        monkeypatch.delenv(name)
    for name, value in {**values, "SKYHEX_CACHE": str(cache)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(bucket_index, "LOOKED_EVERY_S", 0.0)
