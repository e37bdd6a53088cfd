"""Pre-training: one flat loop over steps made from their number, so that a resumed run is the same run.

Student and EMA teacher see two views of each place (paper, section 3.4). Run alone or under torchrun, where
DDP copies the student to each process and FSDP2 shards it.
"""

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..batch import Batch
from ..checkpoint import CheckpointError, load_weights, save_weights
from ..config import SkySenseConfig
from ..initialise import initialise
from ..skysense import SkySense
from ..state_file import load_state, save_state
from ..vit import ViT
from .branch import Branch
from .corpus import Corpus, Step
from .diagnostics import effective_rank, uniformity
from .objective import ObjectiveConfig, Observed, objective, weighted
from .optimiser import half_cosine, parameter_groups
from .parallel import Kind, Parallel, averaged, checkpoint_gradients, gathered, number
from .prototype_learning import learn_prototypes, seed_prototypes
from .teacher import Centring, follow, make_teacher, teacher_momentum

LAST = "last.pt"
BEST = "best.safetensors"
LOG = "log.jsonl"
DATE_HARMONICS = 6  # of the year


@dataclass(frozen=True)
class TrainConfig:
    """One run. It is saved in each checkpoint, and a run resumes only what has the same."""

    model: SkySenseConfig
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    name: str = "unnamed"  # of the weights that it makes, as tables record it; a resumed run may have another
    steps: int = 10_000
    learning_rate: float = 1e-3  # at its highest
    warm_up: int = 200  # steps
    weight_decay: float = 0.04  # of matrices; vectors have none
    clip_norm: float = 1.0  # of the gradient
    student_hidden: int = 256  # width of the heads
    bottleneck: int = 64
    outputs: int = 512  # K of each head
    teacher_momentum: float = 0.992  # at the start; rises to 1
    teacher_temperature: tuple[float, float] = (0.04, 0.07)  # DINO's, reached at `temperature_steps`
    temperature_steps: int = 1000
    centre_momentum: float = 0.9
    prototypes_per_region: int = 0  # N_p; 0 = the fused head looks through no geo-context
    modality_dropout: float = 0.3  # chance that the student fuses one modality alone
    learn_position: bool = (
        False  # False: the ViTs' patch positions stay zero, so that windows of all sizes agree
    )
    date_amplitude: float = 6.0  # of the yearly harmonics that the date table starts from; 0 = seeded noise
    gradient_checkpointing: bool = False
    start: str = ""  # weights, or a `last.pt` whose teacher this run starts from; empty: from seeded weights
    seed: int = 0
    log_every: int = 20
    save_every: int = 200
    validate_every: int = 500


@dataclass(frozen=True)
class Progress:
    """Where a run stands, for whoever watches."""

    step: int
    steps: int
    values: dict[str, float]  # losses, diagnostics, learning rate, gradient norm


class NotFiniteError(RuntimeError):
    """The loss is NaN or infinite; names the file that holds the batch."""


def pretrain(
    config: TrainConfig,
    corpus: Corpus,
    folder: Path,
    *,
    device: str = "cpu",
    parallel: Kind = "none",
    validate: Callable[[SkySense], float] | None = None,
    watch: Callable[[Progress], None] | None = None,
    stop_after: float = math.inf,
    stop_at_step: int | None = None,
) -> SkySense:
    """Trains from `folder`'s last checkpoint, or from the start; returns the teacher's model.

    Args:
        config: The run.
        corpus: What it sees.
        folder: For `last.pt`, `best.safetensors` and `log.jsonl`.
        device: "cpu" or "cuda"; on CUDA the forward pass is in bf16.
        parallel: What torchrun's processes do.
        validate: Scores the teacher's model, higher is better; the best one is kept as `best.safetensors`.
        watch: Called with each logged step.
        stop_after: Seconds after which the run saves and stops, to be resumed.
        stop_at_step: Likewise a step; the schedule stays that of `config.steps`.

    Raises:
        CheckpointError: the folder holds another configuration.
        NotFiniteError: the loss is NaN; the batch is saved beside the last good checkpoint.
    """
    workers = Parallel.start(parallel, device)
    folder.mkdir(parents=True, exist_ok=True)
    run = Run(config, workers, torch.from_numpy(corpus.h3_cells))
    if (folder / LAST).is_file():
        run.load(folder / LAST)
    elif config.start:
        run.start_from(Path(config.start))
    log = Log(folder / LOG, workers.rank, run.step, watch)
    started = time.monotonic()
    last = config.steps if stop_at_step is None else min(stop_at_step, config.steps)
    while run.step < last and time.monotonic() - started < stop_after:
        step = corpus.step(run.step, workers.rank, workers.world)
        losses, seen = run.losses(step)
        loss = weighted(losses, config.objective)
        if not torch.isfinite(loss.detach()):
            raise _saved_batch(folder, run.step, step, losses)
        norm = run.update(loss)
        run.learn_prototypes(seen, step.first.h3_cell)
        run.step += 1
        if run.step % config.log_every == 0:
            log.write(run, step.source, losses, seen.embedding, norm)
        if run.step % config.save_every == 0:
            run.save(folder / LAST)
        if validate and run.step % config.validate_every == 0:
            run.keep_if_best(validate, folder / BEST, log)
    run.save(folder / LAST)
    workers.stop()
    return run.teacher.model


