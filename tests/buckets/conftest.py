"""A real S3 server on loopback, in an environment of its own: its packages want others than ours."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.index import bucket_index

from .network import Network, network

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / ".moto"
MOTO = "moto[server]==5.2.*"
START_S = 60.0


def installed_server() -> Path:
    """The server's program, installed where it is not yet."""
    program = ENVIRONMENT / "bin" / "moto_server"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
        pip = [ENVIRONMENT / "bin" / "python", "-m", "pip", "install", "--quiet", MOTO]
        subprocess.run(pip, check=True)
    return program


@pytest.fixture(scope="session")
def server_port() -> Iterator[int]:
    """The port of a running server."""
    from socket import socket

    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [installed_server(), "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + START_S
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=5).close()
                break
            except OSError:
                assert time.monotonic() < deadline, "the server did not start"
                assert server.poll() is None, "the server ended"
                time.sleep(0.1)
        yield port
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def between(server_port: int) -> Iterator[Network]:
    """The way to the server."""
    with network(server_port) as found:
        yield found


@pytest.fixture
def address(between: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where a table may be made, in a bucket of its own; what is kept of it is kept for this test alone."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{between.port}",
        "SKYHEX_CACHE": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(bucket_index, "LOOKED_EVERY_S", 0.0)
    bucket = f"b{uuid.uuid4().hex}"
    request = urllib.request.Request(f"http://127.0.0.1:{between.port}/{bucket}", method="PUT")
    urllib.request.urlopen(request).close()
    return f"s3://{bucket}/far/table"
