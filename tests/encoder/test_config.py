"""Sizes, and what a checkpoint stores of them."""

import pytest
import torch

from encoder.config import PRESETS, SkySenseConfig, preset
from encoder.skysense import SkySense


@pytest.mark.parametrize("name", PRESETS)
def test_json_round_trip(name: str) -> None:
    assert SkySenseConfig.from_json(preset(name).to_json()) == preset(name)


@pytest.mark.parametrize("text", ['{"hr": null}', "[]", '{"unknown": 1}', "no json"])
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        SkySenseConfig.from_json(text)


def test_an_unknown_size_is_named() -> None:
    with pytest.raises(ValueError, match=r"no model size 'tiny'.*nano, small, base, huge"):
        preset("tiny")


@pytest.mark.parametrize(
    ("name", "most", "cells", "pixels"),
    [
        ("nano", 5e6, 8, {"hr": 32, "s2": 8, "s1": 8}),
        ("small", 50e6, 8, {"hr": 32, "s2": 8, "s1": 8}),
        ("base", 300e6, 16, {"hr": 32, "s2": 4, "s1": 4}),
        ("huge", 1.66e9, 64, {"hr": 32, "s2": 1, "s1": 1}),
    ],
)
def test_sizes(name: str, most: float, cells: int, pixels: dict[str, int]) -> None:
    config = preset(name)
    with torch.device("meta"):
        parameters = sum(p.numel() for p in SkySense(config).parameters())
    assert most / 2 < parameters < most
    assert config.window_cells == cells
    assert config.px_per_cell == pixels


def test_cells_of_all_modalities_meet_on_one_ground_size() -> None:
    for config in PRESETS.values():
        assert config.cell_m / config.px_per_cell["s2"] == 10
        assert config.cell_m / config.px_per_cell["s1"] == 10


@pytest.mark.float32
def test_nano_is_the_sample_spec_default() -> None:
    from data.sample import SampleSpec
    from encoder.embed import Encoder

    assert Encoder("nano").spec == SampleSpec()
