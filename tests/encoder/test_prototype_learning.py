"""Prototypes start where the corpus has places and move in the regions of a batch alone."""

import h3
import torch

from encoder.prototype_learning import learn_prototypes, seed_prototypes
from encoder.skysense import SkySense

from .tiny import MODEL

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
