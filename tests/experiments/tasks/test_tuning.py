"""Tuning finds what frozen features cannot hold, invents nothing, goes on where it stopped."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from data.sample import InputError, SampleSpec
from encoder.baseline import BASELINES
from encoder.checkpoint import weights_info
from encoder.embed import Encoder
from encoder.training.augment import Window
from encoder.training.supervised import Budget
from experiments.datasets.catalog import SETS
from experiments.datasets.scene import Boxes
from experiments.retrieval.options import Encoders, Options, untrained_model
from experiments.retrieval.report import to_markdown
from experiments.tasks import run as run_module
from experiments.tasks.classification import Classification
from experiments.tasks.features import encoded, sources_of
from experiments.tasks.question import Asked, TaskOptions
from experiments.tasks.run import evaluate_task
from experiments.tasks.tiles import Tile
from experiments.tasks.tuning import Tuning, augmented, tuned, turned
from tests.encoder.tiny import MODEL, sample
from tests.experiments.datasets.make_sets import MAKERS

BLIND = 3  # the Sentinel-2 band that the frozen encoder does not see
STEPS = 80


def blind_encoder() -> Encoder:
    """Seeded weights, nought where they would meet the band BLIND."""
    model = untrained_model(MODEL, 3)
    with torch.no_grad():
        model.encoders["s2"].patch_embed.weight[:, BLIND] = 0
    return Encoder.of(model, weights_info(model, "blind", trained=False, licence=""))


def seen_in_one_band(permuted: bool = False) -> Asked:
    """Two classes that differ in the band BLIND alone; twelve places."""
    rng = np.random.default_rng(5)
    tiles = []
    for number in range(72):
        code = number % 2
        shown = sample(number, ("s2",))
        shown.series["s2"].pixels[:, BLIND] = 500 + 3000 * code
        code = int(rng.integers(2)) if permuted else code
        truth = np.arange(2) == code
        tiles.append(Tile((shown,), truth, f"place {number // 6}", float("nan"), float("nan")))
    about = replace(SETS["aid"], classes=("dark", "bright"))
    return Asked(about, tuple(tiles[:48]), tuple(tiles[48:]), ())


def top_1(asked: Asked, parts: str, encoder: Encoder, steps: int = STEPS) -> float:
    tuning = Tuning(parts, Budget(steps=steps, batch=8, rate=1e-2))
    table = tuned(encoder, asked, Classification(asked), tuning, 0, "ours")
    return table["linear top-1"].mean


def test_tuning_the_encoder_finds_what_frozen_features_cannot_hold() -> None:
    asked, encoder = seen_in_one_band(), blind_encoder()
    before = {name: value.clone() for name, value in encoder.model.state_dict().items()}
    frozen = Classification(asked)((encoded(encoder, asked.samples()),))["linear top-1"].mean
    assert frozen < 0.75
    assert top_1(asked, "head", encoder) < 0.75
    assert top_1(asked, "all", encoder) > 0.9
    for name, value in encoder.model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not encoder.model.training


def test_permuted_labels_are_not_found() -> None:
    assert top_1(seen_in_one_band(permuted=True), "all", blind_encoder()) < 0.75


def test_a_stopped_run_ends_as_an_unbroken_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, encoder = seen_in_one_band(), blind_encoder()
    budget = Budget(steps=12, batch=8, rate=1e-2, checks=4)

    def run(folder: Path) -> Mapping[str, object]:
        tuned(encoder, asked, Classification(asked), Tuning("all", budget, folder), 0, "ours")
        (path,) = folder.glob("aid-*.pt")
        return dict(torch.load(path, weights_only=True))

    whole = run(tmp_path / "whole")
    whole_fit = run_module.tuned.__globals__["Fit"]

    class Stopped(whole_fit):  # type: ignore[misc, valid-type]
        def run(self, loss_of, seed, stop_at_step=None):  # type: ignore[no-untyped-def]
            return super().run(loss_of, seed, 5)

    with monkeypatch.context() as patched:
        patched.setitem(run_module.tuned.__globals__, "Fit", Stopped)
        assert run(tmp_path / "parts")["step"] == 5
    parts = run(tmp_path / "parts")
    assert parts["step"] == 12
    assert parts["best"] == whole["best"]
    for name, value in whole["best_state"].items():
        assert torch.equal(value, parts["best_state"][name]), name


def test_another_budget_goes_on_with_no_other_run(tmp_path: Path) -> None:
    asked, encoder = seen_in_one_band(), blind_encoder()
    for steps in (1, 2):
        tuned(encoder, asked, Classification(asked), Tuning("head", Budget(steps=steps), tmp_path), 0, "ours")
    assert len(list(tmp_path.glob("aid-*.pt"))) == 2


def test_no_asked_tile_is_looked_at_before_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, encoder = seen_in_one_band(), blind_encoder()
    table = tuned(encoder, asked, Classification(asked), Tuning("head", Budget(steps=3)), 0, "ours")
    other = replace(asked, test=tuple(replace(t, truth=~t.truth) for t in asked.test))
    turned_round = tuned(encoder, other, Classification(other), Tuning("head", Budget(steps=3)), 0, "ours")
    assert table["linear top-1"].mean == pytest.approx(1 - turned_round["linear top-1"].mean)


def test_what_cannot_be_tuned_is_named() -> None:
    asked = seen_in_one_band()
    with pytest.raises(InputError, match="--tune head"):
        tuned(
            BASELINES["statistics"](), asked, Classification(asked), Tuning("all", Budget(steps=1)), 0, "ours"
        )
    with pytest.raises(InputError, match="expected one of head, all"):
        Tuning("body")


@pytest.mark.parametrize("seed", range(4))
def test_truth_turns_with_its_tile(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = np.arange(16 * 16).reshape(16, 16)
    window = Window.drawn((2, 2), rng, 2)
    moved = turned(mask, window, 16)
    assert isinstance(moved, np.ndarray)
    assert sorted(moved.ravel()) == sorted(mask.ravel())
    boxes = Boxes.upright(np.array([[2, 4, 3, 5]]), np.array([0]))  # the pixel of row 4, column 2
    after = turned(boxes, window, 16)
    assert isinstance(after, Boxes)
    x, y = after.bounds[0, :2].astype(int)
    assert moved[y, x] == mask[4, 2]
    np.testing.assert_array_equal(after.bounds[0, 2:] - after.bounds[0, :2], [1, 1])


def test_an_augmented_tile_is_one_that_the_encoder_takes() -> None:
    (tile, *_) = seen_in_one_band().train
    shown = augmented(tile, np.random.default_rng(0))
    assert len(shown.samples[0].series["s2"].valid) == 3  # of four dates
    assert np.isfinite(blind_encoder().embed(shown.samples).embedding).all()


# a set of each kind of truth, each with the part that is tuned
@pytest.mark.parametrize(
    ("name", "parts", "steps", "gain"),
    [
        ("aid", "head", 8, 0.25),
        ("ben-mm", "all", 8, 0.1),
        ("isaid", "all", 8, 0.25),
        ("levir-cd", "head", 8, 0.25),
        ("dyna-s2-cd", "all", 4, 0.0),
        ("pastis-mm", "all", 8, 0.25),
        ("dior", "all", 60, 0.05),
    ],
)
def test_every_kind_of_truth_is_tuned(
    name: str, parts: str, steps: int, gain: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "sources_of", lambda *args: sources_of(*args)[:2])
    MAKERS[name](tmp_path, False)
    info = {"name": "tiny", "digest": "0" * 64, "trained": False, "dimension": MODEL.fusion.width}
    spec = SampleSpec(MODEL.cell_m, MODEL.window_cells, MODEL.px_per_cell, {"hr": 1, "s2": 8, "s1": 4})
    encoders = Encoders(untrained_model(MODEL, 3), (untrained_model(MODEL, 4),), info, spec)
    split = "test" if "test" in SETS[name].splits else "validation"
    task = TaskOptions(steps=5, share=0.6, tune=parts, tune_steps=steps)
    report = evaluate_task([(SETS[name], tmp_path)], encoders, Options(split=split), task)
    frozen, beside = report.sheets[0], report.sheets[len(report.sheets) // 2]
    said = "head tuned" if parts == "head" else "head and encoder tuned"
    names = [row.name for row in beside.rows]
    assert names[:3] == [f"ours, {said}", f"untrained encoder, {said}", "ours, frozen"]
    assert beside.rows[2].scores == frozen.rows[0].scores
    assert f"{steps} steps a row" in to_markdown(report)
    scores = {
        row.name: row.scores[beside.headline].mean for row in beside.rows if beside.headline in row.scores
    }
    floor = max(scores.get(row, 0) for row in ("chance", "majority", "change everywhere"))
    assert scores[names[0]] > floor + gain, scores
