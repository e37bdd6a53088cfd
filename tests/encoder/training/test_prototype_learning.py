"""Prototypes start where the corpus has places and move in the regions of a batch alone."""

import h3
import torch
import torch.nn.functional as F

from encoder.skysense import SkySense
from encoder.training.prototype_learning import learn_prototypes, seed_prototypes, updated_prototypes
from encoder.training.sinkhorn import sinkhorn

from ..tiny import MODEL

HERE, THERE = (h3.str_to_int(h3.latlng_to_cell(lat, 10.0, 12)) for lat in (50.0, 60.0))


def seeded() -> SkySense:
    model = SkySense(MODEL)
    seed_prototypes(model, torch.tensor([HERE, THERE, HERE, 0]), 3, seed=0)
    return model


def test_a_region_for_each_place_and_none_for_the_unknown() -> None:
    geo = seeded().geo
    parents = sorted(h3.str_to_int(h3.cell_to_parent(h3.int_to_str(cell), 4)) for cell in (HERE, THERE))
    assert geo.region_cells.tolist() == parents
    assert geo.prototypes.shape == (2, 3, 16)
    torch.testing.assert_close(geo.prototypes.norm(dim=-1), torch.ones(2, 3))


def test_only_the_regions_of_the_batch_move() -> None:
    geo = seeded().geo
    before = geo.prototypes.clone()
    moved = int(geo.region_index(torch.tensor([HERE])))
    fused = torch.randn(4, 2, 16)
    learn_prototypes(geo, fused, torch.ones(4, 2, dtype=torch.bool), torch.tensor([HERE] * 3 + [0]))
    assert (geo.prototypes[moved] != before[moved]).all()
    assert torch.equal(geo.prototypes[1 - moved], before[1 - moved])


def test_a_region_without_a_valid_cell_stays() -> None:
    geo = seeded().geo
    before = geo.prototypes.clone()
    learn_prototypes(geo, torch.randn(1, 2, 16), torch.zeros(1, 2, dtype=torch.bool), torch.tensor([HERE]))
    assert torch.equal(geo.prototypes, before)


def test_an_update_against_loops() -> None:
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


def test_an_update_has_no_gradient() -> None:
    fused = torch.randn(5, 4, requires_grad=True)
    assert not updated_prototypes(torch.randn(2, 4), fused).requires_grad
