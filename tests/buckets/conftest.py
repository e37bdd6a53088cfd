"""A real S3 server on loopback, in an environment of its own: its packages want others than ours."""

import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from .loopback import only, running
from .network import Network, network

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / ".moto"
MOTO = "moto[server]==5.2.*"


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
    with running(lambda port: [installed_server(), "-H", "127.0.0.1", "-p", str(port)]) as port:
        yield port


@pytest.fixture
def between(server_port: int) -> Iterator[Network]:
    """The way to the server."""
    with network(server_port) as found:
        yield found


@pytest.fixture
def address(between: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where a table may be made, in a bucket of its own; what is kept of it is kept for this test alone."""
    values = {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{between.port}",
    }
    only(monkeypatch, "AWS_", values, tmp_path / "cache")
    bucket = f"b{uuid.uuid4().hex}"
    request = urllib.request.Request(f"http://127.0.0.1:{between.port}/{bucket}", method="PUT")
    urllib.request.urlopen(request).close()
    return f"s3://{bucket}/far/table"
