"""Diagnostics at their extremes."""

import pytest
import torch
import torch.nn.functional as F

from encoder.training.diagnostics import effective_rank, outputs_used, uniformity


def test_effective_rank_counts_directions() -> None:
    rows = torch.randn(500, 8, generator=torch.Generator().manual_seed(0))
    assert effective_rank(rows) > 7.8
    assert effective_rank(rows[:, :1] * torch.randn(1, 8)) == pytest.approx(1.0)


def test_uniformity_of_one_point_is_zero_and_falls_with_spread() -> None:
    one = F.normalize(torch.ones(10, 4), dim=1)
    spread = torch.cat([torch.eye(4), -torch.eye(4)])
    assert uniformity(one) == pytest.approx(0.0)
    assert uniformity(spread) < -3


def test_outputs_used() -> None:
    assert outputs_used(torch.eye(4)) == pytest.approx(1.0)
    assert outputs_used(torch.eye(4)[:1].repeat(4, 1)) == pytest.approx(0.25)
