"""Speed of the encoder: `python -m benchmarks.encoder [--smoke] [--case NAME]... [--end-to-end] [-o FILE]`.

The model part needs torch and NumPy alone and makes its own inputs, so it runs on a bare GPU machine. It
reports samples and images per second, peak memory, model FLOPs (counted) and MFU against a matrix product
measured first, eager against compiled, and how far each way of running is from fp32 eager.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from encoder.batch import Batch, SeriesBatch
from encoder.config import SkySenseConfig, SwinConfig, preset
from encoder.skysense import SkySense
from encoder.swin_v2 import SwinV2
from encoder.vit import ViT

from .machine import ROOT, describe

Run = Callable[[], Tensor]
Way = tuple[str, torch.dtype, bool]  # name, number format, compiled

WAYS: dict[str, tuple[Way, ...]] = {  # fp32 eager, the reference, first
    "cpu": (("fp32 eager", torch.float32, False), ("fp32 compiled", torch.float32, True)),
    "cuda": (
        ("fp32 eager", torch.float32, False),
        ("bf16 eager", torch.bfloat16, False),
        ("bf16 compiled", torch.bfloat16, True),
    ),
}


@dataclass(frozen=True)
class Case:
    """One thing to measure."""

    name: str
    size: str  # preset
    dates: Mapping[str, int]  # by modality
    batch: int  # samples
    part: str = "whole"  # or "hr", "s2": one encoder alone
    px: int = 64  # image side of a part
    needs_cuda: bool = False  # too large for a CPU


MIX = {"hr": 1, "s2": 4, "s1": 2}
CASES = (
    Case("nano, 1 HR + 4 S2 + 2 S1", "nano", MIX, 16),
    Case("nano, 4 S2", "nano", {"s2": 4}, 16),
    Case("nano, 2 S1", "nano", {"s1": 2}, 16),
    Case("nano, 1 HR", "nano", {"hr": 1}, 16),
    Case("small, 1 HR + 4 S2 + 2 S1", "small", MIX, 8),
    Case("base, 1 HR + 4 S2 + 2 S1", "base", MIX, 2),
    Case("ViT-L patch 4, S2 64 px", "huge", {"s2": 1}, 1, part="s2"),
    Case("ViT-L patch 4, S2 64 px, batch 128", "huge", {"s2": 1}, 128, part="s2", needs_cuda=True),
    Case("Swin-H, HR 256 px", "huge", {"hr": 1}, 1, part="hr", px=256),
    Case("Swin-H, HR 512 px, batch 16", "huge", {"hr": 1}, 16, part="hr", px=512, needs_cuda=True),
    Case("huge, 1 HR 2048 px + 20 S2 + 10 S1", "huge", {"hr": 1, "s2": 20, "s1": 10}, 1, needs_cuda=True),
)
SMOKE = (Case("smoke", "nano", {"hr": 1, "s2": 2, "s1": 1}, 1),)


@dataclass(frozen=True)
class Result:
    """What was measured of one case, run in one way."""

    case: str
    way: str  # "fp32 eager", "bf16 compiled", ...
    batch: int
    samples_per_s: float
    images_per_s: float
    cpu_s_per_sample: float  # of all threads
    gflop_per_sample: float  # of the model, counted
    mfu: float  # against the measured peak of the same number format; of a core on a CPU
    peak_memory_gb: float
    cosine: float  # least, with fp32 eager on the same input


def synthetic_batch(config: SkySenseConfig, dates: Mapping[str, int], size: int, device: str) -> Batch:
    """Noise in the form of a batch whose pixels are all valid."""
    series = {}
    for name, count in dates.items():
        side = config.window_cells * config.px_per_cell[name]
        channels = getattr(config, name).in_channels
        pixels = torch.randn(size, count, channels, side, side, device=device)
        series[name] = SeriesBatch(pixels, None, torch.ones(size, count, dtype=torch.long, device=device))
    return Batch(series, torch.zeros(size, dtype=torch.long, device=device))


@dataclass(frozen=True)
class Subject:
    """A model with its input."""

    run: Run  # a vector per sample
    compile: Callable[[], None]


def build(case: Case, device: str) -> Subject:
    """The model of a case, or the part of it, on a device with inputs made once."""
    config = preset(case.size)
    with torch.device(device):
        if case.part == "whole":
            model = SkySense(config).prepare()
            batch = synthetic_batch(config, case.dates, case.batch, device)
            return Subject(lambda: model.embed(batch, by_modality=False).embedding, model.compile_parts)
        part: SwinV2 | ViT
        if case.part == "hr":
            assert isinstance(config.hr, SwinConfig)
            part = SwinV2(config.hr).eval()
            part.cache_bias()
        else:
            assert config.s2
            part = ViT(config.s2).eval()
        images = torch.randn(case.batch, part.config.in_channels, case.px, case.px)
    return Subject(lambda: part(images).float().mean(dim=(2, 3)), part.compile)


def count_flops(case: Case) -> float:
    """FLOPs per sample, counted on a model without data."""
    with torch.no_grad():
        subject = build(case, "meta")
        with FlopCounterMode(display=False) as counter:
            subject.run()
    return float(counter.get_total_flops() / case.batch)


def measure_peak(device: str, dtype: torch.dtype, at_least_s: float) -> float:
    """FLOP/s of a large matrix product, on the clock of `mfu_clock`."""
    n = 8192 if device == "cuda" else 2048
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    return 2 * n**3 / mfu_clock(device, *time_call(lambda: a @ b, device, at_least_s))


def mfu_clock(device: str, wall_s: float, cpu_s: float) -> float:
    """Seconds on CUDA; CPU seconds on a CPU, where other processes take a share of the cores."""
    return wall_s if device == "cuda" else cpu_s


def time_call(run: Callable[[], object], device: str, at_least_s: float) -> tuple[float, float]:
    """Least seconds and CPU seconds of calls made for so long, after two to warm up: other work only adds."""
    walls: list[float] = []
    cpus: list[float] = []
    for _ in range(2):
        run()
    while sum(walls) < at_least_s or len(walls) < 3:
        _wait(device)
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        _wait(device)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return min(walls), min(cpus)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


@torch.inference_mode()
def measure(
    case: Case, device: str, peaks: Mapping[torch.dtype, float], compiled: bool, at_least_s: float
) -> list[Result]:
    """A case in each way of running."""
    torch.manual_seed(0)
    flops = count_flops(case)
    subject = build(case, device)
    reference = subject.run()
    results = []
    for way, dtype, compile_it in WAYS[device]:
        if compile_it and not compiled:
            continue
        if compile_it:
            subject.compile()
        with torch.autocast(device, dtype, enabled=dtype != torch.float32):
            cosine = F.cosine_similarity(subject.run(), reference).min().item()
            _reset_memory(device)
            wall_s, cpu_s = time_call(subject.run, device, at_least_s)
        rate = case.batch / wall_s
        results.append(
            Result(
                case=case.name,
                way=way,
                batch=case.batch,
                samples_per_s=rate,
                images_per_s=rate * sum(case.dates.values()),
                cpu_s_per_sample=cpu_s / case.batch,
                gflop_per_sample=flops / 1e9,
                mfu=flops * case.batch / mfu_clock(device, wall_s, cpu_s) / peaks[dtype],
                peak_memory_gb=_peak_memory_gb(device),
                cosine=cosine,
            )
        )
    return results


def _reset_memory(device: str) -> None:
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()


def _peak_memory_gb(device: str) -> float:
    """Of the way measured last on CUDA; of the process so far on a CPU."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def as_markdown(results: list[Result]) -> str:
    """The table of docs/performance.md."""
    lines = [
        "| case | way | batch | samples/s | images/s | CPU s/sample | GFLOP/sample | MFU | GB | cosine |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.case} | {r.way} | {r.batch} | {r.samples_per_s:.3g} | {r.images_per_s:.3g} |"
        f" {r.cpu_s_per_sample:.3g} | {r.gflop_per_sample:,.1f} | {r.mfu:.0%} | {r.peak_memory_gb:.1f} |"
        f" {r.cosine:.5f} |"
        for r in results
    ]
    return "\n".join(lines)


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encoder")
    parser.add_argument("--smoke", action="store_true", help="one small case, a moment long: does it run?")
    parser.add_argument("--case", action="append", help="a case by the start of its name; repeatable")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--no-compile", action="store_true", help="eager alone")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement, at least")
    parser.add_argument("--end-to-end", action="store_true", help="also decode, embed and commit a landscape")
    parser.add_argument("-o", "--out", type=Path, help="a JSON file; by default in benchmarks/results/")
    return parser.parse_args(argv)


