"""All that waits for a GPU, smallest first: `python -m benchmarks.on_gpu [-o DIR] [--have DIR] [--budget S]`.

Each step is a process of its own with a time of its own, and writes one JSON. A step whose JSON is there, or
in the folder of an earlier run (`--have`), is left out: what was cut off goes on where it was. torch and
NumPy are all that it needs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from .machine import ROOT

BUDGET_S = 780.0  # of a quarter of an hour; the rest is for the start


@dataclass(frozen=True)
class Step:
    """One measurement."""

    name: str  # of its JSON
    module: str
    words: tuple[str, ...]
    limit_s: float


def _scan(rows: str, limit_s: float) -> Step:
    return Step(f"exact-scan-{rows}", "benchmarks.exact_scan", ("--rows", rows, "--seconds", "0.5"), limit_s)


def _encoder(name: str, case: str, limit_s: float, *words: str) -> Step:
    return Step(f"encoder-{name}", "benchmarks.encoder", ("--case", case, "--seconds", "2", *words), limit_s)


STEPS = (
    _scan("1e5", 60),
    _scan("1e6", 60),
    _scan("1e7", 120),
    _encoder("nano", "nano", 60, "--no-compile"),
    _encoder("vit-l", "ViT-L", 60, "--no-compile"),
    _encoder("swin-h", "Swin-H", 90, "--no-compile"),
    _encoder("huge", "huge", 120, "--no-compile"),
    _encoder("vit-l-compiled", "ViT-L patch 4, S2 64 px, batch 128", 180),
    _encoder("swin-h-compiled", "Swin-H, HR 512 px, batch 16", 240),
    _encoder("nano-compiled", "nano, 1 HR", 180),
    _encoder("huge-compiled", "huge", 300),
    _encoder("small", "small", 60, "--no-compile"),
    _encoder("base", "base", 60, "--no-compile"),
)
SMOKE = tuple(
    Step(f"{module}-smoke", f"benchmarks.{module}", ("--smoke",), 120) for module in ("exact_scan", "encoder")
)


def run(step: Step, device: str, out: Path, limit_s: float) -> str:
    """Run a step, its output beside its JSON; how it ended."""
    scratch, log = out / f"{step.name}.part", out / f"{step.name}.log"
    words = [sys.executable, "-m", step.module, *step.words, "--device", device, "-o", str(scratch)]
    with log.open("w") as said:
        try:
            done = subprocess.run(words, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT, timeout=limit_s)
        except subprocess.TimeoutExpired:
            return f"cut off after {limit_s:.0f} s"
    if done.returncode:
        return f"failed: {(log.read_text().strip().splitlines() or ['?'])[-1]}"
    scratch.replace(out / f"{step.name}.json")
    return "done"


def main(argv: list[str] | None = None) -> None:
    """Runs the steps for which there is time, and says how each ended."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.on_gpu")
    parser.add_argument("-o", "--out", type=Path, default=ROOT / "benchmarks" / "results" / "gpu")
    parser.add_argument("--have", type=Path, help="JSON of an earlier run")
    parser.add_argument("--budget", type=float, default=BUDGET_S, help="seconds in all")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--smoke", action="store_true", help="a moment of each program: does it run?")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + args.budget
    for step in SMOKE if args.smoke else STEPS:
        began = time.monotonic()
        limit_s = min(step.limit_s, end - began)
        if any(folder and (folder / f"{step.name}.json").exists() for folder in (args.out, args.have)):
            ended = "is there"
        else:
            ended = run(step, args.device, args.out, limit_s) if limit_s > 0 else "no time is left"
        print(f"{step.name}: {ended}, {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
