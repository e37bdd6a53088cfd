"""InfoNCE against loops, at its minimum and at chance."""

import math

import pytest
import torch
import torch.nn.functional as F

from encoder.losses.alignment import TEMPERATURE, alignment_loss, info_nce_loss


def vectors(seed: int, rows: int = 4) -> torch.Tensor:
    return torch.randn(rows, 6, generator=torch.Generator().manual_seed(seed))


def test_info_nce_against_loops() -> None:
    a, b = vectors(0), vectors(1)
    total = 0.0
    for i in range(4):
        scores = [math.exp(float(F.cosine_similarity(a[i], b[j], dim=0)) / TEMPERATURE) for j in range(4)]
        total -= math.log(scores[i] / sum(scores))
    assert float(info_nce_loss(a, b)) == pytest.approx(total / 4)


def test_alignment_is_the_mean_over_ordered_pairs_of_modalities() -> None:
    seen = {"hr": vectors(0), "s2": vectors(1), "s1": vectors(2)}
    pairs = [info_nce_loss(seen[i], seen[j]) for i in seen for j in seen if i != j]
    torch.testing.assert_close(alignment_loss(seen, seen), torch.stack(pairs).mean())


def test_zero_for_identical_orthogonal_places_and_log_b_after_collapse() -> None:
    apart = torch.eye(6)[:4]
    assert float(info_nce_loss(apart, apart)) < 1e-3
    collapsed = torch.ones(4, 6)
    assert float(info_nce_loss(collapsed, collapsed)) == pytest.approx(math.log(4))


def test_one_modality_cannot_be_aligned() -> None:
    with pytest.raises(AssertionError, match="two modalities"):
        alignment_loss({"s2": vectors(0)}, {"s2": vectors(0)})
