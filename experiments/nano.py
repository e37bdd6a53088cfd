"""The training of nano's weights: what they see, and the variants that were compared.

    python -m experiments.nano train --shared ../shared --folder FOLDER [--minutes 45] [--variant NAME]
    python -m experiments.nano export --folder FOLDER --out encoder/weights/nano-1.safetensors
    python -m experiments.nano terms --shared ../shared

A run that is stopped goes on from FOLDER when the same command is given again. The lab book is LOG.md.
"""

import argparse
import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.progress import Progress as Bar
from safetensors import safe_open
from safetensors.torch import save_file

from data.training_rules import read_grounds
from encoder.checkpoint import load_weights, save_weights
from encoder.config import SkySenseConfig, SwinConfig, preset
from encoder.skysense import SkySense
from encoder.state_file import load_state
from encoder.training.augment import AugmentConfig
from encoder.training.objective import ObjectiveConfig
from encoder.training.pretrain import BEST, LAST, Progress, TrainConfig, pretrain
from encoder.training.tensorboard_log import tensorboard_log

from .nano_corpus import build_corpus, series_paths, training_places
from .retrieval.validation import read_validation, validation_score

NANO = preset("nano")
assert isinstance(NANO.hr, SwinConfig)
MODEL = replace(NANO, hr=replace(NANO.hr, pad_small_map=True))  # so that small crops can be trained on
PAPER = ObjectiveConfig()
CHOSEN = ObjectiveConfig(alpha=0.1, beta=2.0, completion=4.0, place=1.0)
BASE = TrainConfig(MODEL, PAPER, learning_rate=7e-4, warm_up=100, save_every=100)
SPREAD = ObjectiveConfig(alpha=0.0, beta=2.0, completion=4.0, spread=1.0)
TUNED = ObjectiveConfig(alpha=0.0, beta=2.0, completion=4.0, place=1.0, spread=0.1)
PLAIN = replace(TUNED, place=0.0)
VARIANTS = {
    "paper": BASE,
    "nano-1": replace(BASE, objective=CHOSEN, name="skyhex/nano-1"),
    "nano-2": replace(BASE, objective=SPREAD, name="skyhex/nano-2", learning_rate=5e-4, warm_up=50),
    # the geometry joins what each sensor says alone, so the student mostly shows one, and the teacher all
    "nano-2 near": replace(
        BASE, objective=TUNED, name="skyhex/nano-2", learning_rate=2e-4, warm_up=50, modality_dropout=0.8
    ),
    "nano-2 plain": replace(BASE, objective=PLAIN, name="skyhex/nano-2", modality_dropout=0.8),
    "nano-2 placed": replace(BASE, objective=TUNED, name="skyhex/nano-2", modality_dropout=0.8),
    "nano-1 on": replace(
        BASE, objective=TUNED, name="skyhex/nano-1-on", learning_rate=4e-4, warm_up=50, modality_dropout=0.8
    ),
    "left out": replace(BASE, objective=CHOSEN, name="skyhex/left-out"),
    "left out, disturbed": replace(BASE, objective=TUNED, name="skyhex/left-out", modality_dropout=0.8),
}
SENTINEL = {"aerial": False, "near": 0.5, "paired": 1.5}
DISTURBED = SENTINEL | {
    "augment": AugmentConfig(
        date_jitter_days=10,
        gain_std={"hr": 0.15, "s2": 0.10, "s1": 0.0},
        offset_std={"hr": 10.0, "s2": 80.0, "s1": 1.2},
    )
}
UNSEEN = "worldcereal"  # series that "left out" never sees
DIETS: dict[str, dict[str, Any]] = {  # what of the corpus a variant sees, and how often
    "nano-2": {"aerial": False},
    "nano-2 near": SENTINEL,
    "nano-2 plain": SENTINEL,
    "nano-2 placed": SENTINEL,
    "nano-1 on": DISTURBED,
    "left out": {"aerial": False, "without": UNSEEN},
    "left out, disturbed": DISTURBED | {"without": UNSEEN},
}


