"""`skyhex embed --engine ray` as a whole: what it leaves behind, who can reach it, and whom it joins."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from data.access import UnreachableError
from indexer.table.embedding_table import EmbeddingTable
from pipeline.on_ray import cluster

from ...processes import descendants, has_ended, needs_proc
from .conftest import rows
from .test_cluster import ROOT, command, refused

pytestmark = [pytest.mark.ray, needs_proc]
LOOPBACK = {
    "0100007F",
    "00000000000000000000000001000000",
    "0000000000000000FFFF00000100007F",
}  # /proc/net/tcp's
LISTENS = "0A"
WAIT_S = 120


def listening(processes: set[int]) -> set[str]:
    """Addresses, as the kernel writes them, on which any of some processes listens."""
    sockets: set[str] = set()
    for process in processes:
        for path in Path(f"/proc/{process}/fd").glob("*"):
            try:
                sockets.add(str(path.readlink()))
            except OSError:
                continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENS and f"socket:[{fields[9]}]" in sockets:
                found.add(fields[1].partition(":")[0])
    return found


def wait_for_rows(job: subprocess.Popen[str], table: Path) -> None:
    deadline = time.monotonic() + WAIT_S
    while not list(table.rglob("*.parquet")):
        assert job.poll() is None, job.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_killed_driver_leaves_nothing_behind_and_its_command_finishes(
    area: Path, catalog: Path, here: EmbeddingTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two agents of Ray's, which hold nothing, try for a minute to tell a head that is gone, and end then."""
    monkeypatch.setenv("HOME", str(tmp_path))  # where Ray keeps its token
    words = command(catalog, area, tmp_path / "t", "--engine", "ray")
    job = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for_rows(job, tmp_path / "t")
    others = descendants(job.pid)
    names = " ".join(others.values())
    assert "raylet" in names
    assert "EncoderActor" in names
    assert not any(word in names for word in ("log_monitor", "monitor.py", "dashboard.py"))
    assert listening({job.pid, *others}) <= LOOPBACK
    server = next(process for process, words in others.items() if "gcs_server" in words)
    assert b"RAY_USAGE_STATS_ENABLED=0" in Path(f"/proc/{server}/environ").read_bytes()
    assert EmbeddingTable.open(tmp_path / "t").row_count < here.row_count
    job.send_signal(signal.SIGKILL)
    said = "".join(job.communicate())
    assert all(has_ended(process) for process, words in others.items() if "Agent" not in words)
    assert EmbeddingTable.open(tmp_path / "t").validate() == []
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    table = EmbeddingTable.open(tmp_path / "t")
    assert table.validate() == []
    assert rows(table).equals(rows(here), check_metadata=True)
    token = (tmp_path / ".ray" / "auth_token").read_text().strip()
    assert len(token) > 30
    told = said + done.stdout + done.stderr
    assert "Ray: 1 encoder with" in told
    assert token not in told
    assert not any(
        token.encode() in path.read_bytes() for path in (tmp_path / "t").rglob("*") if path.is_file()
    )


@contextmanager
def head(folder: Path) -> Iterator[str]:
    """A head with its node, begun as people begin one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ray = [sys.executable, "-m", "ray.scripts.scripts"]
    options = ["--head", "--block", f"--port={port}", "--num-cpus=3", "--include-dashboard=false"]
    quiet = os.environ | {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    where = [f"--temp-dir={folder}", "--node-ip-address=127.0.0.1", "--object-store-memory=200000000"]
    started = subprocess.Popen(
        [*ray, "start", *options, *where], env=quiet, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + WAIT_S
        while not any("raylet" in words for words in descendants(started.pid).values()):
            assert time.monotonic() < deadline
            assert started.poll() is None
            time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        others = descendants(started.pid)
        started.terminate()
        started.wait(WAIT_S)
        assert all(has_ended(process) for process in others)


def test_a_ray_that_runs_is_joined_and_left_running(
    area: Path, catalog: Path, here: EmbeddingTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # a head on loopback
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("1" * 64)
    other = tmp_path / "other"
    other.mkdir()
    (other / "sitecustomize.py").write_text("import ray; ray.__version__ = '2.59.0'\n")
    short = Path(tempfile.mkdtemp(dir="/tmp"))  # names of sockets must be short
    with head(short) as address:
        words = ["--engine", "ray", "--address", address]
        done = subprocess.run(
            command(catalog, area, tmp_path / "t", *words), cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert rows(EmbeddingTable.open(tmp_path / "t")).equals(rows(here), check_metadata=True)
        said = refused(catalog, area, tmp_path / "u", *words, env=os.environ | {"PYTHONPATH": str(other)})
        assert "Version mismatch: The cluster was started with: Ray: 2.6" in said
        assert "Install the same Ray and Python here and there" in said
    shutil.rmtree(short)


def test_what_listens_but_is_no_ray_is_refused_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "ANSWER_S", 3.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with (
            pytest.raises(UnreachableError, match=f"{address} did not answer as a Ray head within 3 s"),
            cluster.joined(address),
        ):
            pass
