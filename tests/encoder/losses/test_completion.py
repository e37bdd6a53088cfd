"""Completion: zero where the prediction is right, and only known values count."""

import pytest
import torch

from encoder.losses.completion import completion_loss
from encoder.losses.view import View


def views(error: float) -> tuple[View, View]:
    target = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    known = torch.ones(2, 3, 4, dtype=torch.bool)
    known[0, 1, 2] = False
    wrong = target + error
    wrong[0, 1, 2] += 100  # not known, so it must not count
    return View(wrong, torch.ones_like(known), torch.nn.Identity()), View(target, known, torch.nn.Identity())


def test_zero_for_the_right_values() -> None:
    assert float(completion_loss(*views(0.0))) == 0.0


def test_a_small_error_counts_as_its_square_and_a_large_one_as_itself() -> None:
    assert float(completion_loss(*views(0.2))) == pytest.approx(0.5 * 0.2**2 / 0.5)
    assert float(completion_loss(*views(2.0))) == pytest.approx(2.0 - 0.25)
