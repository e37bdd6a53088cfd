"""A test of the scorecard: trials without end, each good or bad, and what counts them within a budget."""

from __future__ import annotations

import random
import shutil
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

Trials = Iterator[str | None]  # None: as it should be; else what was wrong
OWN = "InputError", "UnreachableError", "CheckpointError", "TableError", "QueryError"


@dataclass(frozen=True)
class Trial:
    """One of the tests."""

    name: str
    what: str  # is tried, in a line
    run: Callable[[random.Random, Path], Trials]
    share: float = 1.0  # of the budget
    short: int = 2  # trials of the short form


@dataclass
class Score:
    """What became of a test."""

    name: str
    what: str
    tried: int = 0
    seconds: float = 0.0
    bad: list[str] = field(default_factory=list)


def score(trial: Trial, seed: int, scratch: Path, seconds: float | None) -> Score:
    """Run a test for a time, or for the trials of its short form; at least one trial either way."""
    folder = scratch / trial.name.replace(" ", "_").replace("/", "_")
    folder.mkdir(parents=True)
    found, began = Score(trial.name, trial.what), time.monotonic()
    trials = trial.run(random.Random(f"{seed} {trial.name}"), folder)
    for problem in islice(trials, None if seconds is not None else trial.short):
        found.tried += 1
        found.bad += [] if problem is None else [problem]
        found.seconds = time.monotonic() - began
        if seconds is not None and found.seconds > seconds:
            break
    trials.close()  # type: ignore[attr-defined]
    shutil.rmtree(folder, ignore_errors=True)
    return found


def outcome(work: Callable[[], Any], *own: type[Exception]) -> Any:
    """What work returns, or the error of our own that it raises; any other is a `Foreign`."""
    try:
        return work()
    except own as error:
        return error
    except (Exception, RecursionError) as error:  # noqa: BLE001 (whatever it is, it is counted)
        last = traceback.extract_tb(error.__traceback__)[-1]
        return Foreign(f"{type(error).__name__}: {error!s:.200} at {Path(last.filename).name}:{last.lineno}")


@dataclass(frozen=True)
class Foreign:
    """An error that is none of ours."""

    what: str
