"""Whoever waits for a query can end it: by a stand-in that ignores signals, and by DuckDB itself."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from indexer.errors import QueryError
from indexer.sql import apart
from indexer.sql.apart import Apart
from indexer.sql.limits import Limits
from indexer.sql.run import run_sql
from indexer.table.embedding_table import EmbeddingTable

from ...processes import child_of, has_ended, needs_proc
from ..random_rows import MODEL

DEAF = """
import signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
print('{"ready": true}', flush=True)
sys.stdin.readline()
time.sleep(3600)
"""
DYING = "import sys; print('{\"ready\": true}', flush=True); sys.stdin.readline()"
ENDLESS = "SELECT count(*) FROM range(100000000000) a, range(1000) b WHERE a.range % 7 = b.range"


class LeftError(Exception):
    """The page that asked is gone."""


def leave() -> None:
    raise LeftError


@pytest.fixture
def empty(tmp_path: Path) -> EmbeddingTable:
    return EmbeddingTable.create(tmp_path / "table", MODEL, h3_resolution=9)


def test_what_ignores_all_signals_is_ended_at_the_limit() -> None:
    process = Apart((sys.executable, "-c", DEAF))
    with pytest.raises(QueryError, match=r"stopped after 0\.1 s"):
        process.ask({}, Limits(timeout_s=0.1), lambda: None)
    assert not process.is_alive


def test_it_ends_with_whoever_started_it() -> None:
    process = Apart()
    assert process._process.stdin
    process._process.stdin.close()
    assert process._process.wait(timeout=120) == 0


def test_it_is_ended_when_whoever_asked_has_left() -> None:
    process = Apart((sys.executable, "-c", DEAF))
    with pytest.raises(LeftError):
        process.ask({}, Limits(timeout_s=None), leave)
    assert not process.is_alive


def test_a_process_that_dies_is_an_error_and_the_next_question_has_another(empty: EmbeddingTable) -> None:
    process = Apart((sys.executable, "-c", DYING))
    with pytest.raises(QueryError, match="process ended before it had an answer"):
        process.ask({}, Limits(), lambda: None)
    assert not process.is_alive
    assert run_sql(empty, "SELECT 1 AS x").to_pylist() == [{"x": 1}]


def test_an_idle_process_is_asked_again_and_one_that_died_meanwhile_is_not(empty: EmbeddingTable) -> None:
    run_sql(empty, "SELECT 1")
    kept = apart._idle[-1]
    run_sql(empty, "SELECT 2")
    assert apart._idle[-1] is kept
    kept.end()
    run_sql(empty, "SELECT 3")
    assert apart._idle[-1] is not kept


def test_a_mistake_does_not_end_the_process(empty: EmbeddingTable) -> None:
    run_sql(empty, "SELECT 1")
    kept = apart._idle[-1]
    with pytest.raises(QueryError, match="syntax error"):
        run_sql(empty, "SELEC 1")
    assert apart._idle[-1] is kept


@needs_proc
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_ctrl_c_ends_a_query_and_no_process_outlives_its_command(
    empty: EmbeddingTable, number: int, code: int
) -> None:
    command = [sys.executable, "-m", "search_app.cli.main", "sql", ENDLESS, "-t", str(empty.path)]
    with subprocess.Popen(
        [*command, "--timeout", "0"],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # not so in the background
    ) as asking:
        child = child_of(asking.pid, "indexer.sql.worker")
        os.kill(asking.pid, number)
        try:
            _, said = asking.communicate(timeout=60)
        finally:
            asking.kill()
    assert asking.returncode == code
    assert "Traceback" not in said
    assert has_ended(child)


def test_answers_at_once_from_many_threads_are_each_ones_own(empty: EmbeddingTable) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda n: run_sql(empty, f"SELECT {n} AS x")["x"][0].as_py(), range(12))
        assert list(found) == list(range(12))


def test_requests_hold_any_text(empty: EmbeddingTable) -> None:
    text = "line\nbreak \u2028 \x1b ' \N{GRINNING FACE}"
    quoted = text.replace("'", "''")
    assert run_sql(empty, f"SELECT '{quoted}' AS x").to_pylist() == [{"x": text}]
