"""The objective: its terms, who is compared with whom, and what is left out."""

from dataclasses import replace

import pytest
import torch

from encoder.batch import Batch, SeriesBatch, collate
from encoder.branch import Branch
from encoder.initialise import initialise
from encoder.losses.alignment import info_nce_loss
from encoder.objective import ObjectiveConfig, band_values, objective, weighted
from encoder.skysense import SkySense
from encoder.teacher import Centring, make_teacher

from .float64 import in_float64
from .tiny import MODEL, sample

ALL = ObjectiveConfig(alpha=1.0, beta=1.0, completion=1.0, place=1.0)


def run(batch: Batch, config: ObjectiveConfig = ALL, same_window: bool = True):  # type: ignore[no-untyped-def]
    torch.manual_seed(0)  # for the heads
    model = SkySense(MODEL)
    initialise(model, 3)
    student = Branch(model, 16, 8, 12)
    shown = (tuple(batch.series),) * 2
    teacher = make_teacher(student)
    losses, seen = objective(
        student, teacher, Centring(), (batch, batch), shown, config,
        teacher_temperature=0.05, same_window=same_window,
    )  # fmt: skip
    return losses, seen, student


def batch_of(count: int, modalities: tuple[str, ...] = ("s2", "s1")) -> Batch:
    samples = [sample(i, modalities) for i in range(count)]
    return in_float64(collate(samples, MODEL.px_per_cell, (2, 2)))


def test_terms_by_what_there_is() -> None:
    assert run(batch_of(3))[0].keys() == {"mgcl", "align", "completion", "place"}
    assert run(batch_of(3, ("s2",)))[0].keys() == {"mgcl", "completion", "place"}
    assert run(batch_of(3, ("hr",)))[0].keys() == {"mgcl", "place"}
    assert run(batch_of(3), ObjectiveConfig())[0].keys() == {"mgcl", "align"}
    assert run(batch_of(3), replace(ALL, alpha=0.0, beta=0.0))[0].keys() == {"completion", "place"}


def test_cells_of_other_windows_are_not_compared() -> None:
    assert "completion" not in run(batch_of(3), same_window=False)[0]
    apart = run(batch_of(3), same_window=False)[0]["mgcl"]
    image_alone = run(batch_of(3), replace(ALL, levels="image"))[0]["mgcl"]
    torch.testing.assert_close(apart, image_alone)
    assert run(batch_of(3))[0]["mgcl"] > image_alone


def test_alignment_is_that_of_the_places_with_all_modalities() -> None:
    samples = [sample(0), sample(1), sample(2, ("s2",)), sample(3)]
    losses, _, student = run(in_float64(collate(samples, MODEL.px_per_cell, (2, 2))))
    complete = in_float64(collate([samples[i] for i in (0, 1, 3)], MODEL.px_per_cell, (2, 2)))
    alone = student(complete, ("s2", "s1")).alone
    expected = (info_nce_loss(alone["s1"], alone["s2"]) + info_nce_loss(alone["s2"], alone["s1"])) / 2
    torch.testing.assert_close(losses["align"], expected)


def test_one_place_cannot_be_told_from_others_and_costs_nothing() -> None:
    losses, _, _ = run(batch_of(1))
    assert float(losses["align"].detach()) == 0.0
    apart = run(batch_of(1), same_window=False)[0]
    assert float(apart["place"].detach()) == pytest.approx(0.0)


def test_gradients_reach_all_that_took_part() -> None:
    losses, _, student = run(batch_of(3))
    weighted(losses, ALL).backward()
    without = {name.split(".")[1] for name, p in student.model.named_parameters() if p.grad is None}
    assert without == {"hr"}


def test_weights() -> None:
    losses = {"mgcl": torch.tensor(1.0), "align": torch.tensor(10.0), "completion": torch.tensor(100.0)}
    assert float(weighted(losses, ObjectiveConfig(alpha=2.0, beta=0.5, completion=0.1))) == 17.0


def test_band_values_are_means_of_valid_pixels() -> None:
    pixels = torch.arange(16.0).view(1, 1, 1, 4, 4)
    valid = torch.ones(1, 1, 4, 4, dtype=torch.bool)
    valid[0, 0, 0, 0] = False  # pixel 0 of the first cell
    valid[0, 0, 2:, 2:] = False  # the last cell
    view = band_values(SeriesBatch(pixels * valid[:, :, None], valid, torch.ones(1, 1)), 2)
    assert view.mask[0, 0].tolist() == [True, True, True, False]
    torch.testing.assert_close(view.features[0, 0, :3, 0], torch.tensor([(1 + 4 + 5) / 3, 4.5, 10.5]))
