"""The objective: its terms, who is compared with whom, and what is left out."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from encoder.batch import Batch, SeriesBatch, collate
from encoder.initialise import initialise
from encoder.skysense import SkySense
from encoder.training.branch import Branch, Seen, date_harmonics
from encoder.training.losses import info_nce_loss, multi_granularity_loss
from encoder.training.objective import (
    PLACE_TEMPERATURE,
    ObjectiveConfig,
    _asked,
    band_values,
    objective,
    views,
    weighted,
)
from encoder.training.teacher import Centring, make_teacher

from ..float64 import in_float64
from ..tiny import MODEL, sample

ALL = ObjectiveConfig(alpha=1.0, beta=1.0, completion=1.0, place=1.0)


def run(  # type: ignore[no-untyped-def]
    batch: Batch, config: ObjectiveConfig = ALL, same_window: bool = True, second: Batch | None = None
):
    torch.manual_seed(0)  # for the heads
    model = SkySense(MODEL)
    initialise(model, 3)
    student = Branch(model, 16, 8, 12)
    shown = (tuple(batch.series),) * 2
    teacher = make_teacher(student)
    losses, seen = objective(
        student, teacher, Centring(), (batch, second or batch), shown, config,
        teacher_temperature=0.05, same_window=same_window,
    )  # fmt: skip
    return losses, seen, student


def batch_of(count: int, modalities: tuple[str, ...] = ("s2", "s1"), first: int = 0) -> Batch:
    samples = [sample(first + i, modalities) for i in range(count)]
    return in_float64(collate(samples, MODEL.px_per_cell, (2, 2)))


def test_terms_by_what_there_is() -> None:
    assert run(batch_of(3))[0].keys() == {"mgcl", "align", "completion", "place"}
    assert run(batch_of(3, ("s2",)))[0].keys() == {"mgcl", "completion", "place"}
    assert run(batch_of(3, ("hr",)))[0].keys() == {"mgcl", "place"}
    assert run(batch_of(3), ObjectiveConfig())[0].keys() == {"mgcl", "align"}
    assert run(batch_of(3), replace(ALL, alpha=0.0, beta=0.0))[0].keys() == {"completion", "place"}


def test_what_the_student_makes_of_one_view_is_compared_with_the_other_view() -> None:
    """Written out: the student's view i with the teacher's view j, and with the bands of view j."""
    pair = batch_of(3), batch_of(3, first=10)
    losses, _, student = run(pair[0], second=pair[1])
    teacher = make_teacher(student)
    expected: dict[str, list[torch.Tensor]] = {"mgcl": [], "place": [], "completion": []}
    for own, other in (pair, pair[::-1]):
        seen, target = student(own, ("s2", "s1")), teacher(other, ("s2", "s1"))
        sharp = {
            name: replace(view, head=lambda x, head=view.head: head(x) / 0.05)
            for name, view in views(teacher, target).items()
        }
        expected["mgcl"].append(multi_granularity_loss(views(student, seen), sharp))
        cells, targets = (branch.fused.flatten(0, 2) for branch in (seen, target))
        expected["place"].append(info_nce_loss(cells, targets, PLACE_TEMPERATURE))
        expected["completion"] += [completion(student, seen, *series) for series in other.series.items()]
    for name, values in expected.items():
        torch.testing.assert_close(losses[name], torch.stack(values).mean())


def completion(student: Branch, seen: Seen, name: str, series: SeriesBatch) -> torch.Tensor:
    """Smooth L1 between the bands of each known date and what the fused cells and the date tell of them."""
    asked = date_harmonics(series.day_of_year)[:, :, None].expand(-1, -1, 4, -1)  # (B, T, N, ...)
    cells = F.normalize(seen.fused, dim=-1).expand(-1, asked.shape[1], -1, -1)
    predicted = student.completion[name](torch.cat([cells, asked], dim=-1))
    known = series.day_of_year > 0
    bands = band_values(series, MODEL.px_per_cell[name]).features
    return F.smooth_l1_loss(predicted[known], bands[known], beta=0.5)


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
    assert float(run(batch_of(2))[0]["align"].detach()) > 0
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


def test_each_known_date_is_asked_for_the_cells_beside_its_own_day() -> None:
    cells, days = torch.rand(1, 1, 2, 3), torch.tensor([[0, 1, 366]])
    asked = _asked(cells, torch.tensor([[[True, False]]]), days, torch.nn.Identity())
    assert asked.mask.tolist() == [[[False, False], [True, False], [True, False]]]
    assert asked.features.shape == (1, 3, 2, 3 + date_harmonics(days).shape[-1])
    for date in range(3):
        torch.testing.assert_close(asked.features[0, date, :, :3], cells[0, 0])
        torch.testing.assert_close(asked.features[0, date, 0, 3:], date_harmonics(days)[0, date])