def chosen(args: argparse.Namespace) -> tuple[Case, ...]:
    """The cases that the command line asks for and the device can hold."""
    if args.smoke:
        return SMOKE
    wanted, cuda = tuple(args.case or ("",)), args.device == "cuda"
    return tuple(c for c in CASES if c.name.startswith(wanted) and (cuda or not c.needs_cuda))


def main(argv: list[str] | None = None) -> None:
    """Measures, prints the table, writes the JSON."""
    args = arguments(argv)
    seconds = 0.0 if args.smoke else args.seconds
    formats = {dtype for _, dtype, _ in WAYS[args.device]}
    peaks = {dtype: measure_peak(args.device, dtype, seconds) for dtype in formats}
    results: list[Result] = []
    for case in chosen(args):
        results += measure(case, args.device, peaks, not args.no_compile and not args.smoke, seconds)
        print(as_markdown(results[-1:]).splitlines()[-1], flush=True)
    report: dict[str, Any] = {
        "machine": describe(("torch", "numpy")),
        "device": torch.cuda.get_device_name() if args.device == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "peak_tflops": {str(dtype).removeprefix("torch."): peak / 1e12 for dtype, peak in peaks.items()},
        "results": [asdict(result) for result in results],
    }
    if args.end_to_end:
        from .end_to_end import run

        report["end_to_end"] = asdict(run(args.device))
    out = args.out or ROOT / "benchmarks" / "results" / f"encoder-{args.device}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=1) + "\n")
    print(f"\n{as_markdown(results)}\n\n{json.dumps(report.get('end_to_end'))}\n{out}")


if __name__ == "__main__":
    main()
