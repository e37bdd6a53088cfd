"""nano-1 by other engines beside this build, part by part: `python -m benchmarks.encoder_engines`.

    pip install onnxruntime onnx openvino              # those that are not there are left out

On one thread, each part takes as much as the encoder gives it at a time. All engines take it in turn; the
least processor time of a call counts, as other work only adds. FLOPs are counted and set against a large
product of oneDNN.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from encoder.embed import Encoder
from encoder.linear import linear
from encoder.skysense import SkySense

from .machine import ROOT, describe

PACKAGES = ("torch", "onnxruntime", "openvino")
Run = Callable[[], Tensor]


class OneSensor(nn.Module):
    """A sensor's dates to the common grid: images (N, C, H, W), valid (N, H, W) -> (N, D, h, w)."""

    def __init__(self, model: SkySense, name: str) -> None:
        super().__init__()
        self.encoder, self.head = model.encoders[name], model.heads[name]

    def forward(self, images: Tensor, valid: Tensor) -> Tensor:
        """See the class."""
        out: Tensor = self.head(self.encoder(images, valid))
        return out


class Fusion(nn.Module):
    """Tokens (L, N, D), mask (L, N) -> (N, D)."""

    def __init__(self, model: SkySense) -> None:
        super().__init__()
        self.fusion = model.fusion

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """See the class."""
        return self.fusion.collect(tokens, mask)


@dataclass(frozen=True)
class Part:
    """What an engine runs."""

    module: nn.Module
    inputs: tuple[Tensor, ...]


def parts(model: SkySense) -> dict[str, Part]:
    """What the encoder runs of a batch of 16 samples, a piece of each."""
    images, tokens = torch.randn(64, 10, 64, 64), torch.randn(7, 1024, model.config.fusion.width)
    return {
        "HR, 4 images": Part(model.encoders["hr"], (torch.randn(4, 3, 256, 256),)),
        "S2, 64 dates": Part(OneSensor(model, "s2"), (images, torch.rand(64, 64, 64) > 0.1)),
        "fusion, 1,024 squares of 7 tokens": Part(Fusion(model), (tokens, torch.rand(7, 1024) > 0.05)),
        "fusion, 1,024 squares of 2 tokens": Part(Fusion(model), (tokens[:2], torch.rand(2, 1024) > 0.05)),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encoder_engines")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--weights", default="nano-1")
    parser.add_argument("--engine", action="append", choices=list(ENGINES), help="all that are installed")
    parser.add_argument(
        "-o", "--out", type=Path, default=ROOT / "benchmarks" / "results" / "encoder-engines.json"
    )
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    wanted = [name for name in args.engine or ENGINES if find_spec(ENGINES[name][0])]
    report: dict[str, Any] = {"machine": describe(PACKAGES), "weights": args.weights, "parts": {}}
    report["product_gflop_s"] = product_rate()
    for name, part in parts(Encoder(args.weights, device="cpu").model).items():
        report["parts"][name] = measured(part, wanted, args.rounds)
        print(name, json.dumps(report["parts"][name]), flush=True)
    report["machine"]["load"] = [report["machine"]["load"], os.getloadavg()[0]]
    args.out.write_text(json.dumps(report, indent=1) + "\n")


def measured(part: Part, engines: Sequence[str], rounds: int) -> dict[str, Any]:
    """Least processor ms of a call by this build and each engine; what each made against ours."""
    runs: dict[str, Run] = {"this build": lambda: part.module(*part.inputs)}
    began: dict[str, float] = {}
    for engine in engines:
        since = time.process_time()
        runs[engine] = ENGINES[engine][1](part)
        runs[engine]()
        began[engine] = time.process_time() - since
    figures: dict[str, dict[str, float]] = {name: {"cpu_ms": float("inf")} for name in runs}
    with torch.inference_mode():
        ours = runs["this build"]()
        for _ in range(rounds):
            for name, run in runs.items():
                figures[name]["cpu_ms"] = min(figures[name]["cpu_ms"], 1000 * cpu_seconds(run))
        for engine in engines:
            similar = F.cosine_similarity(ours.double(), runs[engine]().double(), dim=1)
            ratio = figures["this build"]["cpu_ms"] / figures[engine]["cpu_ms"]
            figures[engine] |= {"ratio": ratio, "start_cpu_s": began[engine], "cosine": float(similar.min())}
    return {"gflop": flops(part) / 1e9, **figures}


def cpu_seconds(run: Run) -> float:
    """Of one call."""
    began = time.process_time()
    run()
    return time.process_time() - began


def flops(part: Part) -> float:
    """Counted on a copy without data."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        deepcopy(part.module).to("meta")(*(x.to("meta") for x in part.inputs))
    return float(counter.get_total_flops())


@torch.inference_mode()
def product_rate() -> float:
    """GFLOP a second of a large linear layer by oneDNN."""
    x, weight = torch.randn(4096, 1024), torch.randn(1024, 1024)
    least = min(cpu_seconds(lambda: linear(x, weight, None)) for _ in range(10))
    return 2 * 4096 * 1024**2 / least / 1e9


def compiled(part: Part) -> Run:
    """By `torch.compile`, for these shapes."""
    run = torch.compile(part.module, dynamic=False)

    @torch.no_grad()
    def answer() -> Tensor:
        made: Tensor = run(*part.inputs)
        return made

    return answer


def onnx_runtime(part: Part) -> Run:
    """By ONNX Runtime, through a file of ONNX that torch writes."""
    runtime = import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    with NamedTemporaryFile(suffix=".onnx") as file:
        torch.onnx.export(part.module, part.inputs, file.name, dynamo=False, opset_version=17)
        session = runtime.InferenceSession(file.name, options, providers=["CPUExecutionProvider"])
    names = [asked.name for asked in session.get_inputs()]
    given = dict(zip(names, (x.numpy() for x in part.inputs), strict=True))
    return lambda: torch.from_numpy(session.run(None, given)[0])


def openvino(part: Part) -> Run:
    """By OpenVINO in single precision, for these shapes."""
    library = import_module("openvino")
    shapes = [tuple(x.shape) for x in part.inputs]
    traced = torch.jit.trace(part.module, part.inputs, check_trace=False)  # type: ignore[no-untyped-call]
    model = library.convert_model(traced, example_input=part.inputs, input=shapes)
    settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    request = library.compile_model(model, "CPU", settings).create_infer_request()
    given = [x.numpy() for x in part.inputs]
    return lambda: torch.from_numpy(request.infer(given, share_inputs=True)[0])


ENGINES: dict[str, tuple[str, Callable[[Part], Run]]] = {  # the package that each needs
    "torch.compile": ("torch", compiled),
    "ONNX Runtime": ("onnxruntime", onnx_runtime),
    "OpenVINO": ("openvino", openvino),
}


if __name__ == "__main__":
    main()
