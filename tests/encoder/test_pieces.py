"""What is taken at a time."""

import torch

from encoder.pieces import TOKENS, pieces


def test_pieces_cover_everything_once_and_hold_at_least_one() -> None:
    on_cpu = torch.zeros(1)
    assert list(pieces(5, TOKENS // 2, on_cpu)) == [slice(0, 2), slice(2, 4), slice(4, 6)]
    assert list(pieces(2, 3 * TOKENS, on_cpu)) == [slice(0, 1), slice(1, 2)]
    assert list(pieces(5, 10, on_cpu, most=25)) == [slice(0, 2), slice(2, 4), slice(4, 6)]


def test_elsewhere_only_a_limit_of_memory_cuts() -> None:
    on_gpu = torch.zeros(1, device="meta")
    (whole,) = pieces(5, TOKENS, on_gpu)
    assert whole.start == 0
    assert whole.stop >= 5
    assert len(list(pieces(9, 10, on_gpu, most=30))) == 3
