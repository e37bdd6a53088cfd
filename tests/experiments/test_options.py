"""Choices of a run, and what ours is compared with."""

import numpy as np
import pytest
import torch

from data.sample import InputError
from encoder.config import preset
from experiments.retrieval.options import Encoders, Options, capped, untrained_model


def test_the_untrained_encoder_is_where_training_starts() -> None:
    first, again, other = (untrained_model(preset("nano"), seed) for seed in (1, 1, 2))
    weights = [model.fusion.project.weight for model in (first, again, other)]  # type: ignore[union-attr]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert not first.encoders["s2"].position.any()  # type: ignore[operator, union-attr]
    assert first.date_encoding.table.std() > 1


def test_five_seeds_stand_beside_ours() -> None:
    encoders = Encoders.load(Options(device="cpu"))
    assert len(encoders.untrained) == 5
    assert encoders.info["dimension"] == 128
    assert not any(model.training for model in encoders.untrained)


@pytest.mark.parametrize("choice", [{"protocol": "P3"}, {"split": "train"}])
def test_unknown_choices_are_named(choice: dict[str, str]) -> None:
    with pytest.raises(InputError, match=next(iter(choice.values()))):
        Options(**choice)  # type: ignore[arg-type]


def test_a_draw_is_seeded_and_bounded() -> None:
    mask = np.arange(100) % 2 == 0
    drawn = capped(mask, 10, seed=3)
    assert drawn.sum() == 10
    assert (drawn <= mask).all()
    assert (drawn == capped(mask, 10, seed=3)).all()
    assert (capped(mask, 99, seed=3) == mask).all()
