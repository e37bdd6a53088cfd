"""L_MGCL is the sum over the modalities that both branches have, and the fused map."""

import pytest
import torch

from encoder.losses.fine_grained import fine_grained_loss
from encoder.losses.image import image_loss
from encoder.losses.multi_granularity import multi_granularity_loss
from encoder.losses.view import View

HEAD = torch.randn(5, 7, generator=torch.Generator().manual_seed(9), dtype=torch.float64)


def view(seed: int) -> View:
    features = torch.randn(2, 3, 6, 5, generator=torch.Generator().manual_seed(seed))
    return View(features, torch.ones(2, 3, 6, dtype=torch.bool), lambda x: x @ HEAD)


@pytest.mark.parametrize("level", [fine_grained_loss, image_loss])
def test_the_sum_over_shared_views(level) -> None:  # type: ignore[no-untyped-def]
    student = {"s2": view(0), "s1": view(1), "fused": view(2)}
    teacher = {"s2": view(3), "hr": view(4), "fused": view(5)}
    expected = level(student["s2"], teacher["s2"]) + level(student["fused"], teacher["fused"])
    torch.testing.assert_close(multi_granularity_loss(student, teacher, level), expected)


def test_the_fused_map_must_be_there() -> None:
    with pytest.raises(AssertionError):
        multi_granularity_loss({"s2": view(0)}, {"s2": view(1)})
