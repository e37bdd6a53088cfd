"""What interrupts writers, what a disk loses, and what becomes of bytes: the store after all of it."""

from __future__ import annotations

import errno
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial, partialmethod
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from indexer.errors import TableError
from indexer.index.faiss_index import build_index
from indexer.prototypes.regional import fit_prototypes
from indexer.search.search import search
from indexer.table import storage
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.storage import AlreadyThereError, Storage

from ..indexer.random_rows import MODEL, random_cells, random_rows
from ..indexer.small_tables import place_table, whole
from .mutations import damaged
from .queries import QUERY
from .trials import Foreign, Trials, outcome

ROOT = Path(__file__).resolve().parents[2]
CHILD = (sys.executable, "-m", "tests.scorecard.child")
NOW = timedelta(0)
ROWS = 20
BOXES = ((5.0, 45.0, 5.1, 45.1), (5.1, 45.0, 5.2, 45.1), (-60.0, -20.0, -59.9, -19.9))
POINTS = ("obstore.put", "obstore.copy", "obstore.delete", "os.fsync", "Path.rename", "Path.replace")


def rows_of(seed: int) -> Any:
    """A commit's rows, of names that no other has."""
    cells = random_cells(ROWS, seed, box=BOXES[seed % len(BOXES)])
    return random_rows(ROWS, seed, h3_cell=cells, sample_id=[f"{seed}-{i}" for i in range(ROWS)])


def names(table: EmbeddingTable) -> set[str]:
    return {name for batch in table.scan(["sample_id"]) for name in batch["sample_id"].to_pylist()}


def sound(path: Path, seeds: set[int]) -> str | None:
    """What is wrong with a table that holds these commits whole and no part of others, or nothing."""
    table = EmbeddingTable.open(path)
    if problems := table.validate():
        return problems[0]
    found = names(table)
    expected = {f"{seed}-{i}" for seed in seeds for i in range(ROWS)}
    if expected - found:
        return f"{len(expected - found)} committed rows are lost"
    if len(found) != table.row_count or len(found) % ROWS:
        return "rows of half a commit"
    search(table, QUERY, 5)
    return None


# ---- kills


def work(path: Path, first: int, point: str, times: int, seed: int) -> None:
    """A child: commits and upkeep in turn, told as they are done, until it ends itself at a point."""
    left, rng = [times], random.Random(seed)
    if point:
        _end_at(point, left)
    for commit in range(first, first + 40):
        table = EmbeddingTable.open_or_create(path, MODEL, h3_resolution=9)
        table = table.upsert(rows_of(commit), input_key=str(commit))
        print(commit, flush=True)
        match rng.randrange(5):
            case 0:
                table.compact()
            case 1:
                table.vacuum(keep=1, grace=NOW)
            case 2:
                build_index(table)
            case 3:
                fit_prototypes(table, region_resolution=1, per_region=2)


