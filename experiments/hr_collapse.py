"""How the HR branch loses its dimensions in training: losses, gradients and ranks through a run.

    python -m experiments.hr_collapse --shared ../shared [--steps 400] [--out FILE.json]

From nothing, nano-1's losses, aerial images alone, their days arbitrary as nano-1 saw them, unknown, or
known with a date table of less amplitude. Ranks are those of `hr_ranks.py`, of held-out places' windows.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from data.sample import Sample
from encoder.training.augment import AugmentConfig
from encoder.training.corpus import Corpus
from encoder.training.objective import weighted
from encoder.training.parallel import Parallel
from encoder.training.pretrain import Run, TrainConfig

from .aerial_crops import read_crops
from .hr_ranks import BETWEEN, ranks_along, with_days
from .nano import VARIANTS
from .nano_corpus import build_corpus
from .recipe import command_line, write_result

NANO = VARIANTS["nano-1"]
DAYLESS = AugmentConfig(unknown_dates=1.0)
KINDS: dict[str, tuple[TrainConfig, AugmentConfig]] = {
    "days as nano-1": (NANO, AugmentConfig()),
    "no days": (NANO, DAYLESS),
    "days of amplitude 0.5": (replace(NANO, date_amplitude=0.5), AugmentConfig()),
    "no days, variance and covariance": (
        replace(NANO, objective=replace(NANO.objective, spread=1.0)),
        DAYLESS,
    ),
}
EVERY = 50  # steps


def aerial(corpus: Corpus, augment: AugmentConfig) -> Corpus:
    """The sources of aerial images alone."""
    sources = tuple(source for source in corpus.sources if source.name.startswith("aerial"))
    return replace(corpus, sources=sources, augment=augment)


def through(config: TrainConfig, corpus: Corpus, windows: list[Sample], steps: int) -> list[dict[str, Any]]:
    """One line every EVERY steps, and one before the first."""
    config = replace(config, steps=max(steps, config.warm_up + 1))
    run = Run(config, Parallel.start("none", "cpu"), torch.from_numpy(corpus.h3_cells))
    lines = [{"step": 0} | _ranks(run, windows)]
    seen: list[dict[str, float]] = []
    for number in range(steps):
        losses, _ = run.losses(corpus.step(number))
        run.update(weighted(losses, config.objective))
        run.step += 1
        seen.append({name: float(value.detach()) for name, value in losses.items()} | _gradients(run))
        if run.step % EVERY == 0:
            lines.append({"step": run.step} | _means(seen) | _ranks(run, windows))
            print(lines[-1], flush=True)
            seen = []
    return lines


def _ranks(run: Run, windows: list[Sample]) -> dict[str, Any]:
    model = run.student.branch.model
    was = model.training
    found = ranks_along(model.eval(), windows)
    model.train(was)
    return {name: found[name] for name in (*BETWEEN, "deviation")}


def _gradients(run: Run) -> dict[str, float]:
    """Norms of the clipped gradient by part."""
    model = run.student.branch.model
    parts: dict[str, nn.Module] = {
        "Swin": model.encoders["hr"], "date table": model.date_encoding, "fusion": model.fusion,
    }  # fmt: skip
    return {f"gradient, {name}": _norm(part.parameters()) for name, part in parts.items()}


def _norm(parameters: Iterable[Tensor]) -> float:
    grads = [p.grad for p in parameters if p.grad is not None]
    return float(torch.stack([grad.norm() for grad in grads]).norm()) if grads else 0.0


def _means(lines: list[dict[str, float]]) -> dict[str, float]:
    names = sorted({name for line in lines for name in line})
    each = {name: [line[name] for line in lines if name in line] for name in names}
    return {name: sum(values) / len(values) for name, values in each.items()}


def main() -> None:
    """The command line."""
    parser = command_line(__doc__)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    px = NANO.model.px_per_cell
    windows = with_days(read_crops(arguments.shared, px["hr"]).asked().samples)
    corpus = build_corpus(arguments.shared, NANO.model)
    lines = {
        name: through(config, aerial(corpus, augment), windows, arguments.steps)
        for name, (config, augment) in KINDS.items()
    }
    write_result({"windows": len(windows), **lines}, arguments.out)


if __name__ == "__main__":
    main()
