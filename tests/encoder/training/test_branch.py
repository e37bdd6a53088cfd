"""A branch gives what the model itself would: tokens, fused cells, one embedding per modality."""

import torch

from encoder.batch import collate
from encoder.initialise import initialise
from encoder.skysense import SkySense
from encoder.training.branch import HARMONICS, Branch, date_harmonics
from encoder.training.prototype_learning import seed_prototypes

from ..float64 import in_float64
from ..tiny import MODEL, sample


def branch() -> Branch:
    model = SkySense(MODEL)
    initialise(model, 3)
    return Branch(model, 16, 8, 12).eval()


def batch_of(*modalities: tuple[str, ...]):  # type: ignore[no-untyped-def]
    samples = [sample(i, names) for i, names in enumerate(modalities)]
    return in_float64(collate(samples, MODEL.px_per_cell, (2, 2)))


@torch.no_grad()
def test_the_embedding_is_the_models_own() -> None:
    student, batch = branch(), batch_of(("s2", "s1"), ("s2",), ("s2", "s1"))
    seen, made = student(batch, ("s2", "s1")), student.model.embed(batch)
    torch.testing.assert_close(seen.embedding, made.embedding)
    for name in ("s2", "s1"):
        there = seen.alone_valid[name]
        torch.testing.assert_close(seen.alone[name][there], made.by_modality[name][there])
    assert seen.alone_valid["s1"].tolist() == [True, False, True]


@torch.no_grad()
def test_what_is_not_shown_is_not_fused() -> None:
    student, batch = branch(), batch_of(("s2", "s1"), ("s2", "s1"))
    radar = student(batch, ("s1",))
    torch.testing.assert_close(radar.embedding, radar.alone["s1"])
    assert radar.maps.keys() == {"s2", "s1"}
    assert radar.maps["s2"].shape == (2, 4, 4, 8)  # (B, T, N, D)
    assert (student(batch, ("s2", "s1")).embedding - radar.embedding).abs().max() > 1e-3


@torch.no_grad()
def test_prototypes_stand_beside_the_fused_cells() -> None:
    model = SkySense(MODEL)
    initialise(model, 3)
    seed_prototypes(model, torch.tensor([0x8928308280FFFFF]), 2, seed=0)
    student = Branch(model, 16, 8, 12)
    batch = batch_of(("s2",))  # its position is unknown: no region
    seen = student(batch, ("s2",))
    assert seen.contextual.shape == (1, 1, 4, 32)
    torch.testing.assert_close(seen.contextual[..., :16], seen.fused)
    assert seen.contextual[..., 16:].abs().max() == 0


def test_harmonics_close_the_year() -> None:
    first, last = date_harmonics(torch.tensor([[0, 365]]))[0]
    torch.testing.assert_close(first, last)
    assert first.shape == (2 * HARMONICS,)
    summer = date_harmonics(torch.tensor([[182]]))[0, 0]
    assert summer[HARMONICS] < -0.99  # the first cosine half a year later