class StudentStep(nn.Module):
    """The student with its losses as one call, as DDP and FSDP2 need it."""

    def __init__(self, branch: Branch) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, *args: Any, **settings: Any) -> tuple[dict[str, Tensor], Observed]:
        """`objective` of this student."""
        return objective(self.branch, *args, **settings)


class Run:
    """Everything that changes from step to step: what a checkpoint holds."""

    def __init__(self, config: TrainConfig, workers: Parallel, h3_cells: Tensor) -> None:
        self.config = config
        self.workers = workers
        torch.manual_seed(config.seed)
        model = SkySense(config.model)
        initialise(model, config.seed)
        fix_positions(model, config.learn_position)
        start_dates(model, config.date_amplitude, config.seed)
        if config.prototypes_per_region:
            seed_prototypes(model, h3_cells, config.prototypes_per_region, config.seed)
        student = Branch(model, config.student_hidden, config.bottleneck, config.outputs).to(workers.device)
        self.teacher = make_teacher(student)
        if config.gradient_checkpointing:
            checkpoint_gradients(student)
        workers.shard(self.teacher)
        self.student = StudentStep(student)
        self.wrapped = workers.wrap(self.student)
        self.centring = Centring(config.centre_momentum)
        self.optimizer = torch.optim.AdamW(parameter_groups(self.student, config.weight_decay))
        self.step = 0
        self.best = -math.inf

    def losses(self, step: Step) -> tuple[dict[str, Tensor], Observed]:
        """The losses of one step by name, and what the student made of its first view."""
        config = self.config
        first, last = config.teacher_temperature
        temperature = first + (last - first) * min(1.0, self.step / config.temperature_steps)
        pair = step.first.to(self.workers.device), step.second.to(self.workers.device)
        with torch.autocast(
            self.workers.device.type, torch.bfloat16, enabled=self.workers.device.type == "cuda"
        ):
            losses, seen = self.wrapped(
                self.teacher, self.centring, pair, self._shown(pair), config.objective,
                teacher_temperature=temperature, same_window=step.same_window,
            )  # fmt: skip
        self.workers.after_forward(self.teacher)
        return losses, seen

    def _shown(self, pair: tuple[Batch, Batch]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Modalities that the student fuses of each view: all, or one alone."""
        rng = np.random.default_rng((self.config.seed, 1, self.step))
        names = [tuple(batch.series) for batch in pair]
        alone = [len(n) > 1 and rng.random() < self.config.modality_dropout for n in names]
        return tuple((str(rng.choice(n)),) if a else n for n, a in zip(names, alone, strict=True))  # type: ignore[return-value]

    def update(self, loss: Tensor) -> float:
        """One step of the optimiser, the teacher and the centres; returns the gradient's norm."""
        config = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, config)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.student.parameters(), config.clip_norm)
        self.optimizer.step()
        momentum = teacher_momentum(self.step, config.steps, config.teacher_momentum)
        follow(self.teacher, self.student.branch, momentum)
        self.centring.update()
        return number(norm)

    def learn_prototypes(self, seen: Observed, h3_cells: Tensor) -> None:
        """Moves the prototypes of the regions that the step has seen."""
        if self.config.prototypes_per_region:
            cells = gathered(h3_cells.to(self.workers.device))
            learn_prototypes(self.student.branch.model.geo, gathered(seen.fused), gathered(seen.valid), cells)

    def keep_if_best(self, validate: Callable[[SkySense], float], path: Path, log: "Log") -> None:
        """Scores the teacher's model and keeps it if no earlier one was better."""
        model = self.teacher.model.eval()
        with torch.inference_mode():
            score = validate(model)
        model.train()
        log.note({"step": self.step, "validation": score})
        if score > self.best:
            self.best = score
            if self.workers.rank == 0:
                save_weights(model, path, self.config.name, trained=True)

    def save(self, path: Path) -> None:
        """Writes the whole state, replacing the file at once."""
        state = {
            "config": json.dumps(asdict(self.config)),
            "step": self.step,
            "best": self.best,
            "student": self.workers.model_state(self.student),
            "teacher": self.workers.model_state(self.teacher),
            "optimizer": self.workers.optimizer_state(self.student, self.optimizer),
            "centring": self.centring.state_dict(),
        }
        if self.workers.rank == 0:
            save_state(state, path)

    def start_from(self, path: Path) -> None:
        """Student and teacher start from weights, or from another run's teacher with a new date table."""
        if path.suffix == ".safetensors":
            model = load_weights(path)[0].state_dict()
            state = {f"model.{name}": value for name, value in model.items()}
            self._take(state)
            return
        saved = load_state(path)["teacher"]
        state = {name: value for name, value in saved.items() if "date_encoding" not in name}
        self._take(state)

    def _take(self, state: dict[str, Tensor]) -> None:
        self.workers.load_model_state(self.teacher, state)
        self.workers.load_model_state(
            self.student, {f"branch.{name}": value for name, value in state.items()}
        )

    def load(self, path: Path) -> None:
        """The inverse of `save`. Raises CheckpointError naming what differs in the configuration."""
        state = load_state(path)
        theirs, ours = json.loads(state["config"]), json.loads(json.dumps(asdict(self.config)))
        if changed := differences(theirs | {"name": self.config.name}, ours):
            raise CheckpointError(
                f"{path} was trained with another configuration: {'; '.join(changed)}."
                " Resume with the same settings, or start in an empty folder"
            )
        self.step, self.best = state["step"], state["best"]
        self.workers.load_model_state(self.student, state["student"])
        self.workers.load_model_state(self.teacher, state["teacher"])
        self.workers.load_optimizer_state(self.student, self.optimizer, state["optimizer"])
        self.centring.load_state_dict({n: c.to(self.workers.device) for n, c in state["centring"].items()})


