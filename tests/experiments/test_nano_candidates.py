"""Candidates between weights, and their differences from the first."""

import numpy as np
import pytest
import torch

from experiments.kept_vectors import read_model
from experiments.nano_candidates import compared, read_candidate
from experiments.retrieval.blocks import Scores

BLOCKS = np.array(["a", "a", "b", "c"])


def test_a_candidate_lies_between_two_weights() -> None:
    one, other = (read_model(f"untrained:{seed}").state_dict() for seed in (1, 2))
    between = read_candidate("untrained:1+untrained:2@0.25").state_dict()
    name = "encoders.s2.layers.0.mlp.0.weight"
    assert not torch.equal(one[name], other[name])
    torch.testing.assert_close(between[name], 0.75 * one[name] + 0.25 * other[name])
    assert torch.equal(read_candidate("untrained:1").state_dict()[name], one[name])


def test_differences_are_paired_with_the_first() -> None:
    first = {"mAP@20": {"set": Scores.plain(np.array([0.1, 0.4, 0.3, 0.2]), BLOCKS)}}
    ours = {"mAP@20": {"set": Scores.plain(np.array([0.2, 0.5, 0.4, 0.3]), BLOCKS)}}
    line = compared(ours, first)["mAP@20"]
    assert line["mean"] == pytest.approx(0.35)
    assert line["minus the first"] == "0.100 [0.100, 0.100]"
    assert line["by set"] == {"set": "0.350, 0.100 [0.100, 0.100]"}
