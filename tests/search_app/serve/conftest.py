"""A served table: `skyhex serve` as a process of its own, on loopback."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from indexer.index.faiss_index import build_index
from indexer.prototypes.regional import fit_prototypes
from indexer.table.embedding_table import EmbeddingTable

from ...indexer.small_tables import place_table

ROOT = Path(__file__).resolve().parents[3]


@contextmanager
def serving(*words: str) -> Iterator[str]:
    """The address of a running service."""
    command = [sys.executable, "-m", "search_app.cli.main", "serve", "--port", "0", *words]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    try:
        assert server.stdout is not None
        said = re.search(r"https?://\S+", server.stdout.readline())
        assert said is not None, "the service did not start"
        yield said[0]
    finally:
        server.terminate()
        assert server.wait(timeout=20) in (0, -15, 15)  # the last is Ray's way


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingTable:
    """1,200 rows of two years, with prototypes and an index."""
    made = place_table(tmp_path_factory.mktemp("served") / "table", n=600)
    fit_prototypes(made)
    made = EmbeddingTable.open(made.path)
    build_index(made)
    return made


@pytest.fixture(scope="session")
def address(table: EmbeddingTable) -> Iterator[str]:
    with serving("-t", str(table.path), "--workers", "2", "--waiting", "4") as found:
        yield found
