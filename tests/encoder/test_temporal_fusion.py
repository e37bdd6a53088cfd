"""Fusion: any number of tokens, masks, chunks and the last layer's shortcut."""

from dataclasses import replace

import torch

from encoder.config import FusionConfig
from encoder.initialise import initialise
from encoder.temporal_fusion import TemporalFusion

CONFIG = FusionConfig(in_width=12, width=16, depth=3, heads=2)


def fusion(config: FusionConfig = CONFIG) -> TemporalFusion:
    model = TemporalFusion(config)
    initialise(model, seed=0)
    return model.eval()


def test_the_shortcut_equals_the_first_token_of_the_whole_sequence() -> None:
    tokens, mask = torch.randn(10, 7, 12), torch.rand(10, 7) > 0.4
    model = fusion()
    assert model(tokens, mask).shape == (10, 16)
    torch.testing.assert_close(model(tokens, mask), model.sequence(tokens, mask)[:, 0])


def test_masked_tokens_equal_absent_ones() -> None:
    tokens = torch.randn(4, 7, 12)
    mask = torch.tensor([True, False, True, True, False, True, False]).expand(4, -1)
    torch.testing.assert_close(fusion()(tokens, mask), fusion()(tokens[:, mask[0]]))


def test_order_does_not_matter() -> None:
    tokens = torch.randn(4, 7, 12)
    torch.testing.assert_close(fusion()(tokens), fusion()(tokens.flip(1)))


def test_chunked_equals_unchunked() -> None:
    tokens, mask = torch.randn(11, 7, 12), torch.rand(11, 7) > 0.3
    small = fusion(replace(CONFIG, chunk_tokens=24))  # three sequences at a time
    torch.testing.assert_close(small(tokens, mask), fusion()(tokens, mask))


def test_the_sequence_starts_with_the_extra_token() -> None:
    assert fusion().sequence(torch.randn(2, 5, 12)).shape == (2, 6, 16)
    assert fusion(replace(CONFIG, class_token=False)).sequence(torch.randn(2, 5, 12)).shape == (2, 5, 16)


def test_a_sequence_without_tokens_stays_finite() -> None:
    assert fusion()(torch.randn(2, 3, 12), torch.zeros(2, 3, dtype=torch.bool)).isfinite().all()
