"""Starts the Streamlit app on a table, on this machine alone, and stops it with Ctrl-C."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

from indexer.errors import TableError
from indexer.table.embedding_table import EmbeddingTable

from ..page_settings import PageSettings
from ..terminal_text import visible
from .progress import say

HOST = "127.0.0.1"
FIRST_PORT = 8501
START_SECONDS = 60.0
SCRIPT = Path(__file__).parents[1] / "page" / "serve.py"
ROOT = SCRIPT.parents[2]
# Given as flags, so that no file of settings, here or in the user's home, opens the app to others. Who is
# answered is decided by page/guard.py; these close what lies beside it.
FLAGS = {
    "global.developmentMode": "false",
    "server.address": HOST,
    "server.baseUrlPath": "",
    "server.corsAllowedOrigins": f"http://{HOST}",
    "server.enableAgentApi": "false",
    "server.enableCORS": "true",
    "server.enableStaticServing": "false",
    "server.enableXsrfProtection": "true",
    "server.fileWatcherType": "none",
    "server.headless": "true",  # else Streamlit offers to install files for coding agents
    "server.maxUploadSize": "64",  # MB
    "server.runOnSave": "false",
    "server.showEmailPrompt": "false",
    "server.sslCertFile": "",
    "server.sslKeyFile": "",
    "server.trustedUserHeaders": "{}",
    "client.allowedOrigins": f"http://{HOST}",
    "logger.level": "warning",
    "browser.serverAddress": HOST,
    "browser.gatherUsageStats": "false",
}


class LaunchError(ValueError):
    """The app cannot be started; says why and what to do."""


def open_some(tables: Sequence[str]) -> list[EmbeddingTable]:
    """Those of the tables that open, the others told. Raises `TableError` where none does."""
    opened, problems = list[EmbeddingTable](), list[TableError]()
    for table in tables:
        try:
            opened.append(EmbeddingTable.open(table))
        except TableError as error:
            problems.append(error)
    if not opened:
        raise problems[0]
    for problem in problems:
        say(f"{problem}; the others are shown")
    return opened


def run_app(
    settings: PageSettings, port: int | None = None, headless: bool = False, weights: str = ""
) -> None:
    """Serve the app until Ctrl-C or SIGTERM; prints its URL, and opens a browser unless headless.

    Args:
        weights: of an encoder that reads words; none where empty.

    Raises:
        LaunchError: Streamlit is not installed, the port is taken, or the server did not come up.
        TableError: there is no table.
    """
    with ExitStack() as undo:
        undo.callback(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, _end))
        server, url = start(settings, port, weights)
        undo.callback(stop, server)
        print(f"The map of {visible(', '.join(settings.tables))} is on {url}\nCtrl-C stops it.", flush=True)
        if not headless:
            webbrowser.open(url)
        try:
            server.wait()
        except KeyboardInterrupt:
            print("Stopped.")


def _end(number: int, frame: object) -> NoReturn:
    """An end that undoes what was begun, so that no server outlives its command."""
    sys.exit(128 + number)


def start(
    settings: PageSettings, port: int | None = None, weights: str = ""
) -> tuple[subprocess.Popen[bytes], str]:
    """A running server and its URL; for who wants to stop it themselves, such as a test."""
    if importlib.util.find_spec("streamlit") is None:
        raise LaunchError('Streamlit is not installed: run pip install -e ".[cpu,app]"')
    if not any("://" in table or Path(table).is_dir() for table in settings.tables):
        named = ", ".join(settings.tables)
        raise TableError(f"There is no table at {named}: make one with `skyhex embed` or `skyhex demo`")
    port = free_port(port)
    flags = {**FLAGS, "server.port": str(port)}
    words = [f"--{name}={value}" for name, value in flags.items()]
    words += [f"--server.allowedHosts={name}" for name in (HOST, "localhost")]
    server = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", str(SCRIPT), *words],
        cwd=ROOT,  # neither settings nor modules of the folder that the command was given in
        env={**_surroundings(), **settings.to_environment(), **encoder_of(weights)},
        stdout=subprocess.DEVNULL,
    )
    url = f"http://{HOST}:{port}"
    with ExitStack() as undo:
        undo.callback(stop, server)
        _wait_until_up(server, url)
        undo.pop_all()  # it is up: whoever asked for it ends it
    return server, url


def _surroundings() -> dict[str, str]:
    """The environment without Streamlit's settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("STREAMLIT_")}


def encoder_of(weights: str) -> dict[str, str]:
    """The encoder as the page is told of it; a file is named from anywhere."""
    kind, file = ("clip:", weights.removeprefix("clip:")) if weights.startswith("clip:") else ("", weights)
    named = f"{kind}{Path(file).absolute()}" if Path(file).is_file() else weights
    return {"SKYHEX_WEIGHTS": named, "SKYHEX_WEIGHTS_FOLDER": str(Path.cwd())}


def stop(server: subprocess.Popen[bytes]) -> None:
    """End a server, whatever state it is in."""
    if server.poll() is None:
        server.terminate()
        try:
            server.wait(timeout=5)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def free_port(wanted: int | None) -> int:
    """`wanted` if it is free, or the first free port from 8501.

    Raises:
        LaunchError: the wanted port is taken.
    """
    for port in [wanted] if wanted else range(FIRST_PORT, FIRST_PORT + 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise LaunchError(
        f"Port {wanted or FIRST_PORT} is taken: choose another with --port, or none for a free one"
    )


def _wait_until_up(server: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise LaunchError(
                f"Streamlit ended with code {server.returncode} before it served {url}; see above"
            )
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise LaunchError(f"Streamlit did not serve {url} within {START_SECONDS:.0f} s")
