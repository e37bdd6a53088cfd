"""From rasters to committed rows: how much land an hour, and how long the device waits for pixels.

python -m benchmarks.end_to_end --engine local --engine ray     # side by side: processor time and memory

Engines take turns, `--rounds` times, each job a tree of processes watched from outside. Ray's needs an
environment that has it: `.ray/bin/python` of `make test-ray`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Thread
from typing import IO

import h3
import shapely

from data.cover import Plan, plan_area
from data.sample import Sample, SampleSpec
from data.simulate import DEFAULT_AREAS, Area, simulate
from data.stac import read_catalog
from encoder.embed import EmbeddingBatch, Encoder
from encoder.loading import load_encoder
from pipeline.embed_job import embed_plan
from pipeline.on_ray.start import ray_engine
from tests.processes import descendants

from .machine import ROOT, describe

H3_RESOLUTION = 9
ENGINES = ("local", "ray")
LOOKS_EVERY_S = 0.5
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class EndToEnd:
    """One job over the simulated landscape."""

    weights: str
    device: str
    workers: int  # processes that decode
    samples: int
    dates: float  # mean number of images per sample
    seconds: float
    samples_per_s: float
    km2_per_h: float  # of hexagons
    waiting: float  # share of the time that the encoder did nothing


class Timed(Encoder):
    """An encoder that counts the seconds it works and the images it sees."""

    busy_s = 0.0
    images = 0

    def embed(self, samples: Sequence[Sample], dense: bool = False) -> EmbeddingBatch:
        """See `Encoder.embed`."""
        start = time.perf_counter()
        made = super().embed(samples, dense)
        self.busy_s += time.perf_counter() - start
        self.images += sum(len(series.valid) for sample in samples for series in sample.series.values())
        return made


def run(device: str, weights: str = "nano") -> EndToEnd:
    """Simulates a landscape (not timed), then decodes, embeds and commits every cell of it."""
    workers = decoders()
    encoder = Timed(weights, device=device)
    with tempfile.TemporaryDirectory() as folder:
        plan = planned(simulate(Path(folder) / "imagery"), encoder.spec)
        start = time.perf_counter()
        table = Path(folder) / "table"
        report = embed_plan(plan, encoder, table, h3_resolution=H3_RESOLUTION, workers=workers)
        seconds = time.perf_counter() - start
    rate = report.embedded / seconds
    return EndToEnd(
        weights=encoder.info.name,
        device=device,
        workers=workers,
        samples=report.embedded,
        dates=encoder.images / report.embedded,
        seconds=seconds,
        samples_per_s=rate,
        km2_per_h=3600 * rate * h3.average_hexagon_area(H3_RESOLUTION, "km^2"),
        waiting=1 - encoder.busy_s / seconds,
    )


def planned(catalog: Path, spec: SampleSpec) -> Plan:
    """Every cell of a landscape."""
    world = read_catalog(str(catalog))
    area = shapely.union_all([scene.footprint for scene in world.scenes])
    return plan_area(world, spec, area, h3_resolution=H3_RESOLUTION)


def decoders() -> int:
    """Processes that decode, as the command line has it."""
    return max(1, (os.cpu_count() or 2) - 1)


def alone(engine: str, catalog: Path, weights: str) -> None:
    """One job; how many samples are done goes to stdout, line by line."""
    encoder = load_encoder(weights, "cpu")
    plan = planned(catalog, encoder.spec)
    make = partial(load_encoder, weights, "cpu")
    ray = ray_engine(make, encoder.info.digest, workers=decoders(), gpus_per_encoder=0)

    def tell(done: int, total: int) -> None:
        print(done, file=sys.__stdout__, flush=True)

    with tempfile.TemporaryDirectory() as folder, nullcontext() if engine == "local" else ray as on:
        embed_plan(
            plan,
            encoder,
            Path(folder) / "table",
            h3_resolution=H3_RESOLUTION,
            workers=decoders(),
            engine=on,
            progress=tell,
        )


@dataclass(frozen=True)
class Job:
    """What all processes of a job took. Steady: from the first batch that was done to the last."""

    engine: str
    samples: int
    seconds: float
    processor_s: float
    steady_seconds: float
    steady_samples: int
    steady_processor_s: float
    steady_memory_mb: float  # proportional set size, the median of those seen
    most_memory_mb: float
    processes: int  # in the steady state, at most


@dataclass
class _Seen:
    """What was looked at from outside."""

    times: dict[int, float] = field(default_factory=dict)  # processor seconds, the last seen of each process
    done: list[tuple[float, int]] = field(default_factory=list)  # (when, samples)
    looks: list[tuple[float, float, float, int]] = field(
        default_factory=list
    )  # when, processor s, MB, processes

    def look(self, process: int) -> None:
        memory = 0
        every = {process, *descendants(process)}
        for one in every:
            try:
                fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
                rollup = Path(f"/proc/{one}/smaps_rollup").read_text()
            except OSError:
                continue
            self.times[one] = (int(fields[11]) + int(fields[12])) / TICKS
            memory += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
        now = time.perf_counter()
        self.looks.append((now, sum(self.times.values()), memory / 1e3, len(every)))

    def listen(self, lines: IO[str]) -> None:
        for line in lines:
            self.done.append((time.perf_counter(), int(line)))


def watched(engine: str, catalog: Path, weights: str) -> Job:
    """Run a job in a process of its own, and look at it."""
    words = [
        "-m",
        "benchmarks.end_to_end",
        "--alone",
        engine,
        "--catalog",
        str(catalog),
        "--weights",
        weights,
    ]
    seen, began = _Seen(), time.perf_counter()
    job = subprocess.Popen([sys.executable, *words], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert job.stdout is not None
    thread = Thread(target=seen.listen, args=(job.stdout,))
    thread.start()
    while job.poll() is None:
        seen.look(job.pid)
        time.sleep(LOOKS_EVERY_S)
    thread.join()
    seconds = time.perf_counter() - began
    if job.returncode:
        sys.exit(f"the job on {engine} ended with {job.returncode}")
    (first, some), (last, samples) = seen.done[0], seen.done[-1]
    steady = [look for look in seen.looks if first <= look[0] <= last]
    return Job(
        engine,
        samples,
        round(seconds, 2),
        round(seen.looks[-1][1], 2),
        round(last - first, 2),
        samples - some,
        round(steady[-1][1] - steady[0][1], 2),
        round(statistics.median(look[2] for look in steady), 1),
        round(max(look[2] for look in seen.looks), 1),
        max(look[3] for look in steady),
    )


def main() -> None:
    """Write what each engine took, and what Ray took of what the local one did."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engine", action="append", choices=ENGINES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--times", type=int, default=1, help="as many samples: the default areas, and as many beside each"
    )
    parser.add_argument("--weights", default="nano")
    parser.add_argument("--catalog", type=Path, help="of a simulated landscape; else one is drawn")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "engines.json")
    parser.add_argument("--alone", choices=ENGINES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.alone:
        alone(given.alone, given.catalog, given.weights)
        return
    with tempfile.TemporaryDirectory() as folder:
        catalog = given.catalog or simulate(Path(folder), areas=wider(given.times))
        jobs = []
        for _ in range(given.rounds):
            for engine in given.engine or ENGINES:
                jobs.append(watched(engine, catalog, given.weights))
                print(json.dumps(asdict(jobs[-1])), flush=True)
    report = {
        **describe(("ray", "torch", "numpy", "pyarrow", "rasterio")),
        "weights": given.weights,
        "workers": decoders(),
        "jobs": [asdict(job) for job in jobs],
        "ratios": ratios(jobs),
    }
    given.out.write_text(json.dumps(report, indent=1) + "\n")


def wider(times: int) -> tuple[Area, ...]:
    """The default areas, and others of the same kind beside each."""
    return tuple(
        replace(area, name=f"{area.name}{i or ''}", lat_deg=area.lat_deg + 0.2 * i)
        for area in DEFAULT_AREAS
        for i in range(times)
    )


def ratios(jobs: Sequence[Job]) -> dict[str, list[float]]:
    """Of each round, what Ray took over what the local engine took; none of one engine."""
    by_engine = {name: [job for job in jobs if job.engine == name] for name in ENGINES}
    pairs = list(zip(by_engine["ray"], by_engine["local"], strict=False))
    return {
        "processor time a sample": [
            round((a.steady_processor_s / a.steady_samples) / (b.steady_processor_s / b.steady_samples), 3)
            for a, b in pairs
        ],
        "processor time of the whole job": [round(a.processor_s / b.processor_s, 3) for a, b in pairs],
        "memory": [round(a.steady_memory_mb / b.steady_memory_mb, 3) for a, b in pairs],
    }


if __name__ == "__main__":
    main()
