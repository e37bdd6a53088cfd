"""Two nodes on one machine: the rows of one process, and the work of a node that is gone is done again."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from indexer.table.embedding_table import EmbeddingTable

from ...processes import descendants, has_ended, needs_proc
from . import two_nodes
from .conftest import rows
from .test_cluster import ROOT, command
from .test_command import WAIT_S, wait_for_rows

pytestmark = [pytest.mark.ray, needs_proc]


@contextmanager
def nodes() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Whoever runs them, and their address. Each has two CPUs, and so an encoder and a decoder."""
    short = tempfile.mkdtemp(dir="/tmp")  # names of sockets must be short
    said = Path(short) / "said"
    with said.open("w") as errors:
        started = subprocess.Popen(
            [sys.executable, two_nodes.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=ROOT,
            env=os.environ | {"RAY_TMPDIR": short},
        )
    try:
        assert started.stdout is not None
        address = started.stdout.readline().strip()
        assert address, said.read_text()
        yield started, address
    finally:
        others = descendants(started.pid)
        started.communicate(timeout=WAIT_S)
        assert all(has_ended(process) for process in others)
        shutil.rmtree(short)


def test_two_nodes_embed_and_one_goes_on_when_the_other_is_gone(
    area: Path, catalog: Path, here: EmbeddingTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # where Ray keeps its token
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)  # a Ray of before left it
    with nodes() as (cluster, address):
        words = ["--engine", "ray", "--address", address]
        whole = subprocess.run(
            command(catalog, area, tmp_path / "t", *words), capture_output=True, text=True, cwd=ROOT
        )
        assert whole.returncode == 0, whole.stderr
        assert "Ray: 2 encoders with 1 CPU each" in whole.stderr
        assert rows(EmbeddingTable.open(tmp_path / "t")).equals(rows(here), check_metadata=True)
        code = "from search_app.cli.main import run; run()"
        index = [sys.executable, "-c", code, "index", "--shards", "3", *words, "-t", str(tmp_path / "t")]
        built = subprocess.run(index, capture_output=True, text=True, cwd=ROOT)
        assert "Ray: 4 CPUs" in built.stderr
        assert "built: 66 rows" in built.stderr
        assert "3 shards" in built.stderr
        job = subprocess.Popen(
            command(catalog, area, tmp_path / "u", *words), cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        wait_for_rows(job, tmp_path / "u")
        held = EmbeddingTable.open(tmp_path / "u").row_count
        assert cluster.stdin is not None
        assert cluster.stdout is not None
        cluster.stdin.write("kill\n")
        cluster.stdin.flush()
        assert cluster.stdout.readline() == "killed\n"
        _, said = job.communicate(timeout=3 * WAIT_S)
        assert job.returncode == 0, said
    assert held < here.row_count
    assert rows(EmbeddingTable.open(tmp_path / "u")).equals(rows(here), check_metadata=True)
