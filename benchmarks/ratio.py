"""This build beside an earlier one: `python -m benchmarks.ratio [--rows N] [--dim D] [--only PART...]`.

The earlier commit gets a git worktree and an environment of its own that shares the installed packages. Both
builds answer the same questions about tables of the same rows, in turn, so that whatever else a machine does
falls on both; what is compared is processor time. Everything is kept in a scratch folder and goes on where it
was stopped. One JSON a size in benchmarks/results/.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .machine import ROOT, describe
from .search_vectors import VectorSet, write

BEFORE = "05ae2c6"
PACKAGES = ("faiss-cpu", "duckdb", "numpy", "pyarrow", "obstore", "h3")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
WORKER = Path(__file__).with_name("ratio_worker.py")
CASES = (("all", 1.0), *((kind, share) for kind in ("region", "random") for share in (1e-4, 1e-3, 0.01, 0.1)))
QUERIES, MANY, K = 100, 1_000, 10
MADE = 200  # queries, as in benchmarks.search
DECIMALS = 7  # cosines that are equal in them are equally good
PARTS = ("index", "search", "cold", "small")
START = {"before": "from search_app.cli import main", "now": "from search_app.cli.main import run as main"}


@dataclass(frozen=True)
class Build:
    """One of the two: a name, a Python that imports it, and its tables."""

    name: str  # "before" or "now"
    python: str
    environment: dict[str, str]
    table: Path

    def start(self) -> subprocess.Popen[str]:
        """A process that waits for questions."""
        return subprocess.Popen(
            [self.python, "-P", str(WORKER)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=self.environment, cwd=self.table.parent,
        )  # fmt: skip


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ratio")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--before", default=BEFORE, help="the commit that is compared")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--build-only", action="store_true", help="make tables and indexes, measure nothing")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()) / "skyhex-ratio")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Build what is missing, measure, write the JSON; parts that were not asked for keep their result."""
    args = arguments(argv)
    folder = args.scratch / f"{args.rows}x{args.dim}"
    data = write(folder / "data", args.rows, args.dim, MADE)
    before, now = _builds(args, folder)
    built = _tables(before, now, folder)
    if args.build_only:
        return
    args.results.mkdir(parents=True, exist_ok=True)
    path = args.results / f"ratio-{args.rows}x{args.dim}.json"
    report = json.loads(path.read_text()) if path.exists() else {}
    report |= {"before": _commit(args.before), "rows": args.rows, "dimension": args.dim, "built": built}
    measured: dict[str, Callable[[], Any]] = {
        "index": lambda: _searched(before, now, folder, data, "skyhex", args.rounds),
        "search": lambda: _searched(before, now, folder, data, "skyhex-search", args.rounds),
        "cold": lambda: _cold(before, now, data, args.rounds),
        "small": lambda: _small(before, now, folder, args.rounds),
    }
    for part in args.only:
        report[part] = {"machine": describe(PACKAGES), **measured[part]()}
        path.write_text(json.dumps(report, indent=1) + "\n")
        print(part, json.dumps(_short(report[part])), flush=True)


def _builds(args: argparse.Namespace, folder: Path) -> tuple[Build, Build]:
    tree, environment = args.scratch / args.before, args.scratch / f"{args.before}-environment"
    if not (tree / "indexer").exists():
        _git("worktree", "add", "--force", "--detach", str(tree), args.before)
    if not (environment / "ready").exists():
        venv.create(environment, clear=True)
        (place,) = environment.glob("lib/*/site-packages")
        shared = [str(tree), *(entry for entry in sys.path if entry.endswith(("-packages", "dist-packages")))]
        (place / "tree.pth").write_text(
            f"import sys; sys.path[:0] = {[str(tree)]!r}; sys.path += {shared[1:]!r}\n"
        )
        (environment / "ready").touch()
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | ONE_THREAD
    ours = {**plain, "PYTHONPATH": str(ROOT)}
    return (
        Build("before", str(environment / "bin" / "python"), plain, folder / "old"),
        Build("now", sys.executable, ours, folder / "new"),
    )


