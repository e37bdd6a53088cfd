"""The app starts on this machine alone, says what is wrong, and stops."""

import signal
import socket
import subprocess
import sys
import urllib.request
import webbrowser
from pathlib import Path

import pytest

from indexer.errors import TableError
from search_app.cli import launch
from search_app.cli.launch import HOST, LaunchError, free_port, run_app, start, stop
from search_app.page_settings import PageSettings

from ..make_table import small_table


def test_it_serves_on_loopback_and_stops(tmp_path: Path) -> None:
    server, url = start(PageSettings((str(small_table(tmp_path / "t").path),)))
    try:
        assert url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(url, timeout=5) as page:
            assert page.status == 200
    finally:
        stop(server)
    assert server.poll() is not None
    stop(server)  # again does no harm


def test_ctrl_c_ends_it_quietly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupted:
        def wait(self, timeout: float | None = None) -> int:
            if timeout is None:
                raise KeyboardInterrupt
            return 0

        def poll(self) -> int | None:
            return None

        def terminate(self) -> None:
            print("terminated")

    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr(launch, "start", lambda *args: (Interrupted(), "http://127.0.0.1:8501"))
    run_app(PageSettings((str(tmp_path),)), headless=True)
    assert opened == []
    run_app(PageSettings((str(tmp_path),)))
    assert opened == ["http://127.0.0.1:8501"]
    assert capsys.readouterr().out.splitlines()[-2:] == ["Stopped.", "terminated"]


def test_streamlit_offers_nobody_to_install_its_own_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does where a coding agent's folder is seen, in any app that opens a browser by itself."""
    commands: list[list[str]] = []

    def refused(command: list[str], **_: object) -> None:
        commands.append(command)
        raise LaunchError("far enough")

    monkeypatch.setattr(subprocess, "Popen", refused)
    with pytest.raises(LaunchError, match="far enough"):
        start(PageSettings((str(tmp_path),)))
    assert "--server.headless=true" in commands[0]


def test_a_killed_command_leaves_no_server(tmp_path: Path) -> None:
    port = free_port(None)
    command = [sys.executable, "-m", "search_app.cli.main", "app", "--headless", "--port", str(port)]
    table = str(small_table(tmp_path / "t").path)
    with subprocess.Popen([*command, "-t", table], stdout=subprocess.PIPE, text=True) as app:
        assert app.stdout
        assert str(port) in app.stdout.readline()
        app.terminate()
        assert app.wait(timeout=30) == 128 + signal.SIGTERM
    assert free_port(port) == port


def test_a_taken_port_is_refused_or_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LaunchError, match=f"Port {port} is taken"):
            free_port(port)
        monkeypatch.setattr(launch, "FIRST_PORT", port)
        assert free_port(None) > port


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"no table at .*nowhere"):
        start(PageSettings((str(tmp_path / "nowhere"),)))


def test_without_streamlit_the_extra_to_install_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LaunchError, match=r'pip install -e "\.\[cpu,app\]"'):
        start(PageSettings((str(tmp_path),)))
