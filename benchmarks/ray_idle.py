"""What a Ray of its own costs while nothing is asked of it: memory and processor time of each process.

.ray/bin/python -m benchmarks.ray_idle
"""

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.on_ray import cluster
from pipeline.on_ray.start import begun
from tests.processes import descendants

from .machine import ROOT, describe

TICKS = os.sysconf("SC_CLK_TCK")
SETTLED_S = 20.0  # after which nothing starts any more
CPUS = 3  # as beside one decoder, on two cores
NAMES = ("gcs_server", "raylet", "log_monitor", "monitor.py", "dashboard.py", "DashboardAgent",
         "RuntimeEnvAgent", "IDLE")  # fmt: skip


@dataclass(frozen=True)
class Idle:
    """A process while it waits."""

    name: str
    memory_mb: float  # proportional set size
    processor_ms_per_s: float


def times() -> dict[int, tuple[str, float, float]]:
    """By process the name, MB and processor seconds of all that this one has begun."""
    processes = {}
    for process, words in descendants(os.getpid()).items():
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:
            continue
        memory = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1e3
        name = next((name for name in NAMES if name in words), words[:40])
        processes[process] = name, memory, (int(fields[11]) + int(fields[12])) / TICKS
    return processes


def idle(seconds: float) -> list[Idle]:
    """Look twice at a Ray that does nothing."""
    with begun(None, CPUS):
        time.sleep(SETTLED_S)
        before = times()
        time.sleep(seconds)
        after = times()
    return [
        Idle(name, round(memory, 1), round(1e3 * (spent - before[process][2]) / seconds, 2))
        for process, (name, memory, spent) in sorted(after.items(), key=lambda item: item[1])
        if process in before
    ]


def main() -> None:
    """Write what each process takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--whole", action="store_true", help="as Ray begins it, with all that watches")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "ray-idle.json")
    given = parser.parse_args()
    if given.whole:
        cluster.CONFIG = {}
        cluster._end_watchers = lambda: None
    processes = idle(given.seconds)
    report = {
        **describe(("ray",)),
        "seconds": given.seconds,
        "processes": [asdict(one) for one in processes],
        "memory_mb": round(sum(one.memory_mb for one in processes), 1),
        "processor_ms_per_s": round(sum(one.processor_ms_per_s for one in processes), 2),
    }
    given.out.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1), file=sys.__stdout__)


if __name__ == "__main__":
    main()