def fix_positions(model: SkySense, learn: bool) -> None:
    """Unless they are learned, the ViTs' patch positions are zero for good."""
    for encoder in model.encoders.values():
        if isinstance(encoder, ViT) and not learn:
            nn.init.zeros_(encoder.position)
            encoder.position.requires_grad_(False)


@torch.no_grad()
def start_dates(model: SkySense, amplitude: float, seed: int) -> None:
    """Fills the date table with harmonics of the year, each column of its own order and phase (ours).

    Features leave the ViTs without a norm and ten times as large as seeded noise: dates that start as noise
    stay unseen. Zero leaves the table alone.
    """
    if not amplitude:
        return
    table = model.date_encoding.table  # (365, D)
    stream = np.random.RandomState(seed)
    order = stream.randint(1, DATE_HARMONICS + 1, table.shape[1])
    phase = 2 * np.pi * stream.random_sample(table.shape[1])
    angle = 2 * np.pi * np.arange(len(table))[:, None] / len(table) * order + phase
    table.copy_(torch.from_numpy(amplitude * np.sin(angle)))


def learning_rate(step: int, config: TrainConfig) -> float:
    """Linear warm-up, then half a cosine down to a hundredth."""
    if step < config.warm_up:
        return config.learning_rate * (step + 1) / config.warm_up
    done = (step - config.warm_up) / max(1, config.steps - config.warm_up)
    return config.learning_rate * half_cosine(done)


def differences(theirs: Any, ours: Any, where: str = "") -> list[str]:
    """What differs between two nested dictionaries, as "name: theirs, here ours"."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        keys = sorted(theirs.keys() | ours.keys())
        return [
            d for k in keys for d in differences(theirs.get(k), ours.get(k), f"{where}.{k}" if where else k)
        ]
    return [] if theirs == ours else [f"{where} was {theirs}, here {ours}"]


def _saved_batch(folder: Path, number: int, step: Step, losses: dict[str, Tensor]) -> NotFiniteError:
    path = folder / f"not-finite-{number}.pt"
    views = [{name: asdict(s) for name, s in batch.series.items()} for batch in (step.first, step.second)]
    torch.save({"views": views, "source": step.source, "rows": step.row.tolist()}, path)
    values = ", ".join(f"{name} {float(value.detach()):.3g}" for name, value in losses.items())
    return NotFiniteError(
        f"the loss of step {number} is not finite ({values}); its batch is in {path}, the last good state in"
        f" {folder / LAST}: inspect the batch, or resume with a lower learning rate"
    )


class Log:
    """One JSON object per logged step, by the first process; lines after a resumed step are dropped."""

    def __init__(self, path: Path, rank: int, step: int, watch: Callable[[Progress], None] | None) -> None:
        self.path = path if rank == 0 else None
        self.watch = watch if rank == 0 else None
        self.since = time.monotonic()
        if self.path and path.is_file():
            kept = [line for line in path.read_text().splitlines() if json.loads(line)["step"] <= step]
            path.write_text("".join(line + "\n" for line in kept))

    def write(self, run: Run, source: str, losses: dict[str, Tensor], embedding: Tensor, norm: float) -> None:
        """The losses and diagnostics of the step that was just done."""
        values = averaged(losses | {"loss": weighted(losses, run.config.objective)}) | {"gradient_norm": norm}
        values |= {"learning_rate": learning_rate(run.step - 1, run.config)}
        values |= {
            "effective_rank": effective_rank(embedding),
            "uniformity": uniformity(embedding),
        }
        values |= {f"outputs_used_{name}": used for name, used in run.centring.used.items()}
        self.note({"step": run.step, "source": source} | values)
        if self.watch:
            self.watch(Progress(run.step, run.config.steps, values))

    def note(self, line: dict[str, Any]) -> None:
        """Appends one line."""
        if self.path:
            with self.path.open("a") as file:
                file.write(json.dumps(line | {"seconds": round(time.monotonic() - self.since, 1)}) + "\n")
