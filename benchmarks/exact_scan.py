"""Exact search by torch: `python -m benchmarks.exact_scan [--device cuda] [--rows N]... [--smoke] [-o FILE]`.

Vectors are made on the device from a seed, so torch and NumPy are all that a machine needs. Measured is what
names the rows that may be the best (`pipeline/on_device/scan.py`), for one query and for many, over all rows
and over areas: bytes a second beside those of a large copy, FLOP a second beside those of a large matrix
product, and the operations that took longest. What is named is held against all cosines in float64.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from indexer.geo.row_ranges import RowRanges, Rows
from pipeline.on_device.scan import HeldVectors

from .encoder import measure_peak, mfu_clock, time_call
from .machine import ROOT, describe

DIMENSION = 128
LATENT, KINDS, PLACE_ROWS = 12, 200, 2_401  # directions, kinds of place, rows of a place
SIZES = (100_000, 1_000_000, 10_000_000)
BATCHES = (1, 16, 256, 1_024)
AREAS = (1.0, 0.01, 0.001)  # shares of the rows
RANGES = 40  # of an area: cells of a coarse resolution lie in some
K = 10
SLACK, DECIMALS = 1e-7, 7  # what `indexer/index/on_device.py` asks with
CHECKED = 16  # queries of each case
CHUNK_ROWS = 65_536
COPIED_BYTES = {"cuda": 1 << 31, "cpu": 1 << 28}
SHOWN = 6  # operations


@dataclass(frozen=True)
class Result:
    """One case: some queries at once over some rows."""

    rows: int  # of all
    area: float  # share of them that match
    queries: int
    ms: float  # of all queries; processor time on a CPU, which others leave alone
    queries_per_s: float
    gb_per_s: float  # of the vectors that match, read once
    of_bandwidth: float
    tflops: float  # of the products with them
    of_product: float  # of a large matrix product
    named: float  # rows, a query
    equal: bool  # to the ten best in float64, of CHECKED queries
    longest: dict[str, float]  # operations, ms of the device


def make_vectors(rows: int, device: str, seed: int = 0) -> tuple[HeldVectors, Tensor]:
    """Vectors (rows, DIMENSION) float16, held for a scan, and as they are.

    Places of some thousand rows are of one of KINDS and vary in LATENT directions, with a little noise; one
    row in a hundred is another one once more.
    """
    draw = torch.Generator(device).manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw, device=device)

    kinds, turn = normal(KINDS, DIMENSION), normal(LATENT, DIMENSION)
    matrix = torch.empty(rows, DIMENSION, dtype=torch.float16, device=device)
    inverse = torch.empty(rows, device=device)
    for first in range(0, rows, CHUNK_ROWS):
        place = torch.arange(first, min(first + CHUNK_ROWS, rows), device=device) // PLACE_ROWS
        kind = kinds[(place * 7_919) % KINDS]
        made = kind + 0.3 * normal(len(kind), LATENT) @ turn + 0.1 * normal(len(kind), DIMENSION)
        made[::100] = made[0]
        stored = F.normalize(made).half()
        matrix[first : first + len(made)] = stored
        inverse[first : first + len(made)] = 1 / stored.double().norm(dim=1).float()
    return HeldVectors(matrix, inverse), matrix


def make_queries(matrix: Tensor, count: int, seed: int = 1) -> np.ndarray:
    """Vectors (count, 1, d) of norm 1 between two rows each."""
    draw = np.random.default_rng(seed)
    some = matrix[torch.from_numpy(draw.integers(0, len(matrix), (2, count))).to(matrix.device)]
    return F.normalize(some.double().sum(0)).cpu().numpy()[:, None]


def area_rows(share: float, rows: int, seed: int = 2) -> RowRanges:
    """A share of the rows, in RANGES runs."""
    if share == 1:
        return RowRanges.all_of(rows)
    length = max(int(share * rows) // RANGES, 1)
    starts = np.sort(np.random.default_rng(seed).choice(rows // length, RANGES, replace=False)) * length
    return RowRanges.merged(starts, starts + length)


def exact(matrix: Tensor, rows: RowRanges, queries: np.ndarray) -> list[list[int]]:
    """The K best rows for each query (q, 1, d), by cosines in float64; of equal ones the first."""
    wanted, numbers = torch.from_numpy(queries[:, 0]).to(matrix.device), rows.rows()
    pieces = (numbers[first : first + CHUNK_ROWS] for first in range(0, len(numbers), CHUNK_ROWS))
    cosines = torch.cat([_cosines(_at(matrix, some), wanted).cpu() for some in pieces], 1).numpy()
    return [numbers[np.lexsort((numbers, -one))[:K]].tolist() for one in cosines]


def _at(matrix: Tensor, rows: Rows) -> Tensor:
    return matrix[torch.from_numpy(rows).to(matrix.device)]


def _cosines(vectors: Tensor, wanted: Tensor) -> Tensor:
    return (wanted @ F.normalize(vectors.double()).T).round(decimals=DECIMALS)


def best_named(matrix: Tensor, named: list[Rows], queries: np.ndarray) -> list[list[int]]:
    """The K best of the rows that were named, in the same way."""
    best = []
    for rows, query in zip(named, torch.from_numpy(queries[:, 0]).to(matrix.device), strict=True):
        cosines = _cosines(_at(matrix, rows), query[None])[0].cpu().numpy()
        best.append(rows[np.lexsort((rows, -cosines))[:K]].tolist())
    return best


def longest(run: Callable[[], object]) -> dict[str, float]:
    """The operations that took longest, ms of the device."""
    on_cuda = torch.cuda.is_available()
    with profile(activities=[ProfilerActivity.CUDA if on_cuda else ProfilerActivity.CPU]) as profiled:
        run()
    spent = {
        event.key: (event.self_device_time_total if on_cuda else event.self_cpu_time_total) / 1e3
        for event in profiled.key_averages()
    }
    return dict(sorted(spent.items(), key=lambda one: -one[1])[:SHOWN])


def bandwidth(device: str, at_least_s: float) -> float:
    """Bytes a second that a large copy reads and writes."""
    some = torch.zeros(COPIED_BYTES[device] // 4, device=device)
    other = torch.empty_like(some)
    return (
        2
        * COPIED_BYTES[device]
        / mfu_clock(device, *time_call(lambda: other.copy_(some), device, at_least_s))
    )


def measure(
    rows: int, device: str, speeds: tuple[float, float], batches: tuple[int, ...], at_least_s: float
) -> Iterator[Result]:
    """All cases of one size; speeds are bytes and FLOP a second."""
    held, matrix = make_vectors(rows, device)
    for share in AREAS:
        matching = area_rows(share, rows)
        for count in batches:
            queries = make_queries(matrix, count)
            named = held.may_be_best(matching, queries, K, SLACK)
            checked = slice(min(count, CHECKED))
            equal = best_named(matrix, named[checked], queries[checked]) == exact(
                matrix, matching, queries[checked]
            )
            run = partial(held.may_be_best, matching, queries, K, SLACK)
            seconds = mfu_clock(device, *time_call(run, device, at_least_s))
            read = matching.count * (DIMENSION * matrix.element_size() + 4)
            flops = 2 * matching.count * DIMENSION * count
            yield Result(
                rows=rows,
                area=share,
                queries=count,
                ms=1e3 * seconds,
                queries_per_s=count / seconds,
                gb_per_s=read / seconds / 1e9,
                of_bandwidth=read / seconds / speeds[0],
                tflops=flops / seconds / 1e12,
                of_product=flops / seconds / speeds[1],
                named=float(np.mean([len(one) for one in named])),
                equal=equal,
                longest=longest(run),
            )


def as_markdown(results: list[Result]) -> str:
    """The table of docs/performance.md."""
    lines = [
        "| rows | area | queries | ms | a second | GB/s | of copy | TFLOP/s | of product | named | equal |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.rows:.0e} | {r.area:g} | {r.queries:,} | {r.ms:.3g} | {r.queries_per_s:,.0f} |"
        f" {r.gb_per_s:.3g} | {r.of_bandwidth:.0%} | {r.tflops:.3g} | {r.of_product:.0%} | {r.named:.1f} |"
        f" {r.equal} |"
        for r in results
    ]
    return "\n".join(lines)


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exact_scan")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rows", type=lambda text: int(float(text)), action="append", help="repeatable")
    parser.add_argument("--smoke", action="store_true", help="few rows, a moment long: does it run?")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement, at least")
    parser.add_argument("-o", "--out", type=Path, help="a JSON file; by default in benchmarks/results/")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Measures, smallest first, and writes the JSON after each size."""
    args = arguments(argv)
    seconds, batches = (0.0, (1, 16)) if args.smoke else (args.seconds, BATCHES)
    sizes = (5_000,) if args.smoke else tuple(args.rows or SIZES)
    format = torch.float16 if args.device == "cuda" else torch.float32
    speeds = bandwidth(args.device, seconds), measure_peak(args.device, format, seconds)
    report: dict[str, Any] = {
        "machine": describe(("torch", "numpy")),
        "device": torch.cuda.get_device_name() if args.device == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "dimension": DIMENSION,
        "k": K,
        "copy_gb_per_s": speeds[0] / 1e9,
        "product_tflops": speeds[1] / 1e12,
        "product_of": str(format).removeprefix("torch."),
        "results": [],
    }
    out = args.out or ROOT / "benchmarks" / "results" / f"exact-scan-{args.device}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    results: list[Result] = []
    for rows in sizes:
        for result in measure(rows, args.device, speeds, batches, seconds):
            results.append(result)
            print(as_markdown([result]).splitlines()[-1], flush=True)
        report["results"] = [asdict(result) for result in results]
        out.write_text(json.dumps(report, indent=1) + "\n")
    print(f"\n{as_markdown(results)}\n\n{out}")


if __name__ == "__main__":
    main()