def train(arguments: argparse.Namespace) -> None:
    """Trains a variant until its steps are done or time is up."""
    steps = arguments.steps
    config = replace(
        VARIANTS[arguments.variant],
        steps=steps,
        validate_every=max(1, steps // arguments.validations),
        start=arguments.start,
        seed=arguments.seed,
    )
    corpus = build_corpus(arguments.shared, config.model, **DIETS.get(arguments.variant, {}))
    corpus = replace(corpus, seed=arguments.seed)
    for source in corpus.sources:
        print(f"{source.name}: {len(source.samples)} samples, {source.share:.0%} of the steps", flush=True)
    sets = read_validation(series_paths(arguments.shared), config.model.px_per_cell)

    def validate(model: SkySense) -> float:
        scores = validation_score(model, sets)
        print(json.dumps({name: round(value, 4) for name, value in scores.items()}), flush=True)
        return scores["score"]

    curves = tensorboard_log(arguments.folder) if arguments.tensorboard else None
    with Bar() as bar:
        task = bar.add_task(f"training {arguments.variant}", total=steps)

        def watch(progress: Progress) -> None:
            bar.update(task, completed=progress.step)
            if curves:
                curves(progress)

        pretrain(
            config,
            corpus,
            arguments.folder,
            device=arguments.device,
            parallel=arguments.parallel,
            validate=validate,
            watch=watch,
            stop_after=60 * arguments.minutes,
        )


def export(folder: Path, out: Path, last: bool) -> str:
    """Writes a run's best weights, or its last, as float16. Returns the SHA-256 of the file."""
    if not last:
        model, info = load_weights(folder / BEST)
        return save_half(model, out, info.name)
    state = load_state(folder / LAST)
    config = json.loads(state["config"])
    model = SkySense(SkySenseConfig.from_json(json.dumps(config["model"]))).eval()
    teacher = {name.removeprefix("model."): tensor for name, tensor in state["teacher"].items()}
    model.load_state_dict({name: teacher[name] for name in model.state_dict()})
    return save_half(model, out, config["name"])


def save_half(model: SkySense, out: Path, name: str, ranks: Mapping[str, float] | None = None) -> str:
    """Rounds a model to float16 in place, and writes it so: half the bytes; it loads as float32.

    Returns the SHA-256 of the file.
    """
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(tensor.half())  # first, so that the digest is that of what will be loaded
    save_weights(model, out, name, trained=True, ranks=ranks)
    with safe_open(out, "pt") as file:
        metadata = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    save_file({key: t.half() if t.is_floating_point() else t for key, t in tensors.items()}, out, metadata)
    return hashlib.sha256(out.read_bytes()).hexdigest()


def terms(shared: Path) -> str:
    """The places that are trained on, by terms, as Markdown for the model card."""
    by_terms: dict[str, list[str]] = {}
    for name, places in training_places(shared).items():
        grounds = read_grounds(shared / name / "catalog.json")
        for place in sorted(places):
            by_terms.setdefault(", ".join(sorted(grounds[place].licences)), []).append(place)
    return "\n".join(f"- {licence} ({len(names)}): {', '.join(names)}" for licence, names in by_terms.items())


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["train", "export", "terms"])
    parser.add_argument("--shared", type=Path, help="folder of samples/, corpus/, eval/ and series/")
    parser.add_argument("--folder", type=Path, help="for checkpoints and the log")
    parser.add_argument("--last", action="store_true", help="export the last step, not the best")
    parser.add_argument("--out", type=Path, help="file of the exported weights")
    parser.add_argument("--variant", choices=VARIANTS, default="nano-1")
    parser.add_argument(
        "--start", default="", help="weights, or last.pt of another run, that this one starts from"
    )
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--validations", type=int, default=12, help="how often the run is scored")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--parallel", choices=["none", "ddp", "fsdp"], default="none", help="under torchrun")
    parser.add_argument("--tensorboard", action="store_true", help="write curves into the folder")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.command == "train":
        train(arguments)
    elif arguments.command == "export":
        print(export(arguments.folder, arguments.out, arguments.last))
    else:
        print(terms(arguments.shared))


if __name__ == "__main__":
    main()
