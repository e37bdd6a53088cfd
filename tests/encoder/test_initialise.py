"""The untrained weights are the same everywhere."""

import torch

from encoder.config import SkySenseConfig
from encoder.initialise import initialise
from encoder.skysense import SkySense


def test_same_bits_for_a_seed(config: SkySenseConfig) -> None:
    models = [SkySense(config) for _ in range(3)]
    for model, seed in zip(models, (5, 5, 6), strict=True):
        initialise(model, seed)
    first, again, other = (model.state_dict() for model in models)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["fusion.project.weight"], other["fusion.project.weight"])


def test_the_stream_is_frozen(model: SkySense) -> None:
    """These bits must not change with a version of NumPy or torch, or tables would lose their model."""
    weight = model.state_dict()["fusion.project.weight"]
    exact = [
        0.22079765796661377,
        0.2623446583747864,
        -0.23951290547847748,
    ]
    assert weight.flatten()[:3].tolist() == exact


def test_scales(model: SkySense) -> None:
    state = model.state_dict()
    weight = state["encoders.s2.layers.0.mlp.0.weight"]  # (64, 16)
    assert abs(weight.std().item() - 16**-0.5) < 0.02
    assert (state["encoders.s2.layers.0.norm1.weight"] == 1).all()
    assert (state["encoders.s2.layers.0.mlp.0.bias"] == 0).all()
    assert abs(state["date_encoding.table"].std().item() - 0.02) < 0.001
    assert torch.allclose(state["encoders.hr.stages.0.0.attention.logit_scale"].exp(), torch.tensor(10.0))
