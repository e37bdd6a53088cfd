"""The prototypes' rule of update against loops, and where it settles."""

import torch
import torch.nn.functional as F

from encoder.losses.geo_context import updated_prototypes
from encoder.losses.sinkhorn import sinkhorn


def test_against_loops() -> None:
    generator = torch.Generator().manual_seed(0)
    prototypes, fused = torch.randn(3, 4, generator=generator), torch.randn(10, 4, generator=generator)
    similarity = torch.tensor([[float(F.cosine_similarity(f, p, dim=0)) for p in prototypes] for f in fused])
    s = sinkhorn(similarity)
    for r in range(3):
        mean = sum(s[n, r] * fused[n] for n in range(10)) / s[:, r].sum()
        torch.testing.assert_close(
            updated_prototypes(prototypes, fused, 0.9)[r], 0.9 * prototypes[r] + 0.1 * mean
        )


def test_prototypes_move_to_the_clusters_of_their_region() -> None:
    generator = torch.Generator().manual_seed(1)
    centres = torch.eye(8)[:4]
    fused = centres.repeat(32, 1) + 0.05 * torch.randn(128, 8, generator=generator)
    prototypes = centres + 0.3 * torch.randn(4, 8, generator=generator)
    for _ in range(200):
        prototypes = updated_prototypes(prototypes, fused, 0.9)
    nearest = (F.normalize(prototypes, dim=1) @ centres.T).max(dim=1)
    assert nearest.values.min() > 0.95
    assert len(nearest.indices.unique()) == 4


def test_no_gradient() -> None:
    fused = torch.randn(5, 4, requires_grad=True)
    assert not updated_prototypes(torch.randn(2, 4), fused).requires_grad
