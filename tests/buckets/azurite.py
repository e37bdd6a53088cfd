"""Azurite, the emulator of Azure's blobs, in an environment of its own, and a container in it."""

import base64
import hashlib
import hmac
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from . import loopback

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / ".azurite"
PACKAGE = "azurite@3"
ACCOUNT = "devstoreaccount1"  # it and its key are the emulator's own, and known to everyone
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
VERSION = "2021-08-06"


def installed() -> Path | None:
    """The emulator's program, installed where it is not yet; None without npm."""
    program = ENVIRONMENT / "node_modules" / ".bin" / "azurite-blob"
    if not program.exists():
        npm = shutil.which("npm")
        if npm is None:
            return None
        quiet = ["--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run([npm, "install", "--prefix", ENVIRONMENT, *quiet, PACKAGE], check=True)
    return program


@contextmanager
def running(program: Path) -> Iterator[str]:
    """The address of an account, in memory."""
    words = ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"]
    where = ["--blobHost", "127.0.0.1", "--blobPort"]
    with loopback.running(lambda port: [program, *words, *where, str(port)]) as port:
        yield f"http://127.0.0.1:{port}/{ACCOUNT}"


def make_container(account: str, name: str) -> None:
    """By a request that is signed with the account's key (Azure's "Shared Key")."""
    date = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    headers = {"x-ms-date": date, "x-ms-version": VERSION, "Content-Length": "0"}
    said = "".join(f"{header}:{headers[header]}\n" for header in ("x-ms-date", "x-ms-version"))
    signed = "PUT" + 12 * "\n" + said + f"/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
    digest = hmac.new(base64.b64decode(KEY), signed.encode(), hashlib.sha256).digest()
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
    request = urllib.request.Request(f"{account}/{name}?restype=container", method="PUT", headers=headers)
    urllib.request.urlopen(request).close()
