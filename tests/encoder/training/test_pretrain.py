"""The loop: it learns, resumes on the same curve, refuses another configuration, stops at NaN."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h3
import pytest
import torch

from encoder.checkpoint import CheckpointError, load_weights
from encoder.skysense import SkySense
from encoder.training.parallel import Parallel
from encoder.training.pretrain import (
    BEST,
    LAST,
    LOG,
    NotFiniteError,
    Run,
    TrainConfig,
    learning_rate,
    pretrain,
    start_dates,
)

from ..tiny import CONFIG, KNOWN_DATES, corpus

ROOT = Path(__file__).resolve().parents[3]


def curve(folder: Path) -> list[float]:
    lines = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def weights(model: SkySense) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_a_resumed_run_is_the_same_run(tmp_path: Path) -> None:
    whole = pretrain(CONFIG, corpus(), tmp_path / "whole")
    pretrain(CONFIG, corpus(), tmp_path / "halves", stop_at_step=5)
    resumed = pretrain(CONFIG, corpus(), tmp_path / "halves")
    assert curve(tmp_path / "halves") == pytest.approx(curve(tmp_path / "whole"))
    assert len(curve(tmp_path / "whole")) == CONFIG.steps
    torch.testing.assert_close(weights(resumed), weights(whole))


def test_no_step_is_no_training(tmp_path: Path) -> None:
    start = Run(CONFIG, Parallel.start("none", "cpu"), torch.from_numpy(corpus().h3_cells)).teacher.model
    assert torch.equal(weights(pretrain(CONFIG, corpus(), tmp_path, stop_at_step=0)), weights(start))
    assert not torch.equal(weights(pretrain(CONFIG, corpus(), tmp_path, stop_at_step=1)), weights(start))


def test_the_loss_falls(tmp_path: Path) -> None:
    config = replace(CONFIG, steps=30, objective=replace(CONFIG.objective, alpha=0.0))
    pretrain(config, corpus(places=4), tmp_path)
    losses = curve(tmp_path)
    assert sum(losses[-5:]) < 0.95 * sum(losses[:5])


def test_prototypes_follow_the_student_and_travel_with_the_weights(tmp_path: Path) -> None:
    cell = h3.str_to_int(h3.latlng_to_cell(50.0, 10.0, 12))
    placed = corpus()
    source = replace(placed.sources[0], h3_cells=[cell])
    samples = [replace(sample, h3_cell=cell) for sample in source.samples]
    placed = replace(placed, sources=(replace(source, samples=samples),))
    config = replace(CONFIG, prototypes_per_region=3)
    pretrain(config, placed, tmp_path, stop_at_step=2)
    after_two = torch.load(tmp_path / LAST, weights_only=True)["student"]["branch.model.geo.prototypes"]
    model = pretrain(config, placed, tmp_path, validate=lambda _: 1.0, stop_at_step=4)
    assert model.geo.prototypes.shape == (1, 3, 16)
    assert not torch.equal(model.geo.prototypes, after_two)
    saved, _ = load_weights(tmp_path / BEST)
    assert torch.equal(saved.geo.prototypes, model.geo.prototypes)


def test_gradient_checkpointing_changes_nothing(tmp_path: Path) -> None:
    pretrain(CONFIG, corpus(), tmp_path / "plain", stop_at_step=3)
    pretrain(replace(CONFIG, gradient_checkpointing=True), corpus(), tmp_path / "saving", stop_at_step=3)
    assert curve(tmp_path / "saving") == pytest.approx(curve(tmp_path / "plain"))


def test_the_best_by_validation_is_kept(tmp_path: Path) -> None:
    scores = iter([0.5, 0.3])
    seen = []

    def validate(model: SkySense) -> float:
        seen.append(weights(model))
        return next(scores)

    pretrain(replace(CONFIG, name="tests/mine"), corpus(), tmp_path, validate=validate)
    best, info = load_weights(tmp_path / BEST)
    assert torch.equal(weights(best), seen[0])
    assert (info.name, info.trained) == ("tests/mine", True)


def test_a_run_from_before_runs_had_names_goes_on_under_one(tmp_path: Path) -> None:
    pretrain(CONFIG, corpus(), tmp_path, stop_at_step=1)
    state = torch.load(tmp_path / LAST, weights_only=True)
    config = json.loads(state["config"])
    del config["name"]
    torch.save(state | {"config": json.dumps(config)}, tmp_path / LAST)
    pretrain(replace(CONFIG, name="tests/mine"), corpus(), tmp_path, stop_at_step=2)
    assert len(curve(tmp_path)) == 2


def test_another_configuration_is_named(tmp_path: Path) -> None:
    pretrain(CONFIG, corpus(), tmp_path, stop_at_step=1)
    other = replace(CONFIG, objective=replace(CONFIG.objective, beta=0.5), seed=7)
    with pytest.raises(CheckpointError, match=r"objective\.beta was 1\.0, here 0\.5; seed was 0, here 7"):
        pretrain(other, corpus(), tmp_path)


def test_a_loss_that_is_not_finite_stops_with_its_batch_saved(tmp_path: Path) -> None:
    pretrain(CONFIG, corpus(), tmp_path, stop_at_step=2)
    good = (tmp_path / LAST).read_bytes()
    broken = corpus()
    for place in broken.sources[0].samples:
        place.series["s1"].pixels[:] = float("nan")
    with pytest.raises(NotFiniteError, match=r"not-finite-2\.pt"):
        pretrain(CONFIG, broken, tmp_path)
    kept = torch.load(tmp_path / "not-finite-2.pt", weights_only=True)
    assert kept["views"][0]["s1"]["pixels"].isnan().any()
    assert (tmp_path / LAST).read_bytes() == good


@pytest.mark.parametrize(
    ("modalities", "places", "dates"),
    [
        (("s2",), 6, 4),
        (("hr",), 6, 1),
        (("s2", "s1"), 6, 1),
        (("s2", "s1"), 1, 4),
        (("hr", "s2", "s1"), 3, 3),
    ],
    ids=["one modality", "aerial alone", "one date", "one place", "all, fewer than the batch"],
)
def test_poor_corpora_train(tmp_path: Path, modalities: tuple[str, ...], places: int, dates: int) -> None:
    pretrain(CONFIG, corpus(modalities, places, dates), tmp_path, stop_at_step=2)
    assert all(torch.isfinite(torch.tensor(curve(tmp_path))))


def test_patch_positions_stay_zero_so_that_windows_of_all_sizes_agree(tmp_path: Path) -> None:
    model = pretrain(CONFIG, corpus(), tmp_path, stop_at_step=2).eval()
    large = torch.zeros(1, 1, 10, 16, 16)
    large[..., :8, :8] = torch.randn(1, 1, 10, 1, 1)
    valid = torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    valid[..., :8, :8] = True
    small = model.encode_s2(large[..., :8, :8], valid[..., :8, :8])
    torch.testing.assert_close(model.encode_s2(large, valid)[..., :1, :1], small)


def test_learning_rate_warms_up_and_falls_to_a_hundredth() -> None:
    config = replace(CONFIG, steps=100, warm_up=10, learning_rate=1.0)
    assert learning_rate(0, config) == pytest.approx(0.1)
    assert learning_rate(9, config) == pytest.approx(1.0)
    assert learning_rate(55, config) == pytest.approx(0.505)
    assert learning_rate(100, config) == pytest.approx(0.01)


def started(config: TrainConfig) -> Run:
    return Run(config, Parallel.start("none", "cpu"), torch.zeros(0, dtype=torch.int64))


def test_matrices_decay_and_biases_norms_tokens_dates_and_positions_do_not() -> None:
    run = started(replace(CONFIG, learn_position=True))
    decayed, plain = run.optimizer.param_groups
    assert decayed["weight_decay"] > 0 == plain["weight_decay"]
    model = run.student.branch.model
    tables = [model.date_encoding.table, model.fusion.class_token]
    for name in ("s2", "s1"):
        tables += [model.encoders[name].position, model.encoders[name].class_token]
    assert {id(table) for table in tables} <= {id(p) for p in plain["params"]}
    layers = [m for m in run.student.modules() if isinstance(m, torch.nn.Linear | torch.nn.Conv2d)]
    assert {id(layer.weight) for layer in layers} <= {id(p) for p in decayed["params"]}
    assert all(p.ndim >= 2 for p in decayed["params"])


def test_the_student_fuses_one_modality_alone_as_often_as_asked() -> None:
    step = corpus().step(0)
    shares = []
    for chance in (0.0, 0.3, 1.0):
        run = started(replace(CONFIG, modality_dropout=chance))
        shown = []
        for run.step in range(400):
            shown += run._shown((step.first, step.second))
        assert set(shown) <= {("s2", "s1"), ("s2",), ("s1",)}
        shares.append(sum(len(names) == 1 for names in shown) / len(shown))
    assert shares == [0.0, pytest.approx(0.3, abs=0.07), 1.0]  # four deviations of 800 draws


WORKER = """
import os
import sys
from pathlib import Path
from encoder.training.pretrain import pretrain
from tests.encoder.tiny import CONFIG, KNOWN_DATES, corpus
import torch
torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
folder, parallel, steps = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
pretrain(CONFIG, corpus(augment=KNOWN_DATES), folder, parallel=parallel, stop_at_step=steps)
os._exit(0)  # torch's threads sometimes abort the interpreter's own way out
"""


def run_two(folder: Path, parallel: str, steps: int) -> None:
    script = folder.parent / "worker.py"
    script.write_text(WORKER)
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node=2",
        str(script),
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, str(folder), parallel, str(steps)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_two_processes_walk_the_curve_of_one(tmp_path: Path, parallel: str) -> None:
    """Losses are means over the processes: the mean over all samples where each compares as many."""
    one = pretrain(CONFIG, corpus(augment=KNOWN_DATES), tmp_path / "one", stop_at_step=4)
    run_two(tmp_path / "two", parallel, 2)
    run_two(tmp_path / "two", parallel, 4)  # and goes on from its checkpoint
    together, alone = curve(tmp_path / "two"), curve(tmp_path / "one")
    assert together == pytest.approx(alone)
    last = torch.load(tmp_path / "two" / LAST, weights_only=True)["teacher"]
    mine = dict(one.named_parameters())
    for name, value in mine.items():
        torch.testing.assert_close(last[f"model.{name}"], value.detach())


def test_dates_start_as_harmonics_as_large_as_features() -> None:
    model = SkySense(CONFIG.model)
    start_dates(model, 6.0, seed=0)
    table = model.date_encoding.table.detach()
    assert table.std() == pytest.approx(6 / 2**0.5, rel=0.05)
    near, far = (table[10] - table[11]).norm(), (table[10] - table[190]).norm()
    assert near < 0.1 * far
    assert (table[0] - table[-1]).norm() < 0.1 * far  # the year closes


def test_a_run_may_start_from_another(tmp_path: Path) -> None:
    first = pretrain(CONFIG, corpus(), tmp_path / "first", stop_at_step=2)
    config = replace(CONFIG, start=str(tmp_path / "first" / LAST), learning_rate=0.0)
    second = pretrain(config, corpus(), tmp_path / "second", stop_at_step=1)
    fusion = "fusion.project.weight"
    torch.testing.assert_close(second.date_encoding.table[0], first.date_encoding.table[0], atol=0.05, rtol=0)
    torch.testing.assert_close(second.get_parameter(fusion), first.get_parameter(fusion))