def _tables(before: Build, now: Build, folder: Path) -> dict[str, Any]:
    """The same rows for both, written by the earlier build, each with an index of its own."""
    facts = folder / "built.json"
    built: dict[str, Any] = json.loads(facts.read_text()) if facts.exists() else {}
    with _Workers([before]) as ask:
        again = ask("before", do="build", data=str(folder / "data"), table=str(before.table))
    built.setdefault("before", again)
    if not (now.table / "manifests").exists():
        shutil.copytree(
            before.table, now.table, copy_function=os.link, ignore=shutil.ignore_patterns("index")
        )
    with _Workers([now]) as ask:
        again = ask("now", do="index", table=str(now.table))
    if "now" not in built or again["index_bytes"] != built["now"]["index_bytes"]:
        built["now"] = again
    facts.write_text(json.dumps(built))
    return built


def _searched(
    before: Build, now: Build, folder: Path, data: VectorSet, peer: str, rounds: int
) -> dict[str, Any]:
    """The whole answer, or the index alone, case by case, and the recall of both."""
    truth = _truths(folder, data)
    cases: dict[str, Any] = {}
    with _Workers([before, now]) as ask:
        opening = {"do": "open", "data": str(folder / "data"), "peer": peer}
        for build in (before, now):
            ask(build.name, **opening, table=str(build.table))
        for kind, share in CASES:
            question = {"do": "ask", "kind": kind, "share": share, "k": K, "queries": QUERIES}
            first = {name: ask(name, **question) for name in ("before", "now")}
            name = f"{kind} {share:g}"
            cases[name] = _alternated(ask, rounds, [question]) | {
                "recall": {b: _recall(data, truth[kind, share], first[b]["rows"]) for b in first},
                "first_pass_cpu_ms": {b: float(np.mean(first[b]["cpu_ms"])) for b in first},
            }
        if peer == "skyhex-search":
            cases |= _further(ask, rounds)
        cases["memory"] = {name: ask(name, do="memory") for name in ("before", "now")}
    return {"cases": cases}


def _further(ask: Callable[..., Any], rounds: int) -> dict[str, Any]:
    """Questions of other forms than a query by vector among filtered rows."""
    cases = {"by cell": _alternated(ask, rounds, [{"do": "ask_cells", "queries": QUERIES}])}
    fresh = [
        {"do": "ask_predicates", "share": 0.01, "first": 1000 * i, "queries": 10} for i in range(rounds + 1)
    ]
    for name in ("before", "now"):
        ask(name, **fresh[-1])  # digests are compared once
    cases["predicates not asked before"] = _alternated(ask, rounds, fresh[:-1])
    many = {"all 1 k 10000": {"do": "ask", "kind": "all", "share": 1.0, "k": 10_000, "queries": 5}}
    for name, question in many.items():
        cases[name] = _alternated(ask, min(rounds, 3), [question])
    batch = [{b: ask(b, do="ask_many", queries=MANY) for b in _in_turn(i)} for i in range(min(rounds, 3))]
    cases["many"] = _compared(
        [{b: {"wall_ms": [one[b]["wall_ms"]], "cpu_ms": [one[b]["cpu_ms"]]} for b in one} for one in batch]
    )
    return cases


def _in_turn(number: int) -> tuple[str, str]:
    return ("before", "now") if number % 2 == 0 else ("now", "before")


def _alternated(ask: Callable[..., Any], rounds: int, questions: list[dict[str, Any]]) -> dict[str, Any]:
    """The same questions to both, in turn, round by round."""
    return _compared(
        [{b: ask(b, **questions[i % len(questions)]) for b in _in_turn(i)} for i in range(rounds)]
    )


