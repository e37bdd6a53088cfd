"""From pixels to committed rows beside an earlier build: `python -m benchmarks.pixels [--samples N]`.

Both builds embed the same samples in turn, each in a process of its own with the environment of this one, and
decode in it, so that its processor time is the whole job's. What is compared is processor time a sample, as
other work falls on both; and each vector column of their tables, row by row. One JSON in benchmarks/results/.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from data.simulate import simulate
from encoder.config import SkySenseConfig
from encoder.embed import Encoder
from encoder.shipped import shipped_weights
from encoder.skysense import SkySense

from .encoder import MIX, synthetic_batch
from .machine import ROOT, describe
from .ratio import BEFORE, ask

WORKER = Path(__file__).with_name("pixels_worker.py")
PACKAGES = ("torch", "numpy", "pyarrow", "rasterio")
GRANULARITY = 10  # H3 resolution of the finer rows


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pixels")
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--weights", default="nano-1", help="that both builds read")
    parser.add_argument("--also", default="nano-3", help="weights that only this build reads")
    parser.add_argument("--before", default=BEFORE, help="the commit that is compared")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()) / "skyhex-ratio")
    parser.add_argument(
        "--shared", type=Path, default=ROOT.parent / "shared", help="holds samples/catalog.json"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "pixels-to-rows.json")
    args = parser.parse_args(argv)
    tree = args.scratch / args.before
    if not tree.exists():
        words = ["git", "worktree", "add", "--force", "--detach", str(tree), args.before]
        subprocess.run(words, cwd=ROOT, check=True)
    landscape = args.scratch / "landscape"
    if not (landscape / "catalog.json").exists():
        simulate(landscape)
    catalogs = {"landscape": landscape / "catalog.json", "samples": args.shared / "samples" / "catalog.json"}
    report: dict[str, Any] = {
        "machine": describe(PACKAGES),
        "before": args.before,
        "weights": {"before": args.weights, "now": args.weights, "also": args.also},
        "gflop_per_sample": {
            name: flops(Encoder(name, "cpu").model.config) / 1e9 for name in (args.weights, args.also)
        },
    }
    for name, catalog in catalogs.items():
        with tempfile.TemporaryDirectory() as folder:
            report[name] = compared({"before": tree, "now": ROOT, "also": ROOT}, catalog, args, Path(folder))
        args.out.write_text(json.dumps(report, indent=1) + "\n")
        print(name, json.dumps(report[name]), flush=True)


def flops(config: SkySenseConfig) -> float:
    """Of 1 HR, 4 S2 and 2 S1 dates with the vectors of each sensor, counted on a model without data."""
    with torch.no_grad(), torch.device("meta"):
        model = SkySense(config).prepare()
        batch = synthetic_batch(model.config, MIX, 1, "meta")
        with FlopCounterMode(display=False) as counter:
            model.embed(batch)
    return float(counter.get_total_flops())


def compared(trees: dict[str, Path], catalog: Path, args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Jobs of all builds in turn, without and with finer rows, on one thread."""
    workers = {name: start(tree) for name, tree in trees.items()}
    opening = {"do": "open", "catalog": str(catalog), "samples": args.samples, "threads": 1}
    opened = {}
    for name, worker in workers.items():
        word = args.also if name == "also" else args.weights
        weights = str(shipped_weights(word) or word)  # a path: builds have other words
        opened[name] = ask(worker, **opening, weights=weights)
    job: dict[str, Any] = {"do": "job", "workers": 0, "granularity": None}
    for name, worker in workers.items():  # vectors, and all that is done once
        ask(worker, **job, vectors=str(folder / f"{name}.npz"))
    report: dict[str, Any] = {"samples": opened["now"]["samples"], "dates": opened["now"]["dates"]}
    kinds = [("rows", None), ("rows, and finer ones", GRANULARITY)]
    for what, granularity in kinds if "landscape" in str(catalog) else kinds[:1]:
        asked = {**job, "granularity": granularity, "vectors": None}
        rounds = [
            {name: ask(workers[name], **asked) for name in (trees if i % 2 else list(trees)[::-1])}
            for i in range(args.rounds)
        ]
        report[what] = summary(rounds)
    for worker in workers.values():
        worker.communicate()
    return {**report, "cosine": cosines(*(np.load(folder / f"{name}.npz") for name in ("before", "now")))}


def summary(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over rounds of each build, and how often "before" takes the processor time of each."""
    made: dict[str, Any] = {}
    for name in rounds[0]:
        ratios = sorted(one["before"]["cpu_ms"] / one[name]["cpu_ms"] for one in rounds)
        parts = rounds[0][name]["parts"]
        middle = {p: statistics.median(one[name]["parts"][p] for one in rounds) for p in parts}
        cpu_ms = statistics.median(one[name]["cpu_ms"] for one in rounds)
        made[name] = {
            "ratio": statistics.median(ratios),
            "least": ratios[0],
            "most": ratios[-1],
            "cpu_ms_per_sample": cpu_ms,
            "samples_per_cpu_s": 1000 / cpu_ms,
            "parts_cpu_ms": middle,
            "parts_share": {part: value / cpu_ms for part, value in middle.items()},
        }
    return made


def cosines(before: Any, now: Any) -> dict[str, dict[str, float]]:
    """Least cosine of each vector column over the rows that both tables have, and how many these are."""
    _, left, right = np.intersect1d(before["sample_id"], now["sample_id"], return_indices=True)
    return {
        name: _least(before[name][left], now[name][right])
        for name in before.files
        if name != "sample_id" and name in now.files
    }


def _least(a: NDArray[np.float64], b: NDArray[np.float64]) -> dict[str, float]:
    there = np.isfinite(a).all(axis=1) & np.isfinite(b).all(axis=1)
    a, b = a[there], b[there]
    cosine = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return {"rows": int(there.sum()), "least": float(cosine.min(initial=1.0))}


def start(tree: Path) -> subprocess.Popen[str]:
    """A process that waits for questions."""
    return subprocess.Popen(
        [sys.executable, "-P", str(WORKER)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


if __name__ == "__main__":
    main()
