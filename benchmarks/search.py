"""Search beside its peers: `python -m benchmarks.search [--rows N] [--dim D] [--peers NAME...] [--smoke]`.

The same vectors, queries, filters and threads for all. Each peer is built in one process and searched in
another, so that its memory is its own. It has one JSON per size in benchmarks/results/, and a run goes on
with the peers that have none. Peers other than FAISS and DuckDB come with `pip install -e ".[bench]"`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from . import search_measure
from .machine import ROOT, describe
from .peers import PEERS
from .search_measure import memory_bandwidth_gb_s
from .search_report import as_markdown, plot
from .search_vectors import intrinsic_dimension, write

PACKAGES = ("skyhex", "faiss-cpu", "hnswlib", "usearch", "lancedb", "duckdb", "numpy", "pyarrow")
THREAD_SETTINGS = ("OMP_NUM_THREADS", "RAYON_NUM_THREADS", "LANCE_CPU_THREADS", "OPENBLAS_NUM_THREADS")
SMOKE = {"rows": 3_000, "dim": 16, "queries": 8, "peers": ["skyhex", "skyhex-search", "faiss-flat"]}

T = TypeVar("T")


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--threads", type=int, default=1, help="of building and searching alike")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()) / "skyhex-benchmark")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--smoke", action="store_true", help="a small set in this process: does it run?")
    args = parser.parse_args(argv)
    if args.smoke:
        vars(args).update(SMOKE)
    return args


def main(argv: list[str] | None = None) -> None:
    """Measures the peers that have no result yet, then writes the table and the plot of all."""
    args = arguments(argv)
    size = f"{args.rows}x{args.dim}"
    scratch, results = args.scratch / size, args.results / f"search-{size}"
    results.mkdir(parents=True, exist_ok=True)
    missing = [name for name in args.peers if not (results / f"{name}.json").exists()]
    if missing:
        _measure(args, missing, scratch, results)
    paths = {name: results / f"{name}.json" for name in PEERS}
    reports = {name: json.loads(path.read_text()) for name, path in paths.items() if path.exists()}
    plot(reports, results / "pareto.png")
    print(as_markdown(reports))


def _measure(args: argparse.Namespace, names: list[str], scratch: Path, results: Path) -> None:
    """The peers named, one after the other, each with its own JSON."""
    data = write(scratch / "data", args.rows, args.dim, args.queries)
    truths = search_measure.truths(scratch / "data", data)
    settings = {
        "rows": args.rows,
        "dimension": args.dim,
        "queries": args.queries,
        "threads": args.threads,
        "intrinsic_dimension": intrinsic_dimension(data.vectors),
        "faulty_rows_dropped": data.dropped,
    }
    run: Callable[..., Any] = _here if args.smoke else _in_new_process
    for name in names:
        if find_spec(PEERS[name].package.replace("-cpu", "")) is None:
            print(f"{name} is not installed, so it is left out")
            continue
        folder = scratch / (PEERS[name].built_as or name)
        built = _built(run, name, scratch / "data", folder, args.threads)
        answers = run(search_measure.search, name, scratch / "data", folder, args.threads, truths)
        report = {
            "peer": name,
            "machine": describe(PACKAGES),
            "memory_bandwidth_gb_s": memory_bandwidth_gb_s(),
            **settings,
            **built,
            **answers,
        }
        (results / f"{name}.json").write_text(json.dumps(report, indent=1) + "\n")
        print(f"{name}: done", flush=True)


def _built(run: Callable[..., Any], name: str, data: Path, folder: Path, threads: int) -> dict[str, float]:
    """Build a peer where it is not yet; what that took is kept beside it."""
    facts = folder.with_suffix(".json")
    if not facts.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        facts.write_text(json.dumps(run(search_measure.build, name, data, folder, threads)))
    built: dict[str, float] = json.loads(facts.read_text())
    return built


def _in_new_process(
    function: Callable[..., T], name: str, data: Path, folder: Path, threads: int, *rest: Any
) -> T:
    os.environ.update(dict.fromkeys(THREAD_SETTINGS, str(threads)))  # read when the libraries are loaded
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, name, data, folder, threads, *rest).result()


def _here(function: Callable[..., T], *arguments: Any) -> T:
    return function(*arguments)


if __name__ == "__main__":
    main()