def _end_at(point: str, left: list[int]) -> None:
    """SIGKILL to this process before or after the n-th call of a named point."""
    holder: Any = {"obstore": storage.obstore, "os": os, "Path": Path}[point.split(".")[0]]
    name = point.split(".")[1]
    real = getattr(holder, name)

    def counted(*args: Any, **options: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        done = real(*args, **options)
        if left[0] == 1 and args and hash(str(args[-1])) % 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    setattr(holder, name, counted)


def kills(rng: random.Random, scratch: Path) -> Trials:
    """Children that end at a named point, or are killed after a random time."""
    path, done, first = scratch / "table", set[int](), 0
    while True:
        point = rng.choice((*POINTS, ""))
        arguments = [str(path), str(first), point, str(rng.randrange(1, 60)), str(rng.randrange(10**6))]
        child = subprocess.Popen([*CHILD, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        if not point:
            assert child.stdout is not None
            said = [child.stdout.readline()]
            time.sleep(rng.random())
            child.kill()
        else:
            said = []
        said += child.communicate()[0].split("\n")
        done |= {int(line) for line in said if line.strip()}
        first += 40
        yield f"at {point or 'a random moment'}: {found}" if (found := _checked(path, done)) else None
        if first > 4000:
            shutil.rmtree(path)
            done.clear()


def _checked(path: Path, done: set[int]) -> str | None:
    if not done and not EmbeddingTable.exists(path):
        return None
    found = outcome(lambda: sound(path, done))
    return found.what if isinstance(found, Foreign) else found


# ---- power


@dataclass
class Disk:
    """What a disk holds if the power goes: contents that were flushed, under names that were."""

    root: Path
    contents: list[bytes] = field(default_factory=list)  # by inode
    flushed: set[int] = field(default_factory=set)  # inodes
    names: dict[str, int] = field(default_factory=dict)  # as programs see them
    kept: dict[str, int] = field(default_factory=dict)  # as the disk has them
    folders: set[str] = field(default_factory=set)  # whose own name is flushed

    def put(self, path: str, content: bytes) -> None:
        self.contents.append(content)
        self.names[path] = len(self.contents) - 1

    def link(self, source: str, path: str) -> None:
        self.names[path] = self.names[source]

    def delete(self, path: str) -> None:
        self.names.pop(path, None)

    def sync(self, path: str) -> None:
        if path in self.names:
            self.flushed.add(self.names[path])
            return
        inside = {name for name in {*self.names, *self.kept} if str(Path(name).parent) == path}
        for name in inside:
            if name in self.names:
                self.kept[name] = self.names[name]
            else:
                self.kept.pop(name, None)
        above = {folder for name in self.names for folder in Path(name).parents}
        self.folders |= {str(folder) for folder in above if str(folder.parent) == path}

    def after_cut(self, rng: random.Random, folder: Path) -> None:
        """What is there when the power is back: of what was not flushed some, none or all, and no content."""
        share = rng.choice((0.0, 0.0, 0.5, 1.0))
        names = dict(self.kept)
        for name in {*self.names, *self.kept}:
            if self.names.get(name) != self.kept.get(name) and rng.random() < share:
                if name in self.names:
                    names[name] = self.names[name]
                else:
                    names.pop(name)
        for name, inode in names.items():
            above = [str(one) for one in Path(name).parents if str(one) not in (".", str(self.root))]
            if share == 0 and not all(one in self.folders for one in above if one.startswith(str(self.root))):
                continue
            content = self.contents[inode]
            if inode not in self.flushed:
                content = content[: rng.randrange(len(content) + 1)] if rng.random() < 0.5 else b""
            target = folder / Path(name).relative_to(self.root)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)


Event = tuple[str, tuple[Any, ...]]


@contextmanager
def recorded(root: Path) -> Iterator[list[Event]]:
    """The order of all writes, links, removals and flushes of a store."""
    events: list[Event] = []
    obstore, fsync = storage.obstore, os.fsync
    put, copy, delete = obstore.put, obstore.copy, obstore.delete

    def on_put(store: Any, path: str, content: Any, **options: Any) -> Any:
        done = put(store, path, content, **options)
        events.append(("put", (str(root / path), bytes(content))))
        return done

    def on_copy(store: Any, source: str, path: str, **options: Any) -> Any:
        done = copy(store, source, path, **options)
        events.append(("link", (str(root / source), str(root / path))))
        return done

    def on_delete(store: Any, path: str) -> Any:
        done = delete(store, path)
        events.append(("delete", (str(root / path),)))
        return done

    def on_fsync(descriptor: int) -> None:
        events.append(("sync", (str(Path(f"/proc/self/fd/{descriptor}").readlink()),)))
        fsync(descriptor)

    with (
        patch.object(obstore, "put", on_put),
        patch.object(obstore, "copy", on_copy),
        patch.object(obstore, "delete", on_delete),
        patch.object(os, "fsync", on_fsync),
    ):
        yield events


def power(rng: random.Random, scratch: Path) -> Trials:
    """A recorded run, cut at every point; unflushed data is dropped, in part or whole."""
    for run in range(10**6):
        root = scratch / f"run{run}" / "table"
        root.parent.mkdir()
        with recorded(root) as events:
            table = EmbeddingTable.create(root, MODEL, h3_resolution=9)
            for seed in range(4):
                table = table.upsert(rows_of(seed))
                events.append(("told", (seed,)))
                if rng.random() < 0.5:
                    table = table.commit_sidecar("kind", {"a": rng.randbytes(30)}, {})
                if rng.random() < 0.5:
                    table = table.compact()
                if rng.random() < 0.3:
                    table.vacuum(keep=1, grace=NOW)
        disk, told = Disk(root), set[int]()
        for cut, (what, arguments) in enumerate(events):
            if what == "told":
                told.add(arguments[0])
            else:
                getattr(disk, what)(*arguments)
            back = scratch / "back"
            disk.after_cut(rng, back)
            found = _checked(back, told) if told else None
            yield f"run {run}, after {what} {cut}: {found}" if found else None
            shutil.rmtree(back, ignore_errors=True)
        shutil.rmtree(root.parent)


# ---- answers, disks


def lost_answers(rng: random.Random, scratch: Path) -> Trials:
    """A commit that happened, and whose answer says that it did not, or never comes."""
    table, seeds = EmbeddingTable.create(scratch / "table", MODEL, h3_resolution=9), set[int]()
    for seed in range(10**6):
        put_new, left = Storage.put_new, [rng.randrange(1, 3)]
        error = rng.choice((AlreadyThereError("taken"), TableError("no answer")))

        answered = partialmethod(_put_unanswered, put_new=put_new, left=left, error=error)
        job = partial(table.upsert, rows_of(seed), input_key=str(seed))
        with patch.object(Storage, "put_new", answered):
            for _ in range(4):
                found = outcome(job, TableError)
                if not isinstance(found, TableError):
                    break
        seeds.add(seed)
        yield found.what if isinstance(found, Foreign) else _checked(scratch / "table", seeds)


def _put_unanswered(
    self: Storage, path: str, content: bytes, *, put_new: Any, left: list[int], error: Exception
) -> None:
    put_new(self, path, content)
    left[0] -= 1
    if left[0] >= 0:
        raise error


FAULTS = {
    "full": errno.ENOSPC,
    "I/O error": errno.EIO,
    "read-only": errno.EROFS,
    "too many files": errno.EMFILE,
}


def disks(rng: random.Random, scratch: Path) -> Trials:
    """Writes that fail at some call: a full disk, an I/O error, a read-only one, too many open files."""
    table = place_table(scratch / "table", n=30)
    before = names(table)

    def newest() -> EmbeddingTable:
        return EmbeddingTable.open(table.path)

    for seed in range(10**6):
        kind, at = rng.choice(list(FAULTS)), rng.randrange(12)
        jobs: list[Callable[[], Any]] = [
            partial(table.upsert, rows_of(seed)),
            lambda: build_index(newest()),
            lambda: newest().compact(),
            lambda: fit_prototypes(newest(), region_resolution=1, per_region=2),
        ]
        job = rng.choice(jobs)
        if kind == "too many files" and rng.random() < 0.5:
            with _few_files(at):
                found = outcome(job, TableError)
        else:
            with _failing(FAULTS[kind], at):
                found = outcome(job, TableError)
        after = outcome(newest)
        if isinstance(found, Foreign) or isinstance(after, Foreign):
            yield f"{kind}: {(found if isinstance(found, Foreign) else after).what}"
            continue
        left = names(after) - before
        whole_commit = left == {f"{seed}-{i}" for i in range(ROWS)} or not left
        problems = after.validate()
        is_right = not problems and whole_commit and not before - names(after)
        yield None if is_right else f"{kind}: {problems[:1] or left}"
        before = names(after)


@contextmanager
def _failing(number: int, at: int) -> Iterator[None]:
    """The n-th flush or put of the store fails."""
    left, put, fsync = [at], storage.obstore.put, os.fsync

    def fail(real: Callable[..., Any], *args: Any, **options: Any) -> Any:
        left[0] -= 1
        if left[0] <= 0:
            raise OSError(number, os.strerror(number))
        return real(*args, **options)

    with (
        patch.object(storage.obstore, "put", lambda *a, **o: fail(put, *a, **o)),
        patch.object(os, "fsync", lambda *a: fail(fsync, *a)),
    ):
        yield


@contextmanager
def _few_files(more: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    here = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (here + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# ---- writers


def writers(rng: random.Random, scratch: Path) -> Trials:
    """Processes that begin one table at once and go on beside compact, vacuum and index."""
    for round_ in range(10**6):
        path, first = scratch / f"table{round_}", 1000 * round_
        commands = [
            [*CHILD, "write", str(path), str(first + 10 * i), "4", role]
            for i, role in enumerate(("", "compact", "vacuum", "index"))
        ]
        children = [subprocess.Popen(one, cwd=ROOT, stderr=subprocess.PIPE, text=True) for one in commands]
        ended = [child.communicate()[1] for child in children]
        wrong = next((text.strip().split("\n")[-1] for text in ended if text.strip()), None)
        seeds = {first + 10 * i + j for i in range(len(children)) for j in range(4)}
        yield wrong or _checked(path, seeds)
        shutil.rmtree(path, ignore_errors=True)


def write(path: Path, first: int, commits: int, role: str) -> None:
    """One of them."""
    for seed in range(first, first + commits):
        table = EmbeddingTable.open_or_create(path, MODEL, h3_resolution=9)
        table = table.upsert(rows_of(seed), input_key=str(seed))
        if role == "compact":
            table.compact()
        elif role == "vacuum":
            table.vacuum(keep=2)
        elif role == "index":
            build_index(table)


# ---- bytes


def flips(rng: random.Random, scratch: Path) -> Trials:
    """A file of the table, its index or its prototypes damaged: an error of ours, or the same answers."""
    from ..indexer.table.test_damage_everywhere import forget

    table = place_table(scratch / "table", n=60)
    fit_prototypes(table, region_resolution=1, per_region=2)
    build_index(EmbeddingTable.open(table.path))

    def answers() -> tuple[Any, list[Any]]:
        forget()
        opened = EmbeddingTable.open(table.path)
        return whole(opened), search(opened, QUERY, 10).rows.select(["sample_id", "similarity"]).to_pylist()

    expected = answers()
    files = sorted(path for path in table.path.rglob("*") if path.is_file() and path.stat().st_size)
    while True:
        path = rng.choice(files)
        good = path.read_bytes()
        path.unlink()
        path.write_bytes(damaged(good, rng))
        found = outcome(answers, TableError)
        path.unlink()
        path.write_bytes(good)
        if isinstance(found, Foreign):
            yield f"{path.name}: {found.what}"
        elif isinstance(found, TableError):
            yield None
        else:
            same = found[0].equals(expected[0]) and _close(found[1], expected[1])
            yield None if same else f"{path.name}: other answers"


def _close(first: list[Any], second: list[Any]) -> bool:
    alike = [one["sample_id"] for one in first] == [one["sample_id"] for one in second]
    cosines = [[one["similarity"] for one in rows] for rows in (first, second)]
    return alike and np.allclose(*cosines, rtol=0, atol=2e-7)
