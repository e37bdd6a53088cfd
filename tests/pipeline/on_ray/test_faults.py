"""Whatever dies: nothing is lost, nothing is there twice, and what kills is named."""

import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from data.sample import InputError
from encoder.loading import load_encoder
from indexer.table.embedding_table import EmbeddingTable
from pipeline.embed_job import EmbedReport

from ...processes import descendants
from . import deadly
from .conftest import WEIGHTS, Job, rows

Another = Callable[..., Any]


@pytest.fixture
def patched(engine: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, object], None]:
    """Puts another value into the engine's module, which is imported when Ray has begun."""
    from pipeline.on_ray import engine as module

    return partial(monkeypatch.setattr, module)


def kill(word: str, which: random.Random) -> bool:
    """One of the processes that Ray runs for us under a name, if there is any."""
    ours = descendants(os.getpid()).items()
    running = sorted(process for process, command in ours if command.startswith(f"ray::{word}"))
    if running:
        os.kill(which.choice(running), signal.SIGKILL)
    return bool(running)


def test_killed_workers_lose_nothing(
    job: Job, here: EmbeddingTable, engine: Any, tmp_path: Path, patched: Callable[[str, object], None]
) -> None:
    """After two of three batches something dies: who reads, who embeds, or who waits for work."""
    which = random.Random(5)
    killed: Counter[str] = Counter()

    def kill_some(done: int, total: int) -> None:
        words = ["read_piece", "EncoderActor", "IDLE"]
        which.shuffle(words)
        word = next((word for word in words if which.random() < 0.66 and kill(word, which)), "none")
        killed[word] += 1

    patched("AHEAD_BYTES", 0)  # so that there is always something to be read
    report = job.run(tmp_path / "t", engine=engine, progress=kill_some)
    assert killed["EncoderActor"] > 1
    assert killed.total() - killed["none"] > 4
    assert (report.unfinished, report.skipped) == ((), ())
    assert rows(report.table).equals(rows(here), check_metadata=True)
    assert report.table.input_keys == here.input_keys


def test_a_sample_that_kills_whoever_reads_it_is_named_and_the_rest_goes_on(
    job: Job, here: EmbeddingTable, engine: Any, tmp_path: Path, patched: Callable[[str, object], None]
) -> None:
    bad = job.plan.tasks[10].sample_id
    read = tmp_path / "read"
    read.mkdir()
    patched("read_piece", deadly.reader(read, [bad]))
    report = job.run(tmp_path / "t", engine=engine)
    assert [left.sample_id for left in report.unfinished] == [bad]
    assert report.unfinished[0].reason == "each process that read it died, 3 of them"
    assert len(list(read.glob(f"{bad}-1-*"))) == 3
    finished(job, here, report)


def test_a_batch_that_kills_each_encoder_is_named_and_the_rest_goes_on(
    job: Job, here: EmbeddingTable, another: Another, tmp_path: Path
) -> None:
    bad = job.plan.tasks[10].sample_id
    report = job.run(tmp_path / "t", engine=another(partial(deadly.deadly, WEIGHTS, bad)))
    names = [left.sample_id for left in report.unfinished]
    assert bad in names
    assert len(names) <= 8
    assert "each encoder died, 3 of them" in report.unfinished[0].reason
    finished(job, here, report)


def finished(job: Job, here: EmbeddingTable, report: EmbedReport) -> None:
    """That the rest is there, and the local engine does what is missing."""
    assert report.embedded == here.row_count - len(report.unfinished) == report.table.row_count
    whole = job.run(Path(report.table.storage.root))
    assert whole.embedded < 10
    assert rows(whole.table).equals(rows(here), check_metadata=True)


def test_encoders_that_die_before_they_embed_end_the_job(another: Another) -> None:
    with pytest.raises(InputError, match="3 encoders died while they loaded"):
        another(partial(deadly.stillborn, WEIGHTS))


def test_other_weights_are_refused(another: Another) -> None:
    with pytest.raises(InputError, match=r"expected .*: put the same files on every node"):
        another(partial(load_encoder, "rcf"))


@pytest.mark.parametrize("cpus", [1, 2])
def test_an_encoder_has_the_threads_of_its_share(another: Another, tmp_path: Path, cpus: int) -> None:
    another(partial(deadly.telling, WEIGHTS, tmp_path / "threads"), cpus)
    assert (tmp_path / "threads").read_text() == f"{cpus} PASSIVE"


@pytest.mark.parametrize("limit", [0, 1 << 30])
def test_what_waits_is_bounded_by_its_bytes(
    job: Job, engine: Any, tmp_path: Path, patched: Callable[[str, object], None], limit: int
) -> None:
    """Pieces read ahead when a batch is done: with no byte to spare, that of the next batch alone."""
    read = tmp_path / "read"
    read.mkdir()
    patched("read_piece", deadly.reader(read))
    patched("AHEAD_BYTES", limit)
    counts: list[int] = []
    job.run(
        tmp_path / "t", engine=engine, progress=lambda done, total: counts.append(len(list(read.iterdir())))
    )
    ahead = max(read - embedded for embedded, read in enumerate(counts, 1))
    assert len(counts) > 8
    assert ahead <= 1 if limit == 0 else ahead > 1
