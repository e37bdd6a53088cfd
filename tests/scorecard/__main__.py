"""The scorecard: `python -m tests.scorecard --minutes 15 --seed 0`; docs/reliability.md gets its table."""

from __future__ import annotations

import argparse
import json
import logging
import re
import sys
import tempfile
import warnings
from dataclasses import asdict
from pathlib import Path

from benchmarks.machine import describe

from .tests import TESTS
from .trials import Score, score

ROOT = Path(__file__).resolve().parents[2]
DOC = ROOT / "docs" / "reliability.md"
RESULTS = ROOT / "benchmarks" / "results" / "scorecard.json"
PACKAGES = ("duckdb", "faiss-cpu", "numpy", "obstore", "pyarrow", "rasterio", "torch")
TABLE = re.compile(r"(<!-- scorecard -->\n).*?(<!-- /scorecard -->)", re.DOTALL)


def main() -> None:
    """Run all tests, each for its share of the minutes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="tests whose names hold this text; results of others stay")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable()
    tests = [trial for trial in TESTS if asked.only is None or asked.only in trial.name]
    shares = sum(trial.share for trial in tests)
    scores = []
    with tempfile.TemporaryDirectory() as scratch:
        for trial in tests:
            seconds = 60 * asked.minutes * trial.share / shares
            scores.append(score(trial, asked.seed, Path(scratch), seconds))
            print(_line(scores[-1]), *scores[-1].bad[:5], sep="\n  ", flush=True)
    _write(scores, asked.minutes, asked.seed)
    sys.exit(any(one.bad for one in scores))


def _line(one: Score) -> str:
    return f"| {one.name} | {one.what} | {one.tried:,} | {len(one.bad)} |"


def _write(scores: list[Score], minutes: float, seed: int) -> None:
    """Into JSON, beside what stands there of other tests, and all of them as the page's table."""
    machine = describe(PACKAGES)
    run = {"time": machine["time"], "commit": machine["commit"], "minutes": minutes, "seed": seed}
    known = json.loads(RESULTS.read_text(encoding="utf-8"))["tests"] if RESULTS.exists() else {}
    known |= {one.name: asdict(one) | {"run": run} for one in scores}
    tests = {trial.name: known[trial.name] for trial in TESTS if trial.name in known}
    document = {"machine": machine, "tests": tests}
    RESULTS.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    lines = [f"| {name} | {t['what']} | {t['tried']:,} | {len(t['bad'])} |" for name, t in tests.items()]
    head = f"{machine['time'][:10]}, {machine['cores']} cores ({machine['cpu']}):\n\n"
    table = "\n".join(["| test | what is tried | tried | bad |", "|---|---|---:|---:|", *lines]) + "\n"
    text = DOC.read_text(encoding="utf-8")
    DOC.write_text(TABLE.sub(lambda found: found[1] + head + table + found[2], text), encoding="utf-8")


if __name__ == "__main__":
    main()