def _compared(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over rounds of percentiles over queries, and the ratio with its spread."""
    outcomes: dict[str, Any] = {}
    for clock in ("cpu_ms", "wall_ms"):
        for name, percent in (("p50", 50), ("p99", 99)):
            each = {
                b: [float(np.percentile(one[b][clock], percent)) for one in rounds] for b in ("before", "now")
            }
            ratios = [old / new for old, new in zip(each["before"], each["now"], strict=True)]
            outcomes[f"{clock} {name}"] = {
                b: round(float(np.median(values)), 4) for b, values in each.items()
            } | {
                "ratio": round(float(np.median(ratios)), 2),
                "spread": [round(min(ratios), 2), round(max(ratios), 2)],
            }
    return outcomes


def _truths(folder: Path, data: VectorSet) -> dict[tuple[str, float], NDArray[np.float64]]:
    """The k-th best cosine (q,) of each case, by brute force in float64; kept beside the data."""
    path = folder / "truths64.npz"
    if not path.exists():
        floors = _brute_force(data)
        np.savez(path.with_suffix(".part.npz"), floors=floors)
        path.with_suffix(".part.npz").replace(path)
    return dict(zip(CASES, np.load(path)["floors"], strict=True))


def _brute_force(data: VectorSet) -> NDArray[np.float64]:
    best = np.full((len(CASES), QUERIES, K), -np.inf)
    n = len(data.vectors)
    queries = _unit(np.asarray(data.queries[:QUERIES], np.float64))
    counts = [max(int(n * share), 1) for _, share in CASES]
    starts = np.array(
        [[int(np.random.default_rng((q, c)).integers(0, n - c + 1)) for q in range(QUERIES)] for c in counts]
    )
    for first, _ in data.chunks(16_384):
        rows = np.arange(first, min(first + 16_384, n))
        cosine = queries @ _unit(data.vectors[rows].astype(np.float64)).T  # (q, rows)
        for case, (kind, share) in enumerate(CASES):
            holds = np.ones(cosine.shape, bool)
            if kind == "random":
                holds &= data.draw[rows] < np.float32(share)
            elif kind == "region":
                holds = (rows >= starts[case][:, None]) & (rows < starts[case][:, None] + counts[case])
            better = holds & (cosine > best[case].min(axis=1)[:, None])
            for query in np.flatnonzero(better.any(axis=1)).tolist():
                both = np.concatenate([best[case, query], cosine[query, better[query]]])
                best[case, query] = np.partition(both, -K)[-K:]
    finite = np.where(np.isfinite(best), best, np.inf).min(
        axis=2
    )  # fewer than k rows match: the least of them
    return np.asarray(np.where(np.isfinite(finite), finite, -1))


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def _recall(data: VectorSet, floors: NDArray[np.float64], answers: list[list[int]]) -> float:
    """Mean share of the rows returned that are as good as the k-th best; too few count as missed."""
    queries, shares = _unit(np.asarray(data.queries, np.float64)), []
    for query, floor, rows in zip(queries, floors, answers, strict=False):
        some = np.unique(rows)
        cosine = _unit(data.vectors[some].astype(np.float64)) @ query
        shares.append(np.count_nonzero(cosine.round(DECIMALS) >= round(floor, DECIMALS)) / max(len(some), 1))
    return round(float(np.mean(shares)), 5)


def _cold(before: Build, now: Build, data: VectorSet, rounds: int) -> dict[str, Any]:
    """Processor time of commands from a cold shell, of an error, and of a first search from Python."""
    cell = f"{int(data.cells[len(data.cells) // 2]):x}"
    commands = {
        "search": ["search", "--cell", cell, "-k", "10"],
        "sql": ["sql", "SELECT count(*) FROM embeddings"],
        "info": ["info"],
        "log": ["log"],
        "error": ["search", "--cell", "nonsense"],
        "help": ["--help"],
    }
    commands_run = {
        name: _in_processes(
            {b.name: (b, [b.python, "-P", "-c", f"{START[b.name]}; main()", *words]) for b in (before, now)},
            rounds,
            fails=name == "error",
        )
        for name, words in commands.items()
    }
    ours = f"import skyhex; skyhex.search({str(now.table)!r}, cell={cell!r}, k=10)"
    parquet = f"read_parquet('{now.table}/h3_r*/*.parquet')"
    nearest = (
        "SELECT h3_cell, sample_id, start_datetime::TIMESTAMP, end_datetime::TIMESTAMP, n_s2, cloud_fraction "
        f"FROM {parquet} "
        "ORDER BY list_cosine_similarity(embedding::FLOAT[], (SELECT any_value(embedding::FLOAT[]) "
        f"FROM {parquet} WHERE h3_cell = {int(cell, 16)})) DESC LIMIT 10"
    )
    duck = f"import duckdb; duckdb.sql({nearest!r}).fetchall()"
    once = {"before": (now, [now.python, "-P", "-c", duck]), "now": (now, [now.python, "-P", "-c", ours])}
    commands_run["DuckDB's first query (before) beside skyhex.search (now)"] = _in_processes(once, rounds)
    return {"commands": commands_run}


def _in_processes(
    commands: dict[str, tuple[Build, list[str]]], rounds: int, fails: bool = False
) -> dict[str, Any]:
    for build, command in commands.values():  # files come into memory, modules are compiled
        if _run(build, command).wait() != 0 and not fails:
            raise RuntimeError(f"{command} fails")
    return _compared([{b: _spent(*commands[b]) for b in _in_turn(i)} for i in range(rounds)])


def _spent(build: Build, command: list[str]) -> dict[str, list[float]]:
    """Processor and wall milliseconds of a process."""
    began = time.perf_counter()
    process = _run(build, command)
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0
    wall = time.perf_counter() - began
    return {"cpu_ms": [1000 * (used.ru_utime + used.ru_stime)], "wall_ms": [1000 * wall]}


def _run(build: Build, command: list[str]) -> subprocess.Popen[bytes]:
    environment = {**build.environment, "SKYHEX_TABLE": str(build.table)}
    return subprocess.Popen(
        command, env=environment, cwd=build.table.parent, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def _small(before: Build, now: Build, folder: Path, rounds: int) -> dict[str, Any]:
    """2,000 rows all over the globe, without an index."""
    rounds_asked: list[dict[str, Any]] = []
    for number in range(min(rounds, 3)):
        rounds_asked.append({})
        for name, build in zip(("before", "now"), (before, now), strict=True):
            with _Workers([build]) as ask:  # nothing is kept from the round before
                table = str(folder / f"scattered-{name}-{number}")
                rounds_asked[-1][name] = ask(name, do="scattered", table=table, rows=2_000)
                shutil.rmtree(table)
    return {"files": {b: rounds_asked[0][b]["files"] for b in rounds_asked[0]}} | {
        what: _compared([{b: one[b][what] for b in one} for one in rounds_asked])
        for what in ("write", "first_search", "search")
    }


class _Workers:
    """Processes of some builds, that end with the block."""

    def __init__(self, builds: Sequence[Build]) -> None:
        self._builds = builds

    def __enter__(self) -> Callable[..., Any]:
        self._processes = {build.name: build.start() for build in self._builds}
        return self._ask

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.communicate()

    def _ask(self, build: str, **question: Any) -> Any:
        return ask(self._processes[build], **question)


def ask(process: subprocess.Popen[str], **question: Any) -> Any:
    """One question to a process that answers line by line, and its answer."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(question) + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise RuntimeError(f"{process.args!r} ended at {question}: see above")
    return json.loads(answer)


def _commit(name: str) -> str:
    return _git("rev-parse", "--short=12", name)


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _short(part: dict[str, Any]) -> dict[str, Any]:
    """Ratios alone, to look at."""
    flat = part.get("cases") or part.get("commands") or part
    return {
        name: [
            case["cpu_ms p50"]["ratio"],
            case["cpu_ms p50"]["now"],
            case["cpu_ms p99"]["ratio"],
            case.get("recall"),
        ]
        for name, case in flat.items()
        if isinstance(case, dict) and "cpu_ms p50" in case
    }


if __name__ == "__main__":
    main()
